// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one ITS: boot's script, and the few commands that remain at run time.
//!
//! Boot enables it on zeroed tables and runs the plan's script; from then on its state is frozen,
//! and what EL2 sends is INT for a channel's ring, the script of a mode switch, CLEAR for events of
//! a VM that restarts, what the wishes of a guest with a virtual ITS need (`vm::vits`), VSGI for a
//! guest whose SGIs the GIC has (GICv4.1), and INV, CLEAR on doorbell proxies. One ticket lock
//! serves the CPUs in turn; each holds it for one batch with bounded waits, so every wait here is
//! bounded by the number of CPUs.

use crate::state::cpu::{Local, POLLS};
use crate::state::intid::FIRST_LPI;
use crate::state::parts::{V41, is_used};
use crate::state::places;
use crate::state::plan_data::{PLAN, VPE_COUNT};
use crate::state::system::Built;
use arch::given::{self, ItsBoot};
use arch::mmu::{self, VlpiFrame};
use arch::sysreg::Pause;
use gicv4::boot::{Everyone, translation_service, translation_service_v41};
use gicv4::command::{Command, Encoded};
use gicv4::doorbell::{Prepared, Proxy, Todo};
use gicv4::frame;
use gicv4::hw::{LpiTable, MmioFrame, QueueRam};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::queue::Queue;
use gicv4::redist::Redist;
use gicv4::{CollectionId, DeviceId, Error, EventId, IntId, RdBase, Vetted, VpeId, vpe41};
use plan::{CpuIndex, EventRoute, VpeIndex};
use spin::mutex::TicketMutex;
use vm::router::physical;

/// The GIC sees what CPUs have in their caches.
pub const COHERENT: bool = PLAN.board.gic_coherent;

struct Service {
    queue: Queue<MmioFrame<frame::Its>, QueueRam<COHERENT>>,
    /// Configuration of physical LPIs: the doorbells'.
    config: LpiTable<COHERENT>,
}

static SERVICE: TicketMutex<Option<Service>, Pause> = TicketMutex::new(None);

/// Enables the ITS on its cleared tables and runs the script. Once, when all redistributors are up.
pub fn boot(everyone: &Everyone) -> Result<(), Error> {
    if PLAN.its.is_none() {
        return Ok(());
    }
    let Some(ItsBoot { frame, tables, cbaser, queue, config, script }) =
        given::its::<Built, COHERENT>(everyone.lpi_config())
    else {
        return Err(Error::Unsupported {
            what: "an ITS in use, or with LPI tables that are not reserved",
        });
    };
    let queue = (cbaser, queue);
    let queue = if V41 {
        let own = given::vpe_table::<Built>();
        translation_service_v41(everyone, frame, tables, queue, (residences(), own), script, POLLS)?
    } else {
        translation_service(everyone, frame, tables, queue, script, POLLS)?
    };
    *SERVICE.lock() = Some(Service { queue, config });
    Ok(())
}

/// The VLPI frames of all CPUs that are used, which boot has brought up.
fn residences() -> impl Iterator<Item = VlpiFrame> {
    let cpus = (0..).map(CpuIndex::new).zip(PLAN.cpus);
    cpus.filter(|&(index, cpu)| is_used(index, cpu))
        .filter_map(|(index, _)| mmu::virtual_lpis::<Built>(index))
}

/// Gives the ITS these commands and waits until it has taken them.
pub fn run(commands: &[Vetted]) -> Result<(), Error> {
    match SERVICE.lock().as_mut() {
        Some(service) => service.queue.run(commands),
        None => Ok(()),
    }
}

/// [`run`] for commands that `vm` encoded. Those of boot's script alone name memory.
pub fn run_encoded(commands: &[Encoded]) -> Result<(), Error> {
    match Vetted::all(commands) {
        Some(commands) => run(commands),
        None => Err(Error::Unsupported { what: "memory for the ITS after boot" }),
    }
}

/// Raises an event of the plan's, as a device would by its MSI. What it may cost is `rings`' to
/// say.
pub fn raise(route: &EventRoute) -> Result<(), Error> {
    run(&[Vetted::int(DeviceId::new(route.device), EventId::new(route.event))])
}

/// The byte of the LPI that the plan's event `event` is, on a GIC without direct injection. The ITS
/// sees it before any later command.
pub fn configure(event: usize, byte: u8) {
    if let Some(service) = SERVICE.lock().as_mut() {
        let intid = IntId::new(FIRST_LPI.wrapping_add(event as u32));
        service.config.store(intid, LpiConfig::from_byte(byte));
        service.config.publish();
    }
}

/// That LPI is enabled or masked from here on.
pub fn enable(event: usize, enabled: bool) -> Result<(), Error> {
    let Some(route) = PLAN.events.get(event) else {
        return Ok(());
    };
    let (device, id) = (DeviceId::new(route.device), EventId::new(route.event));
    configure(event, physical(enabled).byte());
    run_encoded(&[Command::Inv { device, event: id }.encode()])
}

/// The CPU of a vPE as commands name it: its collection and its redistributor.
pub fn home(vpe: VpeIndex) -> (CollectionId, RdBase) {
    let cpu = places::cpu_of(vpe).unwrap_or(CpuIndex::new(0));
    let by_address = PLAN.its.as_ref().is_some_and(|its| its.by_address);
    let redistributor = PLAN.cpus.get(cpu.index()).and_then(|cpu| match by_address {
        true => RdBase::address(cpu.redistributor.value()),
        false => Some(RdBase::processor(cpu.processor)),
    });
    (CollectionId::new(cpu.value()), redistributor.unwrap_or(RdBase::processor(0)))
}

/// GICR_SYNCR of any CPU may be waited for, by the one that has this.
static INVALIDATING: TicketMutex<(), Pause> = TicketMutex::new(());

/// GICv4.1: the configuration byte of a vLPI is in use from here on (GICR_INVLPIR).
pub fn invalidate(vpe: VpeIndex, vintid: u32) -> Result<(), Error> {
    let Some(frame) = places::cpu_of(vpe).and_then(mmu::redistributor::<Built>) else {
        return Ok(());
    };
    let _guard = INVALIDATING.lock();
    let (vpe, vintid) = (VpeId::new(vpe.value()), IntId::new(vintid));
    Redist::new(frame).invalidate(Some(vpe), vintid, POLLS)
}

/// GICv4.1: the vPE's virtual SGI is pending. No lock: the register is written, nothing else.
#[inline(always)]
pub fn send_sgi(vpe: VpeIndex, sgi: u8) {
    if let Some(frame) = mmu::its_sgis::<Built>() {
        vpe41::send_sgi(&frame, VpeId::new(vpe.value()), sgi);
    }
}

/// GICR_VSGIR of any CPU is being asked, by the one that has this.
static ASKING: TicketMutex<(), Pause> = TicketMutex::new(());

/// GICv4.1: pending virtual SGIs of a vPE, by the redistributor of its CPU.
pub fn pending_sgis(vpe: VpeIndex) -> Result<u16, Error> {
    let Some(frame) = places::cpu_of(vpe).and_then(mmu::virtual_lpis::<Built>) else {
        return Ok(0);
    };
    let _guard = ASKING.lock();
    vpe41::pending_sgis(&frame, VpeId::new(vpe.value()), POLLS)
}

/// The doorbell of each vPE; of one without, nothing is ever asked.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static DOORBELLS: [Prepared; VPE_COUNT] = {
    let nobody = Proxy::new(IntId::new(0), DeviceId::new(0), EventId::new(0));
    let mut doorbells = [Prepared::new(nobody); VPE_COUNT];
    let mut vpe = 0;
    while vpe < VPE_COUNT {
        if let Some(tables) = &PLAN.vpes[vpe].tables {
            let bell = &tables.doorbell;
            let (device, event) = (DeviceId::new(bell.device), EventId::new(bell.event));
            doorbells[vpe] = Prepared::new(Proxy::new(IntId::new(bell.intid), device, event));
        }
        vpe += 1;
    }
    doorbells
};

/// Does to the doorbell of `vpe`, on the CPU `at`, what its state machine asks for.
pub fn doorbell(vpe: VpeIndex, todo: Todo, at: &Local) -> Result<(), Error> {
    if V41 {
        return Ok(());
    }
    let Some(bell) = DOORBELLS.get(vpe.index()) else { return Ok(()) };
    if todo == Todo::Nothing {
        return Ok(());
    }
    let mut guard = SERVICE.lock();
    let Some(service) = guard.as_mut() else { return Ok(()) };
    let Service { queue, config } = service;
    bell.carry_out(todo, config, &at.sync, |commands| queue.run(commands))
}
