// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the image's build of these types and the host's differ in.
//!
//! In the image everything is constant and borrowed for ever. On the host codegen fills the same
//! fields one after the other, so lists grow, texts are owned, and numbers that are read in base 16
//! print that way.

#[cfg(feature = "host")]
pub use host::*;
#[cfg(not(feature = "host"))]
pub use image::*;

#[cfg(not(feature = "host"))]
mod image {
    pub type Text = &'static str;
    pub type List<T> = &'static [T];
    /// A single value, behind a reference.
    pub type One<T> = &'static T;
    /// What is read in base 16: a register's value.
    pub type Hex = u64;
    pub type Hex32 = u32;
    /// A range as `gicv4` takes it, which knows no type of the plan: base and bytes.
    pub type Range = (u64, u64);
    /// A command of the ITS, likewise: four little-endian doublewords (IHI 0069 5.3).
    pub type ItsCommand = [u64; 4];
    /// A piece of payload.
    pub type Payload = &'static [u8];
}

#[cfg(feature = "host")]
mod host {
    use std::fmt;

    use proc_macro2::TokenStream;
    use quote::quote;
    use serde::{Serialize, Serializer};

    use crate::constant::{self, Constant};
    use crate::{Pa, Span};

    pub type Text = String;
    pub type List<T> = Vec<T>;
    pub type One<T> = Box<T>;

    /// A register's value. A JSON number cannot hold 64 bits everywhere: it is a string there.
    #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Hex(pub u64);

    pub type Hex32 = Hex;

    impl fmt::Display for Hex {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:#x}", self.0)
        }
    }

    impl fmt::Debug for Hex {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:#x}", self.0)
        }
    }

    impl Serialize for Hex {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl Constant for Hex {
        fn constant(&self) -> TokenStream {
            constant::hex(self.0)
        }
    }

    pub type Range = Span;

    /// A command of the ITS.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Constant)]
    #[constant(tuple)]
    pub struct ItsCommand {
        /// As a person reads it.
        #[constant(host)]
        pub text: Text,
        pub words: [Hex; 4],
    }

    /// A piece of payload: a part of tables.bin.
    #[derive(Clone, Debug, Default, Serialize)]
    pub struct Payload {
        /// Bytes copied.
        #[serde(rename = "bytes")]
        pub len: u64,
        /// Where its pristine copy is.
        pub copy: Pa,
        /// Where that is in tables.bin.
        #[serde(skip)]
        pub at: u64,
        #[serde(skip)]
        pub data: Vec<u8>,
    }

    /// `TABLES` is what the file that includes plan.rs calls the bytes of tables.bin.
    impl Constant for Payload {
        fn constant(&self) -> TokenStream {
            let (at, bytes) = (constant::hex(self.at), self.len.constant());
            quote!(TABLES.split_at(#at).1.split_at(#bytes).0)
        }
    }
}
