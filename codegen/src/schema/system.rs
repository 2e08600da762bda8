// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system TOML.

use ::plan::{DmaFault, Fault, Feature, ItsPolicy, MemoryRole, PowerOff};
use schemars::JsonSchema;
use serde::Deserialize;

use super::event::VpeChoice;
use super::partition::InlinePayload;
use super::schedule::{Cpu, Mode};
use super::{Address, S};
use crate::units::{ControlKey, EventRun, Size, Time};

/// A system: a board and the VMs that share it.
///
/// One file in configs/, or anywhere. One system becomes one image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemFile {
    /// The system that this one is but for what it says: NAME for configs/NAME.toml, or a path
    /// ending in .toml relative to this file. They merge as boards do.
    pub inherit: Option<S<String>>,
    /// What of the inherited system this one does not have: "channel", "vm.linux",
    /// "vm.linux.devices".
    #[serde(default)]
    pub remove: Vec<S<String>>,
    /// What the system is and what it runs on.
    pub system: S<SystemTable>,
    /// The hypervisor's own share.
    pub hypervisor: Option<S<Hypervisor>>,
    /// The virtual machines.
    #[schemars(length(min = 1))]
    pub vm: Vec<S<Vm>>,
    /// Shared memory between two VMs, each of which can ring the other.
    #[serde(default)]
    pub channel: Vec<S<Channel>>,
    /// How vPEs share a CPU. A CPU that is not described is one vPE's own.
    #[serde(default)]
    pub cpu: Vec<S<Cpu>>,
    /// Other ways to place the vPEs, to which the system can be switched while it runs.
    #[serde(default)]
    pub mode: Vec<S<Mode>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemTable {
    /// Name of the system: up to 31 letters, digits, `-`, `_` and `.`, as all names are. Its output
    /// is in target/bulkhead/NAME, which belongs to one file.
    pub name: S<String>,
    /// One line for people.
    pub description: Option<String>,
    /// The board: NAME for boards/NAME.toml, or a path ending in .toml relative to this file.
    pub board: S<String>,
    /// What happens when every VM is off or failed.
    #[schemars(extend("x-default" = "power-off"))]
    pub when_all_off: Option<PowerOff>,
    /// VM that gets the console's input first.
    #[schemars(extend("x-default" = "the first VM with a console"))]
    pub focus: Option<S<String>>,
    /// "trusted": VMs that have a device which no SMMU holds may be trusted with the whole board,
    /// and `check` does not warn of them.
    pub dma: Option<S<Dma>>,
    /// Key that starts a command to the hypervisor on the console.
    #[schemars(extend("x-default" = "ctrl-]"))]
    pub escape: Option<S<ControlKey>>,
    /// Name of the mode that boots: the one that the VMs' `vpes` and `[[cpu]]` describe.
    #[schemars(extend("x-default" = "\"initial\""))]
    pub initial_mode: Option<S<String>>,
    /// The one VM that may ask for another mode.
    pub switch_by: Option<S<String>>,
    /// How long `bulkhead run` waits for the system's result under QEMU; the image does not know
    /// it.
    pub time_limit: Option<S<Time>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dma {
    Trusted,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hypervisor {
    /// Memory for the image, its tables and the copies of the payloads, from 2 MiB above the start
    /// of the first RAM; a multiple of 2 MiB.
    #[schemars(extend("x-default" = "4 MiB"))]
    pub size: Option<S<Size>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vm {
    /// Name of the VM, also on the console.
    pub name: S<String>,
    /// The partition it runs: NAME for NAME/partition.toml in partitions/ or in a group there.
    /// Either this or `payload`.
    pub partition: Option<S<String>>,
    /// The file it runs, when it runs no partition.
    pub payload: Option<S<InlinePayload>>,
    /// Its virtual CPUs, numbered from 0.
    #[schemars(length(min = 1))]
    pub vpes: Vec<S<Vpe>>,
    /// Its memory. The first piece holds the payload, the first that is RAM the device tree.
    #[schemars(length(min = 1))]
    pub memory: Vec<S<Memory>>,
    /// Its memory is cleared before its first start. With false it keeps what was there before,
    /// except where the payload is loaded.
    #[schemars(extend("x-default" = true))]
    pub clear: Option<S<bool>>,
    /// Devices of the board that it owns.
    #[serde(default)]
    pub devices: Vec<S<String>>,
    /// Those of `devices` that have events but are given none: the guest polls them.
    #[serde(default)]
    pub polled: Vec<S<String>>,
    /// Those of `devices` that have events and a `pin`, and signal by the pin: by INTx.
    #[serde(default)]
    pub intx: Vec<S<String>>,
    /// Events of its devices that interrupt it, each as a vLPI.
    #[serde(default)]
    pub event: Vec<S<Event>>,
    /// It has an emulated PL011 on the board's console.
    #[schemars(extend("x-default" = true))]
    pub console: Option<S<bool>>,
    /// It reads the hypervisor's lines, which a board without `uart` keeps in memory
    /// (docs/console.md).
    #[schemars(extend("x-default" = false))]
    pub log: Option<S<bool>>,
    /// What happens to it when it fails.
    #[schemars(extend("x-default" = "halt"))]
    pub on_fault: Option<Fault>,
    /// With `on_fault = "restart"`: how often it may restart before it is halted. By default 5
    /// times within 10 s.
    pub restarts: Option<S<Restarts>>,
    /// How often it may reset itself (PSCI SYSTEM_RESET). One more is a fault, after which it does
    /// not start again. By default 20 times within 10 s: booting an operating system takes longer,
    /// and a VM that resets for ever is stopped.
    pub resets: Option<S<Restarts>>,
    /// What becomes of it when a device of its, which an SMMU holds, accesses memory that is not
    /// its own: "record", a line on the console, and of too many the device is cut off until the VM
    /// starts again; "stop-device", that at the first; "fail", the VM fails.
    #[schemars(extend("x-default" = "record"))]
    pub on_dma_fault: Option<S<DmaFault>>,
    /// Such accesses that each of its devices may make before it is cut off. Counted anew when the
    /// VM starts.
    #[schemars(extend("x-default" = 64))]
    pub dma_faults: Option<S<u32>>,
    /// Mode that the system switches to when it fails.
    pub mode_on_fault: Option<S<String>>,
    /// It must feed a watchdog: by hypercall, or by the registers of an SBSA generic watchdog
    /// (docs/guest-abi.md).
    pub watchdog: Option<S<Watchdog>>,
    /// The virtual ITS it sees. "none": its payload knows its vINTIDs; "fixed": it may map its
    /// events as they are; "remap": it may give them other vINTIDs.
    #[schemars(extend("x-default" = "none"))]
    pub its: Option<S<ItsPolicy>>,
    /// Batches of commands that it may cause at the physical ITS in a millisecond, 1 to 1000: rings
    /// of its channels, what its virtual ITS needs of the hardware, and what a restart puts back.
    /// As many may come at once; more wait and none is lost, and a channel end that waits is rung
    /// once. All VMs share the ITS that translates their interrupts: a batch takes it about a
    /// microsecond, so that the usual number is 3 % of its time.
    #[schemars(extend("x-default" = 32))]
    pub its_allowance: Option<S<u32>>,
    /// Priority of its events at the start, lower is more urgent; a multiple of 4. A guest with a
    /// virtual ITS that wants another one costs a command for each event: Linux from 6.10 on wants
    /// 0xc0.
    #[schemars(extend("x-default" = "0xa0"))]
    pub event_priority: Option<S<u8>>,
    /// Parts of the CPU that are the VM's own: "debug", breakpoints and watchpoints; "pmu",
    /// performance counters, with their interrupt if the board has it; "sve", scalable vectors,
    /// only for vPEs that have their CPUs to themselves.
    #[serde(default)]
    pub features: Vec<S<Feature>>,
    /// Arguments of the payload: /chosen/bootargs in its device tree.
    #[schemars(extend("x-default" = "the partition's"))]
    pub arguments: Option<S<String>>,
    /// Address of the first instruction, as the guest sees it.
    #[schemars(extend("x-default" = "the payload's"))]
    pub entry: Option<S<Address>>,
    /// Device tree blob (dtc -O dtb) to use instead of the generated one; it is compared with what
    /// the VM has.
    #[schemars(extend("x-default" = "the partition's"))]
    pub dtb: Option<S<String>>,
    /// Overlay (dtc -@ -O dtb) that goes on the device tree.
    #[schemars(extend("x-default" = "the partition's"))]
    pub overlay: Option<S<String>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpe {
    /// The CPU it runs on: its own, unless `[[cpu]]` says how it is shared.
    pub cpu: S<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Size, a multiple of 4 KiB; best of 2 MiB.
    pub size: S<Size>,
    /// Where the guest sees it.
    #[schemars(extend("x-default" = "identity: where it is; the first RAM: 0x4000_0000, or where the \
                                     board's RAM begins if its GIC is in that GiB; other RAM: \
                                     after the RAM before"))]
    pub ipa: Option<S<Address>>,
    /// Where it is.
    #[schemars(extend("x-default" = "the plan chooses"))]
    pub pa: Option<S<Address>>,
    /// The guest sees it where it is: IPA = PA.
    #[schemars(extend("x-default" = false))]
    pub identity: Option<S<bool>>,
    /// What it is to the guest. "ram" is in the device tree's /memory. "rom" (no writes) and
    /// "hidden" (with writes) are not in the tree: they need an `ipa` that the payload knows.
    /// "flash" is a NOR flash (docs/guest-abi.md) of 256 KiB to 64 MiB, a power of two, in sectors
    /// of 256 KiB. The first start erases it and loads `file`; it keeps what the guest stores until
    /// the board starts again.
    #[schemars(extend("x-default" = "ram"))]
    pub role: Option<S<MemoryRole>>,
    /// File that each start loads at its beginning, unchanged: a firmware image, a table that the
    /// payload looks for. A flash takes it at the first start only.
    pub file: Option<S<String>>,
    /// It is cleared before the VM's first start. With false it keeps what was there, except where
    /// the payload is loaded.
    #[schemars(extend("x-default" = "the VM's `clear`"))]
    pub clear: Option<S<bool>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// One of the VM's devices.
    pub device: S<String>,
    /// EventID: number of the device's MSI or MSI-X vector. Either this or `events`.
    pub event: Option<S<u32>>,
    /// First and last of a run of EventIDs, as in "0..9" for ten of them.
    pub events: Option<S<EventRun>>,
    /// INTID of the vLPI that the guest takes, from 8192 on; with `events` that of the first, the
    /// others' follow. `just learn` writes what a guest with a virtual ITS asked for.
    #[schemars(extend("x-default" = "the plan chooses"))]
    pub vintid: Option<S<u32>>,
    /// Number of the vPE that takes it. With `events` also "spread", over all vPEs in turn, or a
    /// list of numbers to take in turn.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<VpeChoice>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// Starts that it may have within the time. The next fault, or the next reset, halts it. Faults
    /// and resets are counted apart.
    pub most: S<u32>,
    /// The time. It begins with the first start, and anew with the first start after its end.
    pub within: S<Time>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// The longest time between two feeds, 1 ms at least. It runs whether the VM has a CPU or not,
    /// but not in a mode without a place for its vPE 0.
    pub time: S<Time>,
    /// What happens to the VM when the time is over: "on-fault", what `on_fault` says; "report", a
    /// line on the console and it goes on; "halt", "restart" or "reset-board". `restarts` count as
    /// after faults.
    #[schemars(extend("x-default" = "on-fault"))]
    pub action: Option<WatchdogAction>,
    /// Mode that the system switches to then.
    #[schemars(extend("x-default" = "none; with \"on-fault\" that of `mode_on_fault`"))]
    pub mode: Option<S<String>>,
    /// When the time begins: "boot", whenever the VM starts, and the guest cannot stop it; "feed",
    /// with its first feed.
    #[schemars(extend("x-default" = "boot"))]
    pub start: Option<WatchdogStart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogAction {
    /// As after a fault.
    OnFault,
    /// It is told, and the VM goes on.
    Report,
    /// It stays off.
    Halt,
    /// It starts afresh, as long as that is not too often.
    Restart,
    /// All VMs start afresh.
    ResetBoard,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogStart {
    Boot,
    Feed,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name of the channel, in both guests' device trees.
    pub name: S<String>,
    /// Size of the shared memory, a multiple of 4 KiB.
    pub size: S<Size>,
    /// Where the shared memory is.
    #[schemars(extend("x-default" = "the plan chooses"))]
    pub pa: Option<S<Address>>,
    /// Boot clears it. With false it keeps what was there. A restart of either VM does not change
    /// it.
    #[schemars(extend("x-default" = true))]
    pub clear: Option<S<bool>>,
    /// Its two ends: "first" and "second", in this order.
    pub ends: Vec<S<ChannelEnd>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelEnd {
    /// The VM at this end.
    pub vm: S<String>,
    /// What it may do with the shared memory.
    pub access: S<Access>,
    /// Where it sees the shared memory.
    #[schemars(extend("x-default" = "the plan chooses"))]
    pub ipa: Option<S<Address>>,
    /// Number of the vPE that the other end's ring interrupts.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<u32>>,
    /// INTID of the vLPI by which the other end rings, from 8192 on.
    #[schemars(extend("x-default" = "the plan chooses"))]
    pub vintid: Option<S<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    ReadWrite,
    ReadOnly,
}
