//! The ITS part of plan.rs.

use proc_macro2::TokenStream;
use quote::quote;

use super::tables::{hex, pa};
use crate::plan::{Decided, Its};

/// `Option<plan::Its>`.
pub fn option(plan: &Decided) -> TokenStream {
    match &plan.its {
        None => quote!(None),
        Some(its) => {
            let its = some(its);
            quote!(Some(#its))
        }
    }
}

fn some(its: &Its) -> TokenStream {
    let Its { device_id_bits, event_id_bits, by_address, entry_bytes, .. } = its;
    let base = pa(its.base);
    let basers = its.basers.iter().map(|baser| {
        let (index, kind, value) = (baser.index, baser.kind, hex(baser.value));
        quote!(plan::Baser { index: #index, kind: #kind, value: #value })
    });
    let cbaser = hex(its.cbaser);
    let (queue, queue_bytes) = (pa(its.queue.base), its.queue.bytes);
    let (config, config_bytes) = (pa(its.lpi_config.base), its.lpi_config.bytes);
    let script = its.script.iter().map(|line| {
        let words = line.words.map(hex);
        quote!([#(#words),*])
    });
    let events = its.events.iter().map(|event| {
        let (device, id, vintid, vpe) = (event.device, event.event, event.vintid, event.vpe as u16);
        let (source, ring) = (&event.source, event.channel);
        quote!(plan::EventRoute {
            device: #device,
            event: #id,
            vintid: #vintid,
            vpe: plan::VpeIndex::new(#vpe),
            source: #source,
            ring: #ring,
        })
    });
    quote!(plan::Its {
        base: #base,
        device_id_bits: #device_id_bits,
        event_id_bits: #event_id_bits,
        by_address: #by_address,
        entry_bytes: #entry_bytes,
        basers: &[#(#basers),*],
        cbaser: #cbaser,
        queue: (#queue, #queue_bytes),
        script: &[#(#script),*],
        lpi_config: (#config, #config_bytes),
        events: &[#(#events),*],
    })
}
