use crate::arch::vectors::{Frame, Next};
pub extern "C" fn irq_fast() -> Next { Next::Full }
pub extern "C" fn irq_slow(_frame: &mut Frame) {}
