// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The memory map: who owns each range of RAM.

use super::make::Maker;
use crate::model;
use ::plan::*;

impl Maker<'_> {
    pub(super) fn memory_map(&self, decided: &Plan) -> Vec<Area> {
        let own = &decided.hypervisor;
        let area = |base: u64, bytes: u64, owner: &str, what: String| Area {
            base: Pa::new(base),
            bytes,
            owner: owner.to_owned(),
            what,
        };
        let tables = own.image.value() + own.room;
        let end = tables + own.tables_bytes;
        let log = decided.board.console.log();
        let top = own.base.value() + own.bytes - log.map_or(0, |log| log.bytes);
        let mut out = vec![
            area(
                own.base.value(),
                own.image.value() - own.base.value(),
                "hypervisor",
                "tables".into(),
            ),
            area(own.image.value(), own.room, "hypervisor", "code, data, stacks".into()),
            area(tables, own.tables_bytes, "hypervisor", "tables and payload copies".into()),
            area(end, top - end, "hypervisor", "free".into()),
        ];
        out.extend(log.map(|log| area(log.base.value(), log.bytes, "hypervisor", "log".into())));
        out.retain(|area| area.bytes > 0);
        for reserved in &self.system.board.reserved {
            let what = format!("{}: {}", reserved.name.value, reserved.reason);
            let inherits = reserved.lpi_tables && self.system.board.gic.its.is_some();
            let owner = if inherits { "LPI tables" } else { "reserved" };
            out.push(area(reserved.region.start(), reserved.region.size.value, owner, what));
        }
        for vm in &decided.vms {
            out.extend(vm.memory.iter().map(|piece| {
                let what = match piece.role {
                    model::MemoryRole::Ram => "memory",
                    role => role.name(),
                };
                area(
                    piece.pa.value(),
                    piece.bytes,
                    &vm.name,
                    format!("{what}, seen at {}", piece.ipa),
                )
            }));
        }
        for (channel, &pa) in self.system.channels.iter().zip(&self.placed.channels) {
            let ends =
                channel.ends.iter().map(|end| self.system.vms[end.vm.value].name.value.as_str());
            let owner = ends.collect::<Vec<_>>().join(" + ");
            out.push(area(
                pa,
                channel.size.value,
                &owner,
                format!("channel {}", channel.name.value),
            ));
        }
        out.sort_by_key(|area| area.base);
        out
    }
}
