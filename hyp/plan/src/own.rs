//! EL2's own memory and translation.

use crate::Pa;

/// Where EL2's own tables are, and what registers say of them.
#[derive(Debug)]
pub struct Own {
    /// TTBR0_EL2.
    pub ttbr: Pa,
    /// TCR_EL2, without PS.
    pub tcr: u64,
    /// Level-3 table of the 2 MiB that hold text and constants.
    pub image_l3: Pa,
    /// Address of the first CPU's window on memory that is not EL2's own. The others' follow.
    pub window: u64,
    /// Where the level-3 descriptors of the windows are: one for each page, 0 while it is shut.
    pub window_entries: Pa,
    /// Bytes of each CPU's stack.
    pub stack_bytes: usize,
}
