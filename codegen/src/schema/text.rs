// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Values that serde and the JSON schema share: spanned values, addresses, texts with a form.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

use crate::diag::FileId;
use crate::model::{At, Bdf, PciId};
use crate::units::{ControlKey, EventRun, Size, Time};

/// A value and the bytes it was read from.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct S<T>(toml::Spanned<T>);

impl<T> S<T> {
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// What `f` makes of the value, written where the value is.
    pub fn map<U>(&self, file: FileId, f: impl FnOnce(&T) -> U) -> At<U> {
        At::new(f(self.0.get_ref()), file, self.span())
    }

    /// The place alone.
    pub fn place(&self, file: FileId) -> At<()> {
        self.map(file, |_| ())
    }
}

impl<T: Clone> S<T> {
    pub fn at(&self, file: FileId) -> At<T> {
        self.map(file, T::clone)
    }
}

impl<T> Deref for S<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.get_ref()
    }
}

impl<T: JsonSchema> JsonSchema for S<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// An address: an integer, best written in hexadecimal.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Address(pub u64);

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // 52 bits: the widest physical address there is (DDI 0487, ID_AA64MMFR0_EL1.PARange).
        json_schema!({ "type": "integer", "format": "address", "minimum": 0, "maximum": (1u64 << 52) - 1 })
    }
}

/// What is wrong with `text` as a `format` of the JSON schema.
pub fn verify(format: &str, text: &str) -> Result<(), String> {
    match format {
        "size" => text.parse::<Size>().map(drop),
        "time-span" => text.parse::<Time>().map(drop),
        "pci-address" => text.parse::<Bdf>().map(drop),
        "pci-id" => text.parse::<PciId>().map(drop),
        "event-run" => text.parse::<EventRun>().map(drop),
        "control-key" => text.parse::<ControlKey>().map(drop),
        _ => Ok(()),
    }
}

macro_rules! text {
    ($type:ty, $format:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $format.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern })
            }
        }
    };
}
text!(Size, "size", "^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$");
text!(Time, "time-span", "^[0-9]+ ?(ns|us|ms|s)$");
text!(Bdf, "pci-address", "^[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]$");
text!(PciId, "pci-id", "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$");
text!(EventRun, "event-run", "^[0-9]+\\.\\.[0-9]+$");
text!(ControlKey, "control-key", "^ctrl-[a-gk-ln-z\\\\\\]^_]$");
