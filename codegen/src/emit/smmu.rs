//! The SMMU part of plan.rs.

use proc_macro2::TokenStream;
use quote::quote;

use super::tables::{hex, pa};
use crate::plan::{Decided, Smmu, Stream};

/// `Option<plan::Smmu>`.
pub fn option(plan: &Decided) -> TokenStream {
    match &plan.smmu {
        None => quote!(None),
        Some(smmu) => {
            let smmu = some(smmu);
            quote!(Some(#smmu))
        }
    }
}

fn some(smmu: &Smmu) -> TokenStream {
    let Smmu { event_intid, error_intid, table_bits, command_bits, event_bits, .. } = smmu;
    let (base, table) = (pa(smmu.base), pa(smmu.table.base));
    let (commands, events) = (pa(smmu.commands.base), pa(smmu.events.base));
    let streams = smmu.streams.iter().map(|stream| {
        let Stream { id, .. } = stream;
        let (function, vttbr, vtcr) = (stream.function as u16, hex(stream.vttbr), hex(stream.vtcr));
        quote!(plan::Stream { id: #id, function: #function, vttbr: #vttbr, vtcr: #vtcr })
    });
    quote!(plan::Smmu {
        base: #base,
        event_intid: #event_intid,
        error_intid: #error_intid,
        table: (#table, #table_bits),
        commands: (#commands, #command_bits),
        events: (#events, #event_bits),
        streams: &[#(#streams),*],
    })
}
