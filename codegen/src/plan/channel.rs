// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Channels: their memory, and what each end has of it.

use super::make::Maker;
use crate::model;
use ::plan::*;

impl Maker<'_> {
    pub fn channel_ends(&self) -> impl Iterator<Item = ChannelEnd> + '_ {
        self.system.channels.iter().enumerate().flat_map(move |(n, channel)| {
            channel.ends.iter().enumerate().map(move |(side, end)| {
                let rings = &self.interrupts.rings[n];
                let peer = rings.get(1 - side.min(1)).map_or(0, |ring| ring.event);
                let mut events = self.interrupts.events.iter();
                let peer = events.position(|event| event.ring && event.event == peer);
                ChannelEnd {
                    name: channel.name.value.clone(),
                    channel: n,
                    role: if side == 0 { abi::tree::FIRST } else { abi::tree::SECOND },
                    vm: VmIndex::at(end.vm.value),
                    ipa: Ipa::new(self.channel_ipas[n][side]),
                    pa: Pa::new(self.placed.channels[n]),
                    bytes: channel.size.value,
                    rings: peer.unwrap_or(0) as u32,
                    vintid: rings[side].vintid,
                    vpe: end.vpe.value,
                    writable: end.access.value == model::Access::ReadWrite,
                }
            })
        })
    }

    pub(super) fn shared_memory(&self) -> Vec<SharedMemory> {
        let channels = self.system.channels.iter().zip(&self.placed.channels);
        let memory = channels.map(|(channel, &base)| SharedMemory {
            base: Pa::new(base),
            bytes: channel.size.value,
            clear: channel.clear,
        });
        memory.collect()
    }
}
