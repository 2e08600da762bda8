// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.html: the plan as one page, with pictures.
//!
//! Everything is in the one file: no script, no font, no image and no address of another place. Its
//! policy (Content-Security-Policy) forbids a browser to load any. Words and tables are plan.txt's
//! ([`report`]), pictures are drawn from the same plan; nothing is computed anew.
//! The templates are in codegen/templates; what they insert is escaped.

mod bar;
mod guest;
mod input;
mod memory;
mod routes;
mod time;

use askama::Template;

use super::changes::Changes;
use super::report;
use super::section::{Block, Section, Table};
use crate::plan::{MemoryRole, Plan};

pub use input::{Input, inputs};

use bar::Bar;
use guest::Guest;
use routes::Route;

/// What a page says besides the plan.
#[derive(Default)]
pub struct Around<'a> {
    /// What is odd about the system, as a person reads it; empty: nothing.
    pub warnings: &'a str,
    /// Files that the plan was made from.
    pub inputs: &'a [Input],
    /// What is other than in an older plan.
    pub changes: Option<&'a Changes>,
}

/// The page.
pub fn html(plan: &Plan, around: &Around) -> String {
    let page = Page::new(plan, around);
    match page.render() {
        Ok(text) => text,
        // Writing to a String fails only where a value refuses to be text; none does.
        Err(error) => format!("<!DOCTYPE html><title>{}</title>{error}\n", plan.system),
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    plan: &'a Plan,
    warnings: &'a str,
    inputs: &'a [Input],
    changes: Option<&'a Changes>,
    digest: String,
    facts: Vec<(usize, &'static str)>,
    memory: Vec<Bar>,
    areas: Section,
    modes: Vec<time::Mode>,
    cpus: Vec<Section>,
    guests: Vec<Guest>,
    routes: Vec<Route>,
    events: Vec<Section>,
    devices: Vec<Section>,
    scripts: Vec<Section>,
    budgets: Table,
    own: Vec<Bar>,
    kept: Vec<Section>,
    assumed: Vec<Section>,
}

impl<'a> Page<'a> {
    fn new(plan: &'a Plan, around: &Around<'a>) -> Self {
        let mut page = Self {
            plan,
            warnings: around.warnings,
            inputs: around.inputs,
            changes: around.changes,
            digest: format!("{:016x}", plan.digest.0),
            facts: facts(plan),
            memory: memory::ram(plan),
            areas: Section::new("memory-map", "Every range of RAM that somebody owns"),
            modes: time::modes(plan),
            cpus: Vec::new(),
            guests: guest::all(plan),
            routes: routes::all(plan),
            events: Vec::new(),
            devices: Vec::new(),
            scripts: Vec::new(),
            budgets: budgets(plan),
            own: memory::own(plan),
            kept: Vec::new(),
            assumed: Vec::new(),
        };
        for mut section in report::sections(plan) {
            let of_vm = section.id.strip_prefix("vm-");
            if let Some(guest) =
                of_vm.and_then(|name| page.guests.iter_mut().find(|g| g.name == name))
            {
                section.heading = section.heading.split_off(guest.heading());
                guest.section = Some(section);
                continue;
            }
            match section.id.as_str() {
                "memory" => page.areas.blocks = section.blocks,
                "cpus" | "time" => page.cpus.push(section),
                id if id.starts_with("mode-") => page.cpus.push(section),
                "events" | "spis" => page.events.push(section),
                "pci" | "bridges" | "dma" => page.devices.push(section),
                "kept" => page.kept.push(section),
                "assumed" => page.assumed.push(section),
                _ => page.scripts.push(section),
            }
        }
        page
    }
}

/// Numbers for the head of the page.
fn facts(plan: &Plan) -> Vec<(usize, &'static str)> {
    let its = plan.its.as_ref();
    let events = if plan.is_listed() { "events, one exit each" } else { "events without an exit" };
    let spis = plan.spis.iter().flatten().count();
    let commands = its.map_or(0, |its| its.script.len());
    let cpus = plan.cpus.iter().filter(|cpu| cpu.schedule.is_used()).count();
    let modes = plan.modes.as_ref().map_or(1, |modes| modes.modes.len());
    vec![
        (plan.vms.len(), "VMs"),
        (plan.vpes.len(), "vPEs"),
        (cpus, "CPUs used"),
        (modes, if modes == 1 { "mode" } else { "modes" }),
        (plan.events.len(), events),
        (spis, "SPIs of VMs"),
        (commands, "ITS commands at boot"),
    ]
}

/// What each VM has, and how much it may cause.
fn budgets(plan: &Plan) -> Table {
    let head = [
        "VM",
        "memory",
        "stage-2 tables",
        "loaded at a start",
        "restarts",
        "resets",
        "watchdog",
        "ITS batches",
    ];
    let mut table = Table::new(&head);
    for vm in &plan.vms {
        let memory = vm.memory.iter().filter(|piece| piece.role != MemoryRole::Flash);
        let memory: u64 = memory.map(|piece| piece.bytes).sum();
        let loaded: u64 = vm.loads.iter().map(|load| load.bytes.len).sum();
        let often = |limit: &crate::plan::Restarts| format!("{} in {}", limit.most, limit.within);
        let watchdog = vm.watchdog.as_ref().map_or("-".into(), |watchdog| watchdog.time.clone());
        let allowance = vm.its_allowance;
        let each = super::time::time(plan, allowance.interval);
        table.row(&[
            &vm.name,
            &report::size(memory),
            &report::size(vm.stage2_bytes),
            &report::size(loaded),
            &vm.restarts.as_ref().map_or("-".into(), often),
            &often(&vm.resets),
            &watchdog,
            &format!("{} at once, then one each {each}", allowance.most),
        ]);
    }
    table
}

/// Class of a VM's colour.
fn colour(vm: usize) -> String {
    format!("c{}", vm % 8)
}

/// Class of an owner's colour in the memory map.
fn owner_colour(plan: &Plan, owner: &str) -> String {
    match owner {
        "hypervisor" => "own".into(),
        "reserved" => "reserved".into(),
        _ => {
            let vm = plan.vms.iter().position(|vm| vm.name == owner);
            vm.map_or("several".into(), colour)
        }
    }
}
