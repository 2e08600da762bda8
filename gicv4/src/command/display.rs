// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands in words, for plans and logs.

use super::{Command, SgiChange};
use crate::intid::{IntId, VpeId};
use core::fmt;

/// A virtual LPI.
struct Virtual(IntId);

impl fmt::Display for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{:?}", self.0)
    }
}

/// ", doorbell LPI n" or ", no doorbell".
struct Doorbell(IntId);

impl fmt::Display for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == IntId::NONE {
            f.write_str(", no doorbell")
        } else {
            write!(f, ", doorbell {:?}", self.0)
        }
    }
}

struct Vsgi(VpeId, u8, SgiChange);

impl fmt::Display for Vsgi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(vpe, sgi, change) = self;
        match change {
            SgiChange::Clear => write!(f, "VSGI {vpe:?} vSGI {sgi}: clear"),
            SgiChange::Configure { enabled, group1, priority } => {
                let enabled = if *enabled { "enabled" } else { "disabled" };
                let group = u8::from(*group1);
                write!(
                    f,
                    "VSGI {vpe:?} vSGI {sgi}: {enabled}, group {group}, priority {priority:#04x}"
                )
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Mapd { device, itt: Some(itt) } => {
                write!(
                    f,
                    "MAPD {device:?} -> ITT at {:#x}, {} event bits",
                    itt.address(),
                    itt.event_bits()
                )
            }
            Self::Mapd { device, itt: None } => write!(f, "MAPD {device:?}: unmap"),
            Self::Mapc { collection, redistributor: Some(rd) } => {
                write!(f, "MAPC {collection:?} -> {rd:?}")
            }
            Self::Mapc { collection, redistributor: None } => {
                write!(f, "MAPC {collection:?}: unmap")
            }
            Self::Mapti { device, event, intid, collection } => {
                write!(f, "MAPTI {device:?} {event:?} -> {intid:?} in {collection:?}")
            }
            Self::Mapi { device, event, collection } => {
                write!(
                    f,
                    "MAPI {device:?} {event:?} -> {:?} in {collection:?}",
                    IntId::new(event.value())
                )
            }
            Self::Movi { device, event, collection } => {
                write!(f, "MOVI {device:?} {event:?} -> {collection:?}")
            }
            Self::Movall { from, to } => write!(f, "MOVALL {from:?} -> {to:?}"),
            Self::Int { device, event } => write!(f, "INT {device:?} {event:?}"),
            Self::Clear { device, event } => write!(f, "CLEAR {device:?} {event:?}"),
            Self::Discard { device, event } => write!(f, "DISCARD {device:?} {event:?}"),
            Self::Inv { device, event } => write!(f, "INV {device:?} {event:?}"),
            Self::Invall { collection } => write!(f, "INVALL {collection:?}"),
            Self::Sync { redistributor } => write!(f, "SYNC {redistributor:?}"),
            _ => self.fmt_virtual(f),
        }
    }
}

impl Command {
    fn fmt_virtual(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Vmapp { vpe, mapping: Some(m) } => write!(
                f,
                "VMAPP {vpe:?} -> {:?}, pending table at {:#x}, {} vINTID bits",
                m.redistributor,
                m.vpt.address(),
                m.vpt.intid_bits()
            ),
            Self::VmappV41 { vpe, allocate, mapping: Some(m) } => write!(
                f,
                "VMAPP {vpe:?} -> {:?}, pending table at {:#x}{}, {} vINTID bits, configuration at \
                 {:#x}{}{}",
                m.redistributor,
                m.vpt.address(),
                if m.zeroed { " (zero)" } else { "" },
                m.vpt.intid_bits(),
                m.config.address(),
                Doorbell(m.doorbell),
                if allocate { ", first" } else { "" }
            ),
            Self::Vmapp { vpe, mapping: None } => write!(f, "VMAPP {vpe:?}: unmap"),
            Self::VmappV41 { vpe, allocate, mapping: None } => {
                write!(f, "VMAPP {vpe:?}: unmap{}", if allocate { ", last" } else { "" })
            }
            Self::Vmapti { device, event, vintid, vpe, doorbell } => {
                let doorbell = Doorbell(doorbell);
                write!(f, "VMAPTI {device:?} {event:?} -> {} on {vpe:?}{doorbell}", Virtual(vintid))
            }
            Self::Vmapi { device, event, vpe, doorbell } => {
                let (vintid, doorbell) = (Virtual(IntId::new(event.value())), Doorbell(doorbell));
                write!(f, "VMAPI {device:?} {event:?} -> {vintid} on {vpe:?}{doorbell}")
            }
            Self::Vmovi { device, event, vpe, doorbell: Some(doorbell) } => {
                write!(f, "VMOVI {device:?} {event:?} -> {vpe:?}{}", Doorbell(doorbell))
            }
            Self::Vmovi { device, event, vpe, doorbell: None } => {
                write!(f, "VMOVI {device:?} {event:?} -> {vpe:?}")
            }
            Self::Vmovp { vpe, redistributor, sequence, its_list }
            | Self::VmovpV41 { vpe, redistributor, sequence, its_list, .. } => {
                write!(f, "VMOVP {vpe:?} -> {redistributor:?}")?;
                if its_list != 0 {
                    write!(f, ", ITSs {its_list:#06x} in turn {sequence}")?;
                }
                match *self {
                    Self::VmovpV41 { doorbell: Some(doorbell), .. } => {
                        write!(f, "{}", Doorbell(doorbell))
                    }
                    _ => Ok(()),
                }
            }
            Self::Vinvall { vpe } => write!(f, "VINVALL {vpe:?}"),
            Self::Vsync { vpe } => write!(f, "VSYNC {vpe:?}"),
            Self::Invdb { vpe } => write!(f, "INVDB {vpe:?}"),
            Self::Vsgi { vpe, sgi, change } => write!(f, "{}", Vsgi(vpe, sgi, change)),
            // The physical commands, which `fmt` writes itself.
            _ => Ok(()),
        }
    }
}
