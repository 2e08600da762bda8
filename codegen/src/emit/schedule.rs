//! Schedules and modes in plan.rs.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::tables::hex;
use crate::plan::{Decided, Mode, Placement, Schedule, Switch};

/// `plan::Schedule`.
pub fn schedule(schedule: &Schedule) -> TokenStream {
    match schedule {
        Schedule::Unused => quote!(plan::Schedule::Unused),
        Schedule::Exclusive { vpe } => {
            let vpe = index(*vpe);
            quote!(plan::Schedule::Exclusive(#vpe))
        }
        Schedule::Priority { slots, .. } => {
            let slots = slots.iter().map(|slot| {
                let (vpe, priority) = (index(slot.vpe), Literal::u8_unsuffixed(slot.priority));
                let budget = match slot.budget {
                    None => quote!(None),
                    Some(budget) => {
                        let (ticks, period) = (number(budget.ticks), number(budget.period));
                        let rest = match budget.rest {
                            "suspended" => quote!(Suspended),
                            _ => quote!(Background),
                        };
                        quote!(Some(plan::Budget::new(#ticks, #period, plan::Rest::#rest)))
                    }
                };
                quote!(plan::PrioritySlot { vpe: #vpe, priority: #priority, budget: #budget })
            });
            quote!(plan::Schedule::Priority(&[#(#slots),*]))
        }
        Schedule::Cyclic { ticks, vpes, windows, .. } => {
            let ticks = number(*ticks);
            let vpes = vpes.iter().map(|turn| index(turn.vpe));
            let windows = windows.iter().map(|window| {
                let (start, ticks) = (number(window.start), number(window.ticks));
                let slot = Literal::usize_unsuffixed(window.slot);
                quote!(plan::Window { start: #start, ticks: #ticks, slot: #slot })
            });
            quote!(plan::Schedule::Cyclic(&plan::Frame {
                ticks: plan::ticks(#ticks),
                vpes: &[#(#vpes),*],
                windows: &[#(#windows),*],
            }))
        }
    }
}

/// `Option<plan::Modes>`.
pub fn modes(plan: &Decided) -> TokenStream {
    let Some(modes) = &plan.modes else {
        return quote!(None);
    };
    let asker = match modes.asker {
        None => quote!(None),
        Some(vm) => {
            let vm = vm as u16;
            quote!(Some(plan::VmIndex::new(#vm)))
        }
    };
    let modes = modes.modes.iter().map(mode);
    quote!(Some(plan::Modes { modes: &[#(#modes),*], asker: #asker }))
}

fn mode(mode: &Mode) -> TokenStream {
    let (name, boundary) = (&mode.name, number(mode.boundary));
    let schedules = mode.schedules.iter().map(schedule);
    let placements = mode.placements.iter().map(|place| match place {
        None => quote!(None),
        Some(Placement { cpu, slot }) => {
            let (cpu, slot) = (*cpu as u16, Literal::usize_unsuffixed(*slot));
            quote!(Some(plan::Placement { cpu: plan::CpuIndex::new(#cpu), slot: #slot }))
        }
    });
    let switches = mode.switches.iter().map(switch);
    quote!(plan::Mode {
        name: #name,
        boundary: plan::ticks(#boundary),
        schedules: &[#(#schedules),*],
        placements: &[#(#placements),*],
        switches: &[#(#switches),*],
    })
}

fn switch(switch: &Switch) -> TokenStream {
    let bits = switch.cpus.iter().fold(0u64, |bits, &cpu| bits | 1 << cpu);
    let cpus: TokenStream = format!("{bits:#b}").parse().unwrap_or_default();
    let moves = switch.moves.iter().map(|step| {
        let (vpe, from, to) = (index(step.vpe), step.from as u16, step.to as u16);
        quote!(plan::Move {
            vpe: #vpe,
            from: plan::CpuIndex::new(#from),
            to: plan::CpuIndex::new(#to),
        })
    });
    let script = switch.script.iter().map(|line| {
        let words = line.words.map(hex);
        quote!([#(#words),*])
    });
    quote!(plan::ModeSwitch { cpus: #cpus, moves: &[#(#moves),*], script: &[#(#script),*] })
}

fn index(vpe: usize) -> TokenStream {
    let vpe = vpe as u16;
    quote!(plan::VpeIndex::new(#vpe))
}

fn number(value: u64) -> Literal {
    Literal::u64_unsuffixed(value)
}
