// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers and their bit fields, by block.
//!
//! A register is a constant of type [`Register`](crate::frame::Register) or
//! [`Bank`](crate::frame::Bank), for use with a [`crate::frame::Frame`]; `offset` has the same
//! names with plain byte offsets, for who emulates the block. Field modules are made by
//! `tock_registers::register_bitfields!`. Names are the manual's (IHI 0069H, chapter 12).

/// `NAME = offset: Access width (Fields);` and `NAME = offset: [count] Access width (Fields);`
macro_rules! registers {
    ($block:ty; $(
        $(#[$doc:meta])*
        $name:ident = $offset:literal: $([$count:literal])? $access:ident $width:ident
            $(($fields:ty))?;
    )*) => {
        $(
            $(#[$doc])*
            pub const $name: registers!(@type $([$count])? $block, $width, $access $(, $fields)?) =
                registers!(@new $offset $(, $count)?);
        )*
        /// Bytes from the base of the block, of a bank to its first register.
        pub mod offset {
            $(
                #[doc = concat!("Of [`", stringify!($name), "`](const@super::", stringify!($name), ").")]
                pub const $name: usize = $offset;
            )*
        }
    };
    (@type [$count:literal] $($parameters:ty),*) => { $crate::frame::Bank<$($parameters),*> };
    (@type $($parameters:ty),*) => { $crate::frame::Register<$($parameters),*> };
    (@new $offset:literal, $count:literal) => { $crate::frame::Bank::new($offset, $count) };
    (@new $offset:literal) => { $crate::frame::Register::new($offset) };
}

pub mod gicd;
pub mod gicr;
pub mod gits;
pub mod ich;
pub mod vlpi;
