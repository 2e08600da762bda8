//! The ITS part of plan.rs.

use proc_macro2::TokenStream;
use quote::quote;

use super::tables::{hex, pa};
use crate::plan::{Decided, Its, ItsTable};

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
    let Its { moves, collection_id_bits, vintid_bits, .. } = its;
    let base = pa(its.base);
    let tables = its.tables.iter().map(|table| {
        let ItsTable { kind, memory, entries, entry_bytes, .. } = table;
        let (base, bytes) = (pa(memory.base), memory.bytes);
        quote!(plan::ItsTable {
            kind: #kind,
            base: #base,
            bytes: #bytes,
            entries: #entries,
            entry_bytes: #entry_bytes,
        })
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
        let (source, ring) = (super::tables::name(&event.source), event.channel);
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
        moves: #moves,
        collection_id_bits: #collection_id_bits,
        vintid_bits: #vintid_bits,
        tables: &[#(#tables),*],
        cbaser: #cbaser,
        queue: (#queue, #queue_bytes),
        script: &[#(#script),*],
        lpi_config: (#config, #config_bytes),
        events: &[#(#events),*],
    })
}
