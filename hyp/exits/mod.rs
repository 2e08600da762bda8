//! Exceptions that a guest causes, and who answers.

pub mod flash;
pub mod interface;
pub mod trap;
