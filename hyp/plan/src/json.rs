// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where plan.json says a field in another way than its type does.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{
    Conduit, ConfigWrite, Fault, NamedSpan, PowerOff, PrioritySlot, Quirk, Ram, Schedule, Turn,
    VpeIndex, Watchdog, Window,
};

/// The ranges, and beside them the words that boot reads.
pub fn ram<S: Serializer>(ram: &[Ram], serializer: S) -> Result<S::Ok, S::Error> {
    let spans = ram.iter().map(|Ram { name, base, bytes, .. }| NamedSpan {
        name: name.clone(),
        base: *base,
        bytes: *bytes,
    });
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("ram", &spans.collect::<Vec<_>>())?;
    map.serialize_entry("probes", &ram.iter().map(|ram| ram.probe).collect::<Vec<_>>())?;
    map.end()
}

pub fn is_smc<S: Serializer>(conduit: &Conduit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*conduit == Conduit::Smc)
}

pub fn is_power_off<S: Serializer>(what: &PowerOff, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*what == PowerOff::PowerOff)
}

/// Names of the quirks that the board says its GIC has.
pub fn listed<S: Serializer>(quirks: &[Quirk], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(quirks.iter().filter(|quirk| quirk.listed).map(|quirk| &quirk.name))
}

/// Numbers of the bits that are set.
pub fn bits<S: Serializer>(bits: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq((0..64).filter(|n| bits >> n & 1 != 0))
}

pub fn action<S: Serializer>(action: &Option<Fault>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(Watchdog::name(action.as_ref()))
}

/// A pair.
impl Serialize for ConfigWrite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.offset, self.value).serialize(serializer)
    }
}

/// By kind, with what is given of the CPU.
impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        enum Json<'a> {
            Unused,
            Exclusive { vpe: VpeIndex },
            Priority { slots: &'a [PrioritySlot], given_ppm: u64 },
            Cyclic { ticks: u64, vpes: &'a [Turn], windows: &'a [Window], given_ppm: u64 },
        }
        let given_ppm = self.given_ppm();
        let json = match self {
            Self::Unused => Json::Unused,
            Self::Exclusive(vpe) => Json::Exclusive { vpe: *vpe },
            Self::Priority(slots) => Json::Priority { slots, given_ppm },
            Self::Cyclic(frame) => Json::Cyclic {
                ticks: frame.ticks.get(),
                vpes: &frame.turns,
                windows: &frame.windows,
                given_ppm,
            },
        };
        json.serialize(serializer)
    }
}
