// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which vPEs take a run of events: one number, "spread", or a list that is gone through again and
//! again.
//!
//! Written by hand because an untagged enum would lose spans; the JSON schema says `anyOf`, which
//! `verify` walks.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

/// The value of `vpe` in `[[vm.event]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VpeChoice {
    One(u32),
    /// Over all vPEs of the VM, in turn.
    Spread,
    /// Not empty.
    List(Vec<u32>),
}

impl VpeChoice {
    /// Number of the vPE that takes event number `n` of the run, in a VM with `vpes` vPEs.
    pub fn of(&self, n: usize, vpes: usize) -> usize {
        match self {
            VpeChoice::One(vpe) => *vpe as usize,
            VpeChoice::Spread => n % vpes.max(1),
            VpeChoice::List(list) => list.get(n % list.len().max(1)).map_or(0, |vpe| *vpe as usize),
        }
    }
}

struct Choice;

impl<'de> Visitor<'de> for Choice {
    type Value = VpeChoice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vPE's number, \"spread\" or a list of numbers")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<VpeChoice, E> {
        let number = u32::try_from(value);
        number.map(VpeChoice::One).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<VpeChoice, E> {
        match value {
            "spread" => Ok(VpeChoice::Spread),
            _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<VpeChoice, A::Error> {
        let mut vpes = Vec::new();
        while let Some(vpe) = list.next_element()? {
            vpes.push(vpe);
        }
        Ok(VpeChoice::List(vpes))
    }
}

impl<'de> Deserialize<'de> for VpeChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for VpeChoice {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "VpeChoice".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = serde_json::json!({ "type": "integer", "format": "uint32", "minimum": 0 });
        json_schema!({
            "format": "vpe-choice",
            "anyOf": [
                number.clone(),
                { "type": "string", "enum": ["spread"] },
                { "type": "array", "items": number, "minItems": 1 },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::VpeChoice;

    #[test]
    fn a_run_of_events_goes_over_vpes_in_turn() {
        let taken = |choice: VpeChoice| [0, 1, 2, 3, 4].map(|n| choice.of(n, 2));
        assert_eq!(taken(VpeChoice::One(1)), [1, 1, 1, 1, 1]);
        assert_eq!(taken(VpeChoice::Spread), [0, 1, 0, 1, 0]);
        assert_eq!(taken(VpeChoice::List(vec![3, 0, 3])), [3, 0, 3, 3, 0]);
    }
}
