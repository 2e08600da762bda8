//! The SMMU part of plan.rs.

use proc_macro2::TokenStream;
use quote::quote;

use super::tables::{hex, name, pa};
use crate::model::DmaFault;
use crate::plan::{Decided, Held, Leaf, Master, Smmu};

/// `plan::Smmu`, `plan::Leaf` and `plan::Master` of all.
pub fn lists(plan: &Decided) -> (Vec<TokenStream>, Vec<TokenStream>, Vec<TokenStream>) {
    let mut first = 0;
    let smmus = plan.smmus.iter().map(|smmu| {
        let tokens = tokens(smmu, first);
        first += smmu.leaves.len() as u16;
        tokens
    });
    let smmus = smmus.collect();
    let leaves = plan.smmus.iter().flat_map(|smmu| &smmu.leaves).map(leaf).collect();
    (smmus, leaves, plan.masters.iter().filter_map(master).collect())
}

fn tokens(smmu: &Smmu, first: u16) -> TokenStream {
    let Smmu { event_intid, error_intid, table_bits, command_bits, event_bits, .. } = smmu;
    let (base, table) = (pa(smmu.base), pa(smmu.table.base));
    let (commands, events) = (pa(smmu.commands.base), pa(smmu.events.base));
    let split = match smmu.split {
        None => quote!(None),
        Some(bits) => quote!(Some(#bits)),
    };
    let leaves = smmu.leaves.len() as u16;
    quote!(plan::Smmu {
        base: #base,
        event_intid: #event_intid,
        error_intid: #error_intid,
        table: (#table, #table_bits),
        split: #split,
        leaves: (#first, #leaves),
        commands: (#commands, #command_bits),
        events: (#events, #event_bits),
    })
}

fn leaf(leaf: &Leaf) -> TokenStream {
    let Leaf { index, bits, .. } = leaf;
    let base = pa(leaf.table.base);
    quote!(plan::Leaf { index: #index, bits: #bits, base: #base })
}

/// None: no SMMU holds it.
fn master(master: &Master) -> Option<TokenStream> {
    let Held { smmu, streams, on_fault, vttbr, vtcr } = master.held.as_ref()?;
    let (title, vm, smmu) = (name(&master.name), master.vm as u16, *smmu as u8);
    let (vttbr, vtcr) = (hex(*vttbr), hex(*vtcr));
    let on_fault = match on_fault {
        DmaFault::Record => quote!(Record),
        DmaFault::StopDevice => quote!(StopDevice),
        DmaFault::Fail => quote!(Fail),
    };
    Some(quote!(plan::Master {
        name: #title,
        vm: plan::VmIndex::new(#vm),
        smmu: #smmu,
        streams: &[#(#streams),*],
        vttbr: #vttbr,
        vtcr: #vtcr,
        on_fault: plan::DmaFault::#on_fault,
    }))
}
