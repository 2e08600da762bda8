use crate::arch::vectors::{Frame, Next};
pub extern "C" fn hvc_fast(_esr: u64, _frame: &mut Frame) -> Next { Next::Full }
pub extern "C" fn trap(_esr: u64, _frame: &mut Frame) -> Next { Next::Full }
pub extern "C" fn error(_esr: u64, _frame: &mut Frame) {}
