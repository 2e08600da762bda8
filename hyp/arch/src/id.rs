//! Feature registers of this CPU, by the encoding that a trapped read carries.

use super::sysreg::read;

macro_rules! by_encoding {
    ($encoding:expr, $($crm:literal $op2:literal,)*) => {
        match ($encoding >> 1 & 15, $encoding >> 17 & 7) {
            $(($crm, $op2) => read!(concat!("S3_0_C0_C", $crm, "_", $op2)),)*
            _ => 0,
        }
    };
}

/// S3_0_C0_C<CRm>_<op2>, CRm 1 to 7: the registers that HCR_EL2.TID3 traps. Others read as zero.
#[rustfmt::skip]
pub fn read(encoding: u32) -> u64 {
    by_encoding!(
        encoding,
        1 0, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7,
        2 0, 2 1, 2 2, 2 3, 2 4, 2 5, 2 6, 2 7,
        3 0, 3 1, 3 2, 3 3, 3 4, 3 5, 3 6, 3 7,
        4 0, 4 1, 4 2, 4 3, 4 4, 4 5, 4 6, 4 7,
        5 0, 5 1, 5 2, 5 3, 5 4, 5 5, 5 6, 5 7,
        6 0, 6 1, 6 2, 6 3, 6 4, 6 5, 6 6, 6 7,
        7 0, 7 1, 7 2, 7 3, 7 4, 7 5, 7 6, 7 7,
    )
}
