//! What devices reach: the SMMU's boot, the streams of VMs that run, and fault records.
//!
//! Compiles to nothing where no VM's device is behind an SMMU. From EL2's first instructions on no
//! transaction passes the SMMU but those of a function whose VM runs, by that VM's stage 2. A fault
//! is charged to the function that made it; one that makes too many in one life of its VM is cut
//! off until the next, silently (STE.Config = abort), so that no device keeps EL2 busy.
//!
//! 1. `close`, before anything else: everything is aborted.
//! 2. `boot`: verified against the plan, enabled on a stream table of zeros.
//! 3. `attach`, when a VM's functions are set up; `detach`, when they are stopped.
//! 4. `interrupt`: records are taken and told.

use crate::gic::its::POLLS;
use crate::io::console;
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use arch::mmu;
use arch::smmu::{Registers, Words};
use arch::sysreg::Pause;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use gicv4::IntId;
use gicv4::dist::Dist;
use plan::{Stream, Vm};
use smmu::event::{Access, Event};
use smmu::event_queue::EventQueue;
use smmu::gerror::GlobalError;
use smmu::ste::{Granule, STE_BYTES, Stage2};
use smmu::stream::Streams;
use smmu::table::{Shape, StreamTable};
use smmu::unit::{Expect, Ring, Setup, Unit};
use smmu::{Error, StreamId, Vmid};
use spin::mutex::TicketMutex;
use vm::text::Text;

/// A VM's device is behind an SMMU.
pub const ANY: bool = PLAN.smmu.is_some();
/// Records that one interrupt takes.
const AT_ONCE: u32 = 16;
/// Faults that a function may have in one life of its VM, and faults that are told of devices that
/// no VM has.
const MOST: u32 = 64;
/// Functions of all VMs.
const FUNCTIONS: usize = PLAN.functions.len();

struct Service {
    unit: Unit<Registers>,
    streams: Streams<'static, Registers, Words, Words>,
    events: EventQueue<Registers, Words>,
}

static SERVICE: TicketMutex<Option<Service>, Pause> = TicketMutex::new(None);
/// By function: faults in this life of its VM.
static FAULTS: [AtomicU32; FUNCTIONS] = [const { AtomicU32::new(0) }; FUNCTIONS];
/// By function: the page that was told last.
static PAGES: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(NO_PAGE) }; FUNCTIONS];
const NO_PAGE: u64 = u64::MAX;
/// Faults of devices that no VM has.
static STRANGE: AtomicU32 = AtomicU32::new(0);
/// It has been told that records were lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// One of the SMMU's own interrupts.
#[inline(always)]
pub fn is_own(intid: u32) -> bool {
    PLAN.smmu.as_ref().is_some_and(|smmu| [smmu.event_intid, smmu.error_intid].contains(&intid))
}

/// No transaction passes the SMMU from here on.
pub fn close() {
    if let Some(smmu) = &PLAN.smmu {
        Unit::new(Registers::new(smmu.base)).abort_all(POLLS).unwrap_or_else(|error| broken(error));
    }
}

/// Puts the SMMU on its cleared tables.
pub fn boot() {
    if let Some(smmu) = &PLAN.smmu {
        let service = enable(smmu).unwrap_or_else(|error| broken(error));
        *SERVICE.lock() = Some(service);
    }
}

fn enable(smmu: &plan::Smmu) -> Result<Service, Error> {
    let (table, commands, events) = decided(smmu);
    let (table_at, table_bits) = smmu.table;
    let unit = Unit::new(Registers::new(smmu.base));
    let stages = smmu.streams.iter().map(stage2);
    let vmids = smmu.streams.iter().map(|stream| vmid(stream).value());
    unit.verify(&Expect {
        stream_bits: table_bits,
        two_level: false,
        highest_vmid: vmids.max().unwrap_or(0),
        pa_bits: stages.map(|stage2| stage2.pa_bits() as u8).max().unwrap_or(0),
        granule: Granule::Kib4,
        command_bits: smmu.commands.1,
        event_bits: smmu.events.1,
        coherent: true,
    })?;
    let setup = Setup { table, commands, events, coherent: true };
    let memory = Words::new(smmu.commands.0, 16 << smmu.commands.1);
    let queue = unit.enable(&setup, memory, POLLS)?;
    let memory = Words::new(table_at, STE_BYTES << table_bits);
    let events = Words::new(smmu.events.0, 32 << smmu.events.1);
    Ok(Service {
        unit,
        streams: Streams::new(table, memory, queue),
        events: EventQueue::new(Registers::new(smmu.base), events, smmu.events.1),
    })
}

/// Table and queues as codegen laid them out, with the same functions.
fn decided(smmu: &plan::Smmu) -> (StreamTable<'static>, Ring, Ring) {
    let made = || {
        let table = StreamTable::linear(smmu.table.0.value(), Shape::linear(smmu.table.1)?)?;
        let commands = Ring::commands(smmu.commands.0.value(), smmu.commands.1)?;
        Ok((table, commands, Ring::events(smmu.events.0.value(), smmu.events.1)?))
    };
    made().unwrap_or_else(|_: smmu::Illegal| impossible())
}

fn impossible() -> ! {
    crate::stop(&mut |out| out.text("the plan's tables are not an SMMU's"))
}

fn stage2(stream: &Stream) -> Stage2 {
    Stage2::from_registers(stream.vttbr, stream.vtcr).unwrap_or_else(|_| impossible())
}

fn vmid(stream: &Stream) -> Vmid {
    Vmid::new((stream.vttbr >> 48) as u16)
}

fn streams(of: impl Fn(u16) -> bool) -> impl Iterator<Item = &'static Stream> {
    let all = PLAN.smmu.as_ref().map_or(&[][..], |smmu| smmu.streams);
    all.iter().filter(move |stream| of(stream.function))
}

/// A function of a VM that starts reaches its memory from here on.
pub fn attach(vm: &Vm, number: usize) {
    let function = usize::from(vm.first_function).wrapping_add(number);
    for stream in streams(|other| usize::from(other) == function) {
        if let (Some(faults), Some(last)) = (FAULTS.get(function), PAGES.get(function)) {
            faults.store(0, Relaxed);
            last.store(NO_PAGE, Relaxed);
        }
        let stage2 = stage2(stream);
        with(|service| service.streams.attach(StreamId::new(stream.id), &stage2));
    }
}

/// Functions of a VM reach nothing from here on, and what they had begun is over.
pub fn detach(vm: &Vm) {
    let own = vm.first_function..vm.first_function.wrapping_add(vm.function_count);
    for stream in streams(|function| own.contains(&function)) {
        cut_off(stream);
    }
}

fn cut_off(stream: &Stream) {
    with(|service| service.streams.detach(&[StreamId::new(stream.id)], vmid(stream)));
}

fn with(work: impl FnOnce(&mut Service) -> Result<(), Error>) {
    // The lock is free before this CPU stops: another one that comes here has its own line to say.
    let result = SERVICE.lock().as_mut().map_or(Ok(()), work);
    result.unwrap_or_else(|error| broken(error));
}

/// One of the SMMU's interrupts came.
pub fn interrupt() {
    let mut room = AT_ONCE;
    while room != 0
        && let Some(event) = next()
    {
        charge(&event);
        room = room.wrapping_sub(1);
    }
    if room == 0 {
        again();
    }
    let mut failed = false;
    with(|service| {
        let errors = service.unit.errors();
        failed = errors.contains(GlobalError::ServiceFailure);
        // The command queue's error is found by who waits for the command.
        service.unit.acknowledge(errors.without(GlobalError::CommandQueue));
        Ok(())
    });
    if failed {
        crate::stop(&mut |out| out.text("the SMMU has failed"))
    }
}

/// The oldest record.
fn next() -> Option<Event> {
    let mut event = None;
    let mut lost = false;
    with(|service| {
        lost = service.events.drain(1, |one| event = Some(one)).lost;
        Ok(())
    });
    if lost && !LOST.swap(true, Relaxed) {
        console::write(&mut |out| out.text("bulkhead: SMMU: fault records were lost\n"));
    }
    event
}

/// Records may be left. The SMMU interrupts when its queue becomes non-empty (IHI 0070 3.18), so
/// the interrupt is made pending here. Others can be taken before it.
fn again() {
    if let Some(smmu) = &PLAN.smmu {
        Dist::new(mmu::distributor::<Built>()).set_pending(IntId::new(smmu.event_intid));
    }
}

/// A fault is told; too many cost their function its way to memory.
fn charge(event: &Event) {
    let id = event.stream.value();
    let Some(stream) = streams(|_| true).find(|stream| stream.id == id) else {
        if STRANGE.fetch_add(1, Relaxed) < MOST {
            tell(event, "a device that no VM has", "");
        }
        return;
    };
    let function = usize::from(stream.function);
    let (Some(owner), Some(faults), Some(last)) =
        (PLAN.functions.get(function), FAULTS.get(function), PAGES.get(function))
    else {
        return;
    };
    let vm = PLAN.vms.get(owner.vm.index()).map_or("", |vm| vm.name);
    let before = faults.fetch_add(1, Relaxed);
    let page = event.address.unwrap_or(0) >> 12;
    if before < MOST {
        // A transfer is many accesses: each page is told once.
        if last.swap(page, Relaxed) != page {
            tell(event, owner.name, vm);
        }
    } else if before == MOST {
        cut_off(stream);
        console::write(&mut |out| {
            out.text("bulkhead: ");
            whose(out, owner.name, vm);
            out.text(" is cut off until its VM starts again: too many faults\n");
        });
    }
}

fn whose(out: &mut console::Own, device: &str, vm: &str) {
    out.text(device);
    if !vm.is_empty() {
        out.text(" of VM ");
        out.text(vm);
    }
}

fn tell(event: &Event, device: &str, vm: &str) {
    console::write(&mut |out| {
        out.text("bulkhead: ");
        whose(out, device, vm);
        out.text(match event.access {
            Some(Access { write: true, .. }) => ": DMA write to ",
            Some(_) => ": DMA read of ",
            None => ": DMA",
        });
        if let Some(address) = event.address {
            out.hex(address);
        }
        out.text(" refused: ");
        out.text(event.kind.text());
        out.text(", StreamID ");
        out.hex(event.stream.value().into());
        out.text("\n");
    });
}

/// The SMMU is not the plan's, or did not do what it was told.
fn broken(error: Error) -> ! {
    crate::stop(&mut |out| match error {
        Error::Differs { register, field, expected, found } => {
            crate::differs(out, register, field, expected, found);
        }
        Error::Timeout { register, .. } => {
            out.text("the SMMU took too long, a register reads ");
            out.hex(register.into());
        }
        Error::Command { slot, .. } => {
            out.text("the SMMU refuses the command in slot ");
            out.decimal(slot.into());
        }
        Error::NoEntry { stream } => {
            out.text("the stream table has no StreamID ");
            out.hex(stream.value().into());
        }
    })
}
