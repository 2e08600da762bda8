// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of rules: stable ids, names, and one line each for docs/errors.md.
//!
//! An id is never given to another rule; W instead of E is a warning. E0xx the files themselves,
//! E1xx names, E2xx memory, E3xx CPUs and modes, E4xx devices, E5xx interrupts, E6xx payloads, E7xx
//! channels and console, E8xx the board's own description, E9xx limits, the plan and targets.

use super::{Diagnostic, Severity};

/// One thing that can be wrong.
#[derive(Debug)]
pub struct Rule {
    /// "E201 memory-overlap".
    pub id: &'static str,
    pub severity: Severity,
    /// What is wrong, in general.
    pub what: &'static str,
}

impl Rule {
    pub fn says(&'static self, title: impl Into<String>) -> Diagnostic {
        Diagnostic {
            id: self.id,
            severity: self.severity,
            title: title.into(),
            labels: Vec::new(),
            help: None,
        }
    }
}

const fn severity(id: &str) -> Severity {
    match id.as_bytes() {
        [b'W', ..] => Severity::Warning,
        _ => Severity::Error,
    }
}

macro_rules! rules {
    ($($rule:ident $id:literal $what:literal)*) => {
        $(#[doc = $what] pub static $rule: Rule = Rule { id: $id, severity: severity($id), what: $what };)*
        /// All rules, by id.
        pub static ALL: &[&Rule] = &[$(&$rule),*];
    };
}

rules! {
    SYNTAX "E001 toml-syntax" "A file is not TOML."
    UNKNOWN_KEY "E002 unknown-key" "A key or table that the format does not have."
    MISSING_KEY "E003 missing-key" "A key or table that must be there is not."
    WRONG_TYPE "E004 wrong-type"
        "A value of another type than the key's: a string for a number, a table for a list."
    WRONG_VALUE "E005 wrong-value"
        "A value that the key cannot have: a size without unit, an unknown choice, a number out \
         of range."
    UNREADABLE "E006 unreadable-file" "A file that cannot be read, or is not UTF-8."
    OTHER_KIND "E007 other-kind"
        "A board's or partition's TOML is given where a system's is wanted, or the other way \
         round."
    INHERIT_CYCLE "E008 inherit-cycle" "A file inherits itself, directly or by way of others."
    REMOVES_NOTHING "E009 removes-nothing" "`remove` names what the inherited file does not have."

    UNKNOWN_BOARD "E101 unknown-board"
        "A file names a board that is not in boards/, or inherits a system that is not in configs/."
    UNKNOWN_PARTITION "E102 unknown-partition" "A VM names a partition that is not in partitions/."
    UNKNOWN_CPU "E103 unknown-cpu" "A vPE or a `[[cpu]]` names a CPU that the board does not have."
    UNKNOWN_DEVICE "E104 unknown-device"
        "A VM or an event names a device that the board does not have."
    UNKNOWN_VM "E105 unknown-vm"
        "A channel, a CPU's table or a key names a VM that the system does not have."
    UNKNOWN_PART "E106 unknown-part"
        "The board names a UART, a PCIe host, an SMMU or an IOMMU that it does not have."
    DUPLICATE_NAME "E107 duplicate-name" "Two things of one kind have the same name."
    BAD_NAME "E108 bad-name"
        "A name is empty, or has characters that file names and device trees do not allow."
    UNKNOWN_MODE "E109 unknown-mode"
        "`mode_on_fault` or a watchdog names a mode that the system does not have."
    LABEL_TWICE "E110 label-twice"
        "Two nodes of a device tree would have the same label: `-` and `_` are the same in \
         labels."
    NO_ECAM "E111 no-ecam"
        "A device or a bridge is behind a PCIe controller without an ECAM, which takes a driver of \
         its own."

    MEMORY_OVERLAP "E201 memory-overlap"
        "Two VMs, or a VM and a channel, have the same physical memory."
    MEMORY_HYPERVISOR "E202 memory-hypervisor"
        "A VM's or a channel's memory overlaps the hypervisor's own."
    MEMORY_MMIO "E203 memory-mmio"
        "A VM's or a channel's memory overlaps the registers of a device."
    MEMORY_RESERVED "E204 memory-reserved" "A VM's or a channel's memory overlaps a reserved range."
    OUTSIDE_RAM "E205 outside-ram" "Memory lies outside the board's RAM."
    MISALIGNED "E206 misaligned" "An address or a size is not a multiple of what the hardware maps."
    EMPTY "E207 empty" "A size or a time is zero, or a list that needs an entry has none."
    IPA_OVERLAP "E208 ipa-overlap"
        "Two pieces of a VM's memory, or a channel and its memory, overlap in guest addresses."
    IPA_MMIO "E209 ipa-mmio"
        "A VM's memory overlaps the GIC, the UART, PCIe or a device that the guest sees."
    IPA_RANGE "E210 ipa-range" "A guest address is beyond the board's `address_bits`."
    IDENTITY "E211 identity" "Identity memory is given an IPA that is not its PA."
    DMA_IDENTITY "E212 dma-identity"
        "A VM has a device that does DMA or sends events without an SMMU, but its memory is not \
         identity memory."
    IPA_HOLE "E213 ipa-hole" "An entry point, or a part of a payload, lies outside the VM's memory."
    NO_RAM "E214 no-ram" "A VM has memory, but none with the role of RAM."
    FLASH_SIZE "E215 flash-size" "A flash's size is not a power of two from 256 KiB to 64 MiB."
    FRAMES_REACH "E216 redistributors-reach"
        "A VM's redistributors, one for each vPE, overlap something else that it sees."

    CPU_TWICE "E301 cpu-twice" "Two vPEs claim one CPU, which is exclusive."
    VPE_RANGE "E302 vpe-range"
        "An event, a channel or a CPU's table goes to a vPE that the VM does not have."
    WINDOW_OVERLAP "E303 window-overlap" "Two windows of a CPU overlap."
    WINDOW_OUTSIDE "E304 window-outside" "A window ends after its frame."
    VPE_LEFT_OUT "E305 vpe-left-out"
        "A vPE is on a shared CPU whose windows or priorities do not have it: it would never \
         run."
    VPE_TWICE "E306 vpe-twice"
        "A vPE has two places in one mode: on two CPUs, or two priorities on one."
    BUDGET_PERIOD "E307 budget-above-period" "A budget is more than its period."
    UTILISATION "E308 utilisation" "The budgets of a CPU's vPEs add up to more than its time."
    STARVED "W309 starved"
        "A vPE of a CPU shared by priority may starve: a vPE above it has no budget, or the \
         budgets above it add up to the CPU's time."
    EQUAL_PRIORITY "E310 equal-priority"
        "Two vPEs of one CPU have the same priority: one of them would never run."
    WHOLE_TICKS "E311 whole-ticks"
        "A frame or a period is not a whole number of the counter's ticks, or a time is shorter \
         than one."
    TOO_MANY_VPES "E312 too-many-vpes" "More vPEs share a CPU than its scheduler has slots: 32."
    NO_PLACE "E313 no-place" "A mode changes a CPU and says nothing about a vPE of it."
    MODE_UNREACHED "E314 mode-unreached"
        "Nothing can switch to the system's modes, or `switch_by` names a VM and there are no \
         modes."
    MODE_BOUNDARY "E315 mode-boundary"
        "The frames of a mode's CPUs begin together so rarely that a switch would take more \
         than a minute."
    RESTARTS_UNUSED "E316 restarts-unused" "A VM has `restarts`, but no fault restarts it."
    FEATURE_SHARED "E317 feature-shared"
        "A VM has a feature that EL2 does not switch, but one of its vPEs shares a CPU in some \
         mode."
    TOO_SHORT "E318 time-too-short"
        "A window or a budget is shorter than the board's `switch_time`: nothing would run in \
         it."
    TOO_MANY_WINDOWS "E319 too-many-windows" "A frame has more than 256 windows."
    NO_WAY_BACK "W320 no-way-back"
        "A mode suspends the one VM that may ask for another mode, and no fault leads out of \
         it."
    ONE_CPU "W321 one-cpu"
        "Two vPEs of one VM share a CPU by priority: if one spins until the other is done, it \
         spins for ever."

    WATCHDOG_TIME "E322 watchdog-time" "A watchdog's time is shorter than 1 ms."
    TOO_LONG "E323 time-too-long" "A time is longer than 1000000 s, the longest that EL2 compares."
    RESTART_SUSPENDED "W324 restart-suspended"
        "A fault restarts a VM and switches to a mode that suspends its vPE 0: it stays off \
         until the next mode."
    DEVICE_TWICE "E401 device-twice" "One device is given to two VMs, or twice to one."
    DEVICE_OF_OTHER "E402 device-not-owned"
        "An event, `polled` or `intx` names a device that is not the VM's own."
    NO_EVENT "E403 device-without-event"
        "A VM has a device, but none of its events: the guest would wait for ever."
    DEVICE_NO_EVENTS "E404 event-of-silent-device"
        "An event of a device that has no events, or that the VM polls."
    SLOT_SHARED "E405 pci-device-shared"
        "Functions of one PCI device, which share interrupt lines and resets, are given to two \
         VMs."
    NO_VIRTUAL_ITS "W406 no-virtual-its"
        "An operating system has a PCI function with events, but no virtual ITS to map them."
    FEW_EVENTS "W407 few-events"
        "An operating system has fewer events of a PCI function than it will ask for: one, and \
         one for each vPE."
    NO_INTERRUPT "E408 device-without-interrupt"
        "A PCI device without events has no `pin`, or its host no `intx`, and is not `polled`: it \
         would never interrupt."
    PAGE_SHARED "E409 page-shared"
        "Registers of devices of two VMs, or of a device and of the hypervisor's, are in one page \
         of 4 KiB, which only one of them can be given."
    LINE_SHARED "E410 interrupt-shared" "Devices of two VMs signal one interrupt."
    PAGE_ALONG "W411 page-along"
        "A VM reaches a device that nobody was given, in the page of one that it was given."
    INTX_NONE "E412 intx-none"
        "`intx` names a device that has no INTx, or that has an event or is polled, too."

    EVENT_TWICE "E501 event-twice" "One event of one device is given twice."
    EVENT_RANGE "E502 event-range" "An EventID that the device does not have."
    VINTID_TWICE "E503 vintid-twice" "One vINTID of one VM is given to two events or channel ends."
    VINTID_RANGE "E504 vintid-range" "A vINTID that no vLPI can have."
    NO_ITS "E505 no-its" "Events of devices, or a virtual ITS, on a board whose GIC has no ITS."
    ITS_WIDTH "E506 its-width" "A DeviceID or EventID does not fit the ITS's widths."
    TOO_MANY_EVENTS "E507 too-many-events" "There are more events than vINTIDs."
    GICV41_ONLY "E508 gicv41-only"
        "A key that only a GICv4.1 has, on a board with another GIC."
    EVENT_PRIORITY "E510 event-priority" "A priority that no vLPI can have."
    EVENT_CHOICE "E511 event-choice" "An `[[vm.event]]` has both `event` and `events`, or neither."
    ITS_ALLOWANCE "E516 its-allowance"
        "A VM may cause no ITS commands at all, or more than an ITS executes."

    PAYLOAD_CHOICE "E601 payload-choice" "A VM has both a partition and a payload, or neither."
    PAYLOAD_MISSING "E602 payload-missing" "A payload's file or package is not there."
    PAYLOAD_FORMAT "E603 payload-format"
        "A payload's file does not have the format given, or cannot be loaded as asked."
    PAYLOAD_BIG "E604 payload-too-big" "A payload is bigger than the memory it is loaded into."
    PAYLOAD_ALIGN "E605 payload-misaligned"
        "An Image is not loaded at 2 MiB + text_offset, or an entry is not a multiple of 4."

    OVERLAY "E606 overlay" "An overlay does not fit the VM's device tree."
    TREE_MEMORY "E607 tree-memory" "A device tree has memory that is not the VM's, or no memory."
    TREE_CPUS "E608 tree-cpus"
        "A device tree has other CPUs than the VM has vPEs, or does not start them by PSCI."
    TREE_PSCI "E609 tree-psci"
        "A device tree has no PSCI, or calls it in a way that the VM does not know."
    TREE_TIMER "E610 tree-timer" "A device tree has no timer, or one with another interrupt."
    TREE_GIC "E611 tree-gic"
        "A device tree has another GIC or ITS than the VM, or has it elsewhere."
    TREE_PCIE "E612 tree-pcie"
        "A device tree has a PCIe host, buses, windows or DeviceIDs that are not the VM's."
    TREE_DEVICE "E613 tree-device"
        "A device tree has a device whose registers or interrupts are not the VM's."
    TREE_LACKS "W614 tree-lacks" "A user's device tree leaves out what the VM has."

    CHANNEL_ENDS "E701 channel-ends" "A channel has not exactly two ends."
    CHANNEL_SELF "E702 channel-self" "Both ends of a channel are the same VM."
    CHANNEL_SILENT "E703 channel-silent" "Neither end of a channel may write."
    NO_CONSOLE "E704 console-without-uart" "A VM has a console, but the board has no UART for it."
    CONSOLE_NOBODY "E705 console-of-nobody" "No VM has a console: nothing would receive the input."
    FOCUS "E706 focus-without-console" "The console's focus is a VM without console."
    NO_LOG "E707 log-beside-console"
        "A VM has `log = true` on a board with a console, which keeps no log."

    BOARD_OVERLAP "E801 board-overlap" "Two ranges of the board's address map overlap."
    GICR_SIZE "E802 redistributor-size"
        "The redistributors' stride or size does not fit the GIC's version or the CPUs."
    MPIDR "E803 mpidr" "Two CPUs have the same MPIDR, or one has bits outside the affinity fields."
    ITS_FRAME "E804 its-frame"
        "The ITS's or distributor's frame does not have the architecture's size."
    INTID_RANGE "E805 intid-range" "An INTID is not a PPI, or not an SPI that the distributor has."
    INTID_TWICE "E806 intid-twice" "Two things of the board signal the same INTID."
    PCI_ADDRESS "E807 pci-address"
        "A PCI function is on a bus that its host does not have, or two are at one address."
    ECAM_SIZE "E808 ecam-size" "A host's ECAM is too small for its buses, or not aligned to them."
    BAR "E809 bar"
        "A BAR's size is not a power of two of at least 4 KiB, or its number is taken or does \
         not exist."
    DEVICE_ID_TWICE "E810 device-id-twice"
        "Two devices, or two PCIe hosts, have the same DeviceIDs."
    RESERVED_OUTSIDE "E811 reserved-outside" "A reserved range is not in RAM."
    INTX "E812 intx" "A host has neither no INTx lines nor four."
    WINDOW "E813 pci-window" "A host's window is on the wrong side of 4 GiB."
    DEVICE_HYPERVISOR "E814 device-over-hypervisor"
        "A device's registers lie in the hypervisor's memory."
    DEVICE_RAM "E815 device-over-ram" "A device's registers lie in RAM."
    BRIDGE "E816 pci-bridge"
        "A bridge's buses do not follow its own, lie outside those above it, or belong to \
         another bridge too."
    BUS_UNREACHED "E817 pci-bus-unreached" "A PCI function is on a bus that no bridge leads to."
    PSCI_CONDUIT "E819 psci-conduit" "`psci` is \"hvc\": a call by HVC never leaves EL2."
    PROCESSOR_TWICE "E830 processor-twice" "Two CPUs have the same processor number in the GIC."
    TABLE_PAGE "E831 table-page" "`table_page` is a size that no ITS has."
    MSIX "E832 msix"
        "A device's MSI-X table lies in none of its BARs, is too big, or has fewer vectors than \
         the device has events."
    TRUSTED "W833 messages-trusted"
        "EL2 does not check a device's messages, and the board has no SMMU: the device can \
         write anywhere."
    QUIRK "E834 gic-quirk"
        "A quirk of the GIC does not fit the board or the system, or is not supported."
    ADDRESS_BITS "E840 address-bits"
        "An address of the board is beyond its `address_bits`, or no CPU has that many."
    STREAM_ID "E841 stream-id"
        "A StreamID is wider than its SMMU's `stream_id_bits`, or than 12 bits where its stream \
         tables have one level."
    STREAM_TWICE "E842 stream-twice" "Devices of two VMs behind one SMMU have the same StreamID."
    DMA_TRUSTED "W844 dma-trusted" "No SMMU holds a VM's device: the VM can reach all memory."
    STREAM_MISSING "E845 stream-missing"
        "A device behind an SMMU has no StreamID, or has one and is behind none."
    NO_ACS "E846 no-acs"
        "Functions of two VMs are behind ports of one switch that pass accesses from one to the \
         other."
    SMMU_SIZE "E847 smmu-size" "An SMMU gives out shorter addresses than VMs' memory may have."
    UART_REGISTERS "E848 uart-registers"
        "A UART has `reg_shift` or `reg_io_width` that do not fit its kind or each other."
    UART_SIZE "E849 uart-size"
        "A UART is smaller than its kind's registers, or these lie in two pages."
    NAMES_MISSING "E860 names-missing"
        "Some of a device's regions or interrupts have names, and others have none."
    BOARD_TREE "E861 board-tree"
        "The board's `tree` cannot be read, or a device's `node` is not in it."
    NODE_DIFFERS "E862 node-differs"
        "A device's `node` has another `compatible`, or not the registers or interrupts that the \
         device has."
    NODE_DECISION "E863 node-decision"
        "`fixed_clocks` or `drop` of a device do not fit its `node`."
    NODE_REFERENCE "E864 node-reference"
        "A device's node refers to something that its VM does not have: clocks, resets, power, \
         pins."

    RAM_FULL "E901 ram-full"
        "The VMs, channels and the hypervisor need more RAM than the board has."
    HYPERVISOR_ROOM "E902 hypervisor-room" "The hypervisor's own memory does not fit in its place."
    WINDOW_FULL "E903 pci-window-full"
        "The BARs of a host's devices in use do not fit its windows; behind a bridge they lie \
         below 4 GiB."
    TOO_MANY "E904 too-many"
        "There are more VMs, consoles, vPEs, CPUs, modes or channels than the hypervisor's \
         tables hold."
    PLAN_IMPOSSIBLE "E906 plan-impossible"
        "A table cannot be made: an address is beyond what the hardware can hold, or used \
         twice."

    TARGET_OVERLAP "E907 target-overlap"
        "Firmware of a disk image lies over its partition table or over other firmware."
    TARGET_FILE "E908 target-file" "A file that a target takes along is not there."
}

/// docs/errors.md.
pub fn manual() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         What `bulkhead check` can report, by id. Ids are stable. Every message names both parties, \
         points at\nthe lines that disagree and says what to write. `bulkhead schema` writes this page \
         from the table of\nrules.\n\n\
         | id | name | what is wrong |\n|---|---|---|\n",
    );
    for rule in ALL {
        let (id, name) = rule.id.split_once(' ').unwrap_or((rule.id, ""));
        text.push_str(&format!("| {id} | {name} | {} |\n", rule.what));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn ids_are_sorted_and_unique() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id[1..4] < pair[1].id[1..4], "{} {}", pair[0].id, pair[1].id);
        }
    }
}
