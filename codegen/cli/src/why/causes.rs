// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Known causes of hangs and failures, the most certain first.
//!
//! A cause has a name, which programs and tests go by; when it fits; and what to do. What a fit
//! says names what was seen, so that a reader can judge it. docs/why.md lists all of them, and a
//! scenario is made to hang or fail by each (tests/qemu/scenarios), which a test looks at.

use super::scene::{Past, Registers, Scene, Vm, Vpe};
use super::symbols::Wait;
use crate::run::Verdict;

/// One that is known.
#[derive(Debug)]
pub struct Cause {
    pub name: &'static str,
    fits: Fits,
    /// What to do.
    pub hint: &'static str,
}

/// When it fits, and what was seen then.
#[derive(Debug)]
enum Fits {
    System(fn(&Scene) -> Option<String>),
    Vm(fn(&Vm) -> Option<String>),
    /// A vPE that is on, with its registers.
    Vpe(fn(&Scene, &Vpe, &Registers) -> Option<String>),
}

/// The likely cause for somebody.
#[derive(Debug)]
pub struct Finding {
    /// The system's, a VM's or a vPE's name.
    pub who: String,
    pub cause: &'static Cause,
    pub seen: String,
}

const fn system(
    name: &'static str,
    fits: fn(&Scene) -> Option<String>,
    hint: &'static str,
) -> Cause {
    Cause { name, fits: Fits::System(fits), hint }
}

const fn vm(name: &'static str, fits: fn(&Vm) -> Option<String>, hint: &'static str) -> Cause {
    Cause { name, fits: Fits::Vm(fits), hint }
}

const fn vpe(
    name: &'static str,
    fits: fn(&Scene, &Vpe, &Registers) -> Option<String>,
    hint: &'static str,
) -> Cause {
    Cause { name, fits: Fits::Vpe(fits), hint }
}

/// All of them, in the order in which they are tried.
pub static CAUSES: &[Cause] = &[
    system(
        "hardware-differs",
        |scene| (scene.verdict == Verdict::Differs).then(|| scene.reason.clone()),
        "correct the board's TOML, or what the board is started with; docs/bring-up.md has each line",
    ),
    system(
        "hypervisor-stopped",
        |scene| (scene.verdict == Verdict::Stopped).then(|| scene.reason.clone()),
        "an error of EL2's own: docs/bring-up.md has its lines; if it is not there, report it",
    ),
    system(
        "hypervisor-silent",
        |scene| {
            let ended = [Verdict::Timeout, Verdict::Silent, Verdict::Quit].contains(&scene.verdict);
            (ended && !scene.began).then(|| "EL2 has not printed its first line".into())
        },
        "is the image where the plan has it, entered at EL2, and is the [[uart]] of the board right? \
         docs/bring-up.md goes through it",
    ),
    system(
        "hypervisor-stuck",
        |scene| {
            let asked = scene.verdict == Verdict::Timeout && scene.began;
            let silent = scene.vpes.iter().all(|vpe| vpe.power.is_empty());
            (asked && silent).then(|| "EL2 printed its first line, and does not answer now".into())
        },
        "is the console's input wired, and its interrupt in the board's TOML right? If both are, the \
         CPU that has the console is stuck in EL2: report it",
    ),
    vm(
        "watchdog-expired",
        |vm| fault(vm, ": watchdog"),
        "the VM did not feed its watchdog in time: its last exits say where it was; a longer \
         `timeout` gives it more",
    ),
    vm(
        "jumped-nowhere",
        |vm| fault(vm, ": instruction abort"),
        "it jumped to where it has no memory, or its vectors (VBAR_EL1) are there: a null function \
         pointer, a return address that was overwritten, an exception before vectors were set",
    ),
    vm(
        "no-such-memory",
        |vm| fault(vm, ": data abort"),
        "it accessed an address that the plan does not give it, and has no vectors to take that: \
         `bulkhead plan` shows its address space",
    ),
    vm(
        "reset-too-often",
        |vm| fault(vm, ": too many resets"),
        "it resets itself again and again: its last lines say why",
    ),
    vm(
        "dma-refused",
        |vm| fault(vm, ": DMA fault"),
        "a device of its was given an address that is not its memory: a bus address must be an IPA",
    ),
    vm(
        "guest-panicked",
        |vm| {
            let first = vm.said.iter().rposition(|line| panics(line))?;
            let lines = vm.said.get(first..)?;
            Some(lines.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" "))
        },
        "the guest itself says what went wrong; without an interrupt parent, look at its device tree",
    ),
    vm(
        "guest-failed",
        |vm| {
            let failed = vm.detail.starts_with("reported") && vm.detail != "reported 0";
            failed.then(|| format!("{}, {}", vm.state, vm.detail))
        },
        "the guest ended by itself with a failure: its last lines, and its own list of codes",
    ),
    vpe(
        "exception-loop",
        |_, _, seen| {
            let page = |address: u64| address.wrapping_sub(seen.get("vbar")) < 0x800;
            let begun = seen.get("pstate") != 0;
            (begun && page(seen.pc()) && page(seen.get("elr"))).then(|| {
                let (what, vbar) = (exception(seen.get("esr")), seen.get("vbar"));
                format!("{what} was taken in the vectors at {vbar:#x} themselves")
            })
        },
        "its handler takes the exception that it handles: is there code at VBAR_EL1, a stack, memory?",
    ),
    vpe(
        "interface-off",
        |scene, _, seen| {
            let waits = due(scene, seen).filter(|_| !seen.interface_on())?;
            Some(format!("{waits} is pending, and ICC_IGRPEN1_EL1 is 0"))
        },
        "write 1 to ICC_IGRPEN1_EL1 on this vPE: each has its own",
    ),
    vpe(
        "priority-masked",
        |_, _, seen| {
            let mask = seen.priority_mask();
            let (intid, priority) = seen.listed().find(|&(_, priority)| priority >= mask)?;
            let intid = interrupt(intid);
            Some(format!(
                "{intid} is pending with priority {priority:#x}, and ICC_PMR_EL1 is {mask:#x}"
            ))
        },
        "write a mask above the priorities in use to ICC_PMR_EL1, such as 0xf0",
    ),
    vpe(
        "group-off",
        |scene, vpe, seen| {
            let vm = scene.vm_of(vpe)?;
            let spi = vm.spis(|spis| spis.pending).first().map(|&intid| interrupt(intid));
            let waits = due(scene, seen).or(spi).filter(|_| !seen.group_on())?;
            Some(format!("{waits} is pending, and GICD_CTLR.EnableGrp1 is 0"))
        },
        "set EnableGrp1 (and ARE) in GICD_CTLR",
    ),
    vpe(
        "interrupts-masked",
        |scene, _, seen| {
            let waits = due(scene, seen).filter(|_| seen.masked())?;
            Some(format!("{waits} is pending, and PSTATE.I is set"))
        },
        "it runs with interrupts masked and never lets them in: DAIFClr #2, or the lock that masks",
    ),
    vpe(
        "routed-nowhere",
        |scene, vpe, _| {
            let lost = scene.vm_of(vpe)?.spis(|spis| spis.nowhere & spis.enabled);
            let lost = lost.first()?;
            Some(format!("SPI {lost} is pending, and GICD_IROUTER{lost} names no vPE that is on"))
        },
        "route it to a vPE that is on, or turn that one on first",
    ),
    vpe(
        "pending-not-enabled",
        |scene, vpe, seen| {
            let spis = scene.vm_of(vpe)?.spis(|spis| spis.pending & !spis.enabled);
            let sgi =
                (0..16).find(|&sgi| seen.get("waiting") >> sgi & 1 != 0 && !seen.enabled(sgi));
            let what = interrupt(spis.first().copied().or(sgi)?);
            Some(format!("{what} is pending, and not enabled"))
        },
        "enable it in GICD_ISENABLER or GICR_ISENABLER0, or quiet its device",
    ),
    vpe(
        "timer-interrupt-off",
        |scene, _, seen| {
            let off = seen.timer_on() && seen.timer_passed() && !seen.enabled(scene.timer);
            let intid = scene.timer;
            off.then(|| format!("the virtual timer has fired, and PPI {intid} is not enabled"))
        },
        "enable its PPI in GICR_ISENABLER0 of this vPE",
    ),
    vpe(
        "timer-masked",
        |_, _, seen| {
            let masked = seen.get("timer") & 3 == 3 && seen.timer_passed();
            masked.then(|| {
                "the virtual timer's time has passed, and CNTV_CTL_EL0.IMASK is set".into()
            })
        },
        "clear IMASK in CNTV_CTL_EL0",
    ),
    vpe(
        "starved",
        |scene, vpe, seen| {
            let waits = scene.wait(vpe) == Some(Wait::Interrupt);
            let runs =
                |other: &&Vpe| other.registers.as_ref().is_some_and(|other| other.get("runs") == 1);
            let here = |other: &&Vpe| other.cpu == vpe.cpu && other.name != vpe.name;
            let other = scene.vpes.iter().filter(here).find(runs)?;
            let starved = vpe.shares && !waits && seen.get("runs") == 0;
            starved.then(|| format!("it could go on, and {} has its CPU", other.name))
        },
        "the other has the higher priority and never waits: give it a budget, or exchange priorities",
    ),
    vpe(
        "nothing-enabled",
        |scene, vpe, seen| {
            let vm = scene.vm_of(vpe).filter(|vm| !vm.has_events)?;
            let none = seen.get("enabled") == 0 && vm.spis(|spis| spis.enabled).is_empty();
            let waits = scene.wait(vpe) == Some(Wait::Interrupt);
            (waits && none).then(|| "it waits by WFI, and no interrupt is enabled".into())
        },
        "enable what it waits for, before WFI",
    ),
    vpe(
        "event-disabled",
        |scene, vpe, _| {
            let waits = scene.wait(vpe) == Some(Wait::Interrupt);
            let intid = vpe.disabled.first().filter(|_| waits)?;
            Some(format!("it waits by WFI, and LPI {intid} is disabled in its configuration table"))
        },
        "set bit 0 of the LPI's byte in the table, then INV: an event that came meanwhile is pending",
    ),
    vpe(
        "peer-off",
        |scene, vpe, _| {
            let gone =
                |&&peer: &&usize| scene.vms.get(peer).is_some_and(|vm| vm.state != "running");
            let vm = scene.vm_of(vpe).filter(|_| scene.wait(vpe) == Some(Wait::Interrupt))?;
            let peer = vm.peers.iter().find(gone)?;
            let peer = scene.vms.get(*peer)?;
            Some(format!(
                "it waits by WFI, and {} at the other end of its channel is off",
                peer.name
            ))
        },
        "the peer ended first: let it wait for this VM, or this VM not wait for it",
    ),
    vpe(
        "timer-never-armed",
        |scene, vpe, seen| {
            let waits = scene.wait(vpe) == Some(Wait::Interrupt) && seen.enabled(scene.timer);
            let off = seen.get("timer") & 1 == 0;
            (waits && off).then(|| {
                "it waits by WFI with the virtual timer's interrupt enabled, and CNTV_CTL_EL0.ENABLE \
                 is 0"
                    .into()
            })
        },
        "write CNTV_CVAL_EL0 and set ENABLE before WFI; or it waits for a device that is silent",
    ),
    vpe(
        "peer-silent",
        |scene, vpe, _| {
            let vm = scene.vm_of(vpe).filter(|_| scene.wait(vpe) == Some(Wait::Interrupt))?;
            let peer = scene.vms.get(*vm.peers.first()?)?;
            Some(format!("it waits by WFI, and {} at the other end of its channel runs", peer.name))
        },
        "does the peer ring the channel (hypercall RING) after it writes? See what it does itself",
    ),
    vpe(
        "device-silent",
        |scene, vpe, seen| {
            let vm = scene.vm_of(vpe).filter(|_| scene.wait(vpe) == Some(Wait::Interrupt))?;
            if seen.timer_on() && seen.enabled(scene.timer) {
                return None;
            }
            let spis: Vec<String> =
                vm.spis(|spis| spis.enabled).iter().map(u64::to_string).collect();
            match (spis.is_empty(), vm.has_events) {
                (true, false) => None,
                (true, true) => {
                    Some("it waits by WFI, and nothing that EL2 sees is pending".into())
                }
                (false, _) => Some(format!(
                    "it waits by WFI, and of SPIs {} none is pending",
                    spis.join(", ")
                )),
            }
        },
        "was the device told to interrupt, and is the INTID or vINTID that the driver enables the \
         plan's?",
    ),
    vpe(
        "waits-for-event",
        |scene, vpe, _| {
            let off = scene.siblings(vpe).find(|other| other.power == "off");
            let whose = off.map_or(String::new(), |other| format!(", and {} is off", other.name));
            (scene.wait(vpe) == Some(Wait::Event)).then(|| format!("it waits by WFE{whose}"))
        },
        "nobody sends the event: SEV, or the store to the lock that it watches, is another vPE's to do",
    ),
    vpe(
        "polls",
        |scene, vpe, _| {
            let (last, rest) = vpe.past.split_last()?;
            let same = |past: &Past| (past.at, past.esr, past.ipa) == (last.at, last.esr, last.ipa);
            let polls = rest.len() >= 3 && rest.iter().all(same) && near(scene, vpe, last.at);
            polls.then(|| {
                let what = super::words::exit(scene, vpe, last);
                format!("it does the same again and again: {what}, {} exits so far", vpe.exits)
            })
        },
        "what it polls for does not come: look at what its place waits for",
    ),
    vpe(
        "other-vpe-off",
        |scene, vpe, seen| {
            let off = scene.siblings(vpe).find(|other| other.power == "off")?;
            let spins = scene.wait(vpe) == Some(Wait::No) && seen.get("runs") == 1;
            let began = if off.exits == 0 { "was never turned on" } else { "is off" };
            spins.then(|| format!("it spins, and {} {began}", off.name))
        },
        "turn it on (PSCI CPU_ON) before waiting for it",
    ),
];

/// What is likely, at most one cause for the system, for each VM and each vPE.
pub fn findings(scene: &Scene) -> Vec<Finding> {
    let first = |who: &str, fit: &dyn Fn(&Fits) -> Option<String>| {
        let mut fits = CAUSES.iter().filter_map(|cause| Some((cause, fit(&cause.fits)?)));
        fits.next().map(|(cause, seen)| Finding { who: who.to_owned(), cause, seen })
    };
    let of_system = first(&scene.name, &|fits| match fits {
        Fits::System(fits) => fits(scene),
        _ => None,
    });
    if of_system.is_some() {
        return of_system.into_iter().collect();
    }
    let of_vms = scene.vms.iter().filter_map(|vm| {
        first(&vm.name, &|fits| match fits {
            Fits::Vm(fits) => fits(vm),
            _ => None,
        })
    });
    let of_vpes = scene.vpes.iter().filter_map(|vpe| {
        first(&vpe.name, &|fits| match fits {
            Fits::Vpe(fits) => fits(scene, vpe, vpe.registers.as_ref()?),
            _ => None,
        })
    });
    of_vms.chain(of_vpes).collect()
}

/// An interrupt of the vPE's own CPU that is due: listed, or the virtual timer's.
fn due(scene: &Scene, seen: &Registers) -> Option<String> {
    let listed = seen.listed().map(|(intid, _)| interrupt(intid)).next();
    let timer = seen.timer_on() && seen.timer_passed() && seen.enabled(scene.timer);
    listed.or_else(|| timer.then(|| format!("the virtual timer's PPI {}", scene.timer)))
}

/// "SPI 34".
fn interrupt(intid: u64) -> String {
    let kind = match intid {
        0..16 => "SGI",
        16..32 => "PPI",
        32..1020 => "SPI",
        _ => "LPI",
    };
    format!("{kind} {intid}")
}

fn fault(vm: &Vm, reason: &str) -> Option<String> {
    vm.fault.clone().filter(|fault| vm.detail != "passed" && fault.contains(reason))
}

fn panics(line: &str) -> bool {
    ["panicked at", "Kernel panic", "Unable to handle kernel", "no interrupt parent", "OF: no irq"]
        .iter()
        .any(|words| line.contains(words))
}

/// The vPE is still in the function of its last exits, or its payload does not say.
fn near(scene: &Scene, vpe: &Vpe, at: u64) -> bool {
    let pc = vpe.registers.as_ref().map_or(at, Registers::pc);
    pc.abs_diff(at) < 0x400 || scene.place(vpe, pc).is_none()
}

/// What ESR_EL1 says, in words (DDI 0487 D24, ESR_ELx.EC).
fn exception(esr: u64) -> &'static str {
    match esr >> 26 & 0x3f {
        0x00 => "an undefined instruction",
        0x07 => "use of floating point, which CPACR_EL1 traps",
        0x15 => "an SVC",
        0x20 | 0x21 => "an instruction abort",
        0x22 => "a misaligned PC",
        0x24 | 0x25 => "a data abort",
        0x26 => "a misaligned stack pointer",
        0x2f => "an SError",
        0x30..=0x33 | 0x38 | 0x3c => "a debug exception",
        _ => "an exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Report;
    use serde_json::{Value, json};

    const REGISTERS: &str = "registers of one/0: runs 0x1 pc 0x40001000 pstate 0x5 vbar 0x40000000 \
                             vmcr 0xf0000002 timer 0x1 compare 0x9 now 0x8 enabled 0x8000000 \
                             waiting 0x0 group 0x1";

    /// One vPE, of which EL2 told these lines.
    fn scene(told: &[String], plan: Option<&str>) -> Scene {
        let report: Report = serde_json::from_value(json!({
            "name": "one", "verdict": "timeout", "reason": "no result within 1 s", "vms": [],
            "counters": {}, "figures": [], "log": [], "icount": false, "plan": plan, "told": told,
        }))
        .expect("a report");
        let plan: Value = json!({
            "vms": [{ "name": "one" }], "vpes": [{ "vm": 0, "number": 0, "cpu": 0 }],
            "cpus": [{ "schedule": { "kind": "exclusive" } }], "board": { "virtual_ppi": 27 },
        });
        Scene::new(&report, &plan, Vec::new())
    }

    fn named(lines: &[String]) -> Vec<&'static str> {
        findings(&scene(lines, Some("0x1"))).iter().map(|finding| finding.cause.name).collect()
    }

    #[test]
    fn a_hypervisor_that_does_not_answer() {
        assert_eq!(named(&[]), ["hypervisor-stuck"]);
    }

    /// A board that was on before anybody listened.
    #[test]
    fn a_first_line_that_nobody_heard() {
        let named = |told: &[String]| findings(&scene(told, None)).len();
        assert_eq!(named(&["vpe one/0: on, exits 7".into(), REGISTERS.into()]), 0);
        assert_eq!(named(&[]), 1, "it is silent");
    }

    #[test]
    fn nothing_is_named_where_nothing_fits() {
        let on = "vpe one/0: on, exits 7, last at 0x40001000".to_owned();
        assert_eq!(named(&[on.clone(), REGISTERS.into()]), [""; 0]);
        let fired = REGISTERS.replace("now 0x8", "now 0x9");
        assert_eq!(named(&[on.clone(), fired.clone()]), [""; 0], "it is about to be taken");
        let masked = fired.replace("pstate 0x5", "pstate 0x85");
        assert_eq!(named(&[on, masked]), ["interrupts-masked"]);
    }

    #[test]
    fn the_last_answer_counts() {
        let first = "spis of one from 32: owned 0x2 enabled 0x0 pending 0x2 nowhere 0x0";
        let told = |last: &str| {
            ["vpe one/0: on, exits 7", REGISTERS, first, "vpe one/0: on, exits 8", last]
                .map(str::to_owned)
                .to_vec()
        };
        assert_eq!(named(&told(REGISTERS)), ["pending-not-enabled"]);
        let later = first.replace("pending 0x2", "pending 0x0");
        assert_eq!(named(&told(&later)), [""; 0]);
    }
}
