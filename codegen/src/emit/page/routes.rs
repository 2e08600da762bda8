// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The way of each interrupt, from the device to the vPE, and what it costs.

use super::colour;
use crate::plan::{EventRoute, Pa, Plan, SpiRoute, VpeIndex};

pub struct Route {
    /// Who asks, and how: "DeviceID 16, EventID 0".
    pub source: String,
    pub by: String,
    /// What takes it on: the ITS or the distributor.
    pub through: String,
    /// What the guest takes.
    pub becomes: String,
    pub vpe: String,
    /// On a CPU.
    pub cpu: String,
    pub class: String,
    /// EL2 runs, once for each.
    pub exits: bool,
    pub otherwise: String,
}

/// Those without an exit first.
pub fn all(plan: &Plan) -> Vec<Route> {
    let events = plan.events.iter().enumerate().map(|one| event(plan, one));
    let spis = plan.spis.iter().enumerate();
    let spis = spis.filter_map(|(n, route)| Some(spi(plan, n + 32, route.as_ref()?)));
    events.chain(spis).chain(private(plan)).collect()
}

fn event(plan: &Plan, (number, event): (usize, &EventRoute)) -> Route {
    let listed = plan.is_listed();
    if listed && event.ring {
        return Route {
            source: format!("channel {}", event.source),
            by: "hypercall of its peer".into(),
            through: "SGI of EL2's".into(),
            becomes: format!("vINTID {}", event.vintid),
            ..self::listed(plan, event.vpe)
        };
    }
    let (vpe, cpu, class) = target(plan, event.vpe);
    let its = plan.its.as_ref().map_or(Pa::new(0), |its| its.base);
    let otherwise = match plan.vpes[event.vpe].tables {
        Some(tables) => {
            format!("not resident: its doorbell, LPI {} on {cpu}, one exit", tables.doorbell.intid)
        }
        None if listed => "by a list register".into(),
        None => "not resident: lost".into(),
    };
    let source = match event.ring {
        true => format!("channel {}", event.source),
        false => event.source.clone(),
    };
    Route {
        source,
        by: format!("MSI: DeviceID {}, EventID {}", event.device, event.event),
        through: format!("ITS at {its}"),
        becomes: match listed {
            true => format!("LPI {} for vINTID {}", 8192 + number, event.vintid),
            false => format!("vLPI {}", event.vintid),
        },
        vpe,
        cpu,
        class,
        exits: listed,
        otherwise,
    }
}

fn spi(plan: &Plan, intid: usize, route: &SpiRoute) -> Route {
    Route {
        source: route.source.clone(),
        by: format!("pin, {}", if route.edge { "edge" } else { "level" }),
        through: format!("distributor at {}", plan.board.distributor),
        becomes: format!("SPI {intid}"),
        ..listed(plan, route.vpe)
    }
}

/// The private interrupts that guests have.
fn private(plan: &Plan) -> impl Iterator<Item = Route> {
    let names = [
        (Some(plan.board.timer.virtual_ppi), "virtual timer"),
        (Some(plan.board.timer.physical_ppi), "physical timer"),
        (plan.board.pmu_ppi, "PMU"),
    ];
    let vpes = (0..plan.vpes.len()).map(VpeIndex::at);
    vpes.flat_map(move |index| {
        let ppis = plan.vms[plan.vpes[index].vm].ppis.0;
        let own = names.into_iter().filter_map(move |(ppi, name)| {
            let ppi = ppi.filter(|ppi| ppis >> ppi & 1 != 0)?;
            Some((ppi, name))
        });
        own.map(move |(ppi, name)| {
            let route = listed(plan, index);
            Route {
                source: name.into(),
                by: format!("of {}, level", route.cpu),
                through: "redistributor".into(),
                becomes: format!("PPI {ppi}"),
                ..route
            }
        })
    })
}

/// What EL2 takes and puts into a list register.
fn listed(plan: &Plan, vpe: VpeIndex) -> Route {
    let (vpe, cpu, class) = target(plan, vpe);
    Route {
        source: String::new(),
        by: String::new(),
        through: String::new(),
        becomes: String::new(),
        vpe,
        cpu,
        class,
        exits: true,
        otherwise: "by a list register".into(),
    }
}

/// The vPE's name, its CPU in the mode that boots, and its colour.
fn target(plan: &Plan, vpe: VpeIndex) -> (String, String, String) {
    let of = &plan.vpes[vpe];
    (plan.vpe_name(vpe), plan.cpus[of.cpu].name.clone(), colour(of.vm.index()))
}
