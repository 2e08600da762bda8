// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a value of the plan is written in the image's plan.rs.
//!
//! `#[derive(Constant)]` (codegen/constant) writes structs and enums; here is what they are made
//! of.

use std::num::NonZeroU64;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Writes the type's fields, or its variants'.
pub use constant_derive::Constant;

/// Can be a constant of the image.
pub trait Constant {
    /// The expression.
    fn constant(&self) -> TokenStream;
}

macro_rules! number {
    ($($type:ty, $literal:ident;)*) => {$(
        impl Constant for $type {
            fn constant(&self) -> TokenStream {
                let literal = Literal::$literal(*self);
                quote!(#literal)
            }
        }
    )*};
}
number! {
    u8, u8_unsuffixed;
    u16, u16_unsuffixed;
    u32, u32_unsuffixed;
    u64, u64_unsuffixed;
}

/// In base 16.
pub fn hex(value: u64) -> TokenStream {
    let text = format!("{value:#x}");
    text.parse().unwrap_or_else(|_| value.constant())
}

/// Bits, one for each of a few things.
pub fn binary(value: &u64) -> TokenStream {
    let text = format!("{value:#b}");
    text.parse().unwrap_or_else(|_| value.constant())
}

/// Bytes in base 16.
pub fn bytes(bytes: &[u8]) -> TokenStream {
    let bytes = bytes.iter().map(|&byte| hex(byte.into()));
    quote!(&[#(#bytes),*])
}

/// Pairs of numbers.
pub fn ranges(ranges: &[crate::Range]) -> TokenStream {
    let ranges = ranges.iter().map(|range| {
        let (base, bytes) = (hex(range.base.value()), range.bytes.constant());
        quote!((#base, #bytes))
    });
    quote!(&[#(#ranges),*])
}

impl Constant for bool {
    fn constant(&self) -> TokenStream {
        quote!(#self)
    }
}

/// Zero ticks do not compile.
impl Constant for NonZeroU64 {
    fn constant(&self) -> TokenStream {
        let ticks = self.get().constant();
        quote!(plan::ticks(#ticks))
    }
}

/// Ticks for a constructor that looks at them itself.
pub fn unchecked(ticks: &NonZeroU64) -> TokenStream {
    ticks.get().constant()
}

impl Constant for str {
    fn constant(&self) -> TokenStream {
        let text = printable(self);
        quote!(#text)
    }
}

impl Constant for String {
    fn constant(&self) -> TokenStream {
        self.as_str().constant()
    }
}

/// As EL2 may print it: control characters could make two lines of one, or draw over another.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

impl<T: Constant> Constant for Option<T> {
    fn constant(&self) -> TokenStream {
        match self.as_ref().map(Constant::constant) {
            None => quote!(None),
            Some(value) => quote!(Some(#value)),
        }
    }
}

impl<T: Constant + ?Sized> Constant for &T {
    fn constant(&self) -> TokenStream {
        (**self).constant()
    }
}

impl<T: Constant> Constant for Box<T> {
    fn constant(&self) -> TokenStream {
        let value = (**self).constant();
        quote!(&#value)
    }
}

impl<T: Constant> Constant for Vec<T> {
    fn constant(&self) -> TokenStream {
        let entries = self.iter().map(Constant::constant);
        quote!(&[#(#entries),*])
    }
}

impl<T: Constant, const N: usize> Constant for [T; N] {
    fn constant(&self) -> TokenStream {
        let entries = self.iter().map(Constant::constant);
        quote!([#(#entries),*])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        assert_eq!(
            printable("a\nbulkhead: result: pass\r\u{9b}2K\u{1b}["),
            "a?bulkhead: result: pass??2K?["
        );
        assert_eq!(printable("qemu-virt-gicv4"), "qemu-virt-gicv4");
    }
}
