// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From "hardware differs from the plan" to the key of the TOML.
//!
//! EL2 names registers, in as few bytes as it can. docs/bring-up.md has the same table.

/// How a line begins, and what to look at. Of two that fit, the first counts.
pub const KEYS: &[(&str, &str)] = &[
    ("MPIDR_EL1 of this CPU", "[[cpu]] mpidr"),
    ("ID_AA64PFR0_EL1.GIC", "[gic]: the CPU has no GIC system registers"),
    ("list registers in ICH_VTR_EL2", "[gic] list_registers"),
    ("DCZID_EL0, bytes", "no key: EL2 needs DC ZVA with 64 bytes"),
    ("CNTFRQ_EL0", "[timer] frequency"),
    ("ID_AA64MMFR0_EL1.PARange, bits", "[board] address_bits"),
    ("ID_AA64DFR0_EL1.PMUVer for VM", "the VM's features: \"pmu\""),
    ("ID_AA64PFR0_EL1.SVE for VM", "the VM's features: \"sve\""),
    ("GICD_PIDR2.ArchRev", "[gic] version, gic.distributor base"),
    ("GICD_TYPER.SPIs", "[gic] spis"),
    ("GICD_TYPER.LPIS", "[gic.its]: the GIC has no LPIs"),
    ("GICD_TYPER.DVIS", "[gic] version"),
    ("GICD_TYPER.IDbits + 1", "no key: the GIC has too few LPIs for the doorbells"),
    ("ICH_VTR_EL2.nV4", "[gic] version"),
    ("GIC quirk", "[gic] quirks"),
    ("GICR_TYPER.Affinity_Value", "gic.redistributors base and stride, [[cpu]] redistributor"),
    ("GICR_TYPER.VLPIS", "gic.redistributors stride"),
    ("GICR_TYPER.PLPIS", "[gic.its]: the redistributor has no LPIs"),
    ("GICR_TYPER.RVPEID", "[gic] version"),
    ("GICR_TYPER.Processor_Number", "[[cpu]] processor"),
    ("GITS_PIDR2.ArchRev", "[gic.its] base"),
    ("GITS_TYPER.Virtual", "[gic] version"),
    ("GITS_TYPER.Physical", "[gic.its]: the ITS has no LPIs"),
    ("GITS_TYPER.Devbits + 1", "[gic.its] device_id_bits"),
    ("GITS_TYPER.ID_bits + 1", "[gic.its] event_id_bits"),
    ("GITS_TYPER.PTA", "[gic.its] rdbase"),
    ("GITS_TYPER.ITT_entry_size + 1", "[gic.its] entry_size"),
    ("GITS_TYPER.CIDbits + 1", "no key: the ITS has too few collections for the CPUs in use"),
    ("GITS_TYPER.VMAPP", "[gic] version"),
    ("GITS_TYPER.VMOVP", "no key: the ITS cannot move the vPEs that [[mode]] moves"),
    ("the last word of RAM", "[[ram]] base and size"),
    ("vendor and device of the PCI function", "[[device]] address and id"),
    ("vendor and device of the PCI bridge", "[[bridge]] address and id"),
    ("header type of", "[[device]] or [[bridge]] address"),
    ("bytes of BAR", "device.bars or bridge.bars: index and size"),
    ("64-bit BAR", "device.bars or bridge.bars: wide"),
    ("MSI-X vectors of", "device.msix vectors"),
    ("BAR of the MSI-X table of", "device.msix bar"),
    ("offset of the MSI-X table of", "device.msix table"),
    ("interrupt pin of", "device.pin"),
    ("MSI vectors", "[[device]] events, device.msix"),
    ("address bits of MSI of", "no key: the function cannot write to an ITS above 4 GiB"),
    ("ACS control", "[[bridge]] acs"),
    ("how the CPU with this redistributor signals", "[timer] or [pmu], the key that it names"),
    ("the CPU with this redistributor", "[[cpu]] mpidr, [board] psci"),
    ("PSCI CPU_ON of the CPU", "[[cpu]] mpidr, [board] psci"),
    ("an interrupt of VM", "device.intids"),
    ("the console's interrupt", "[[uart]] intid"),
    ("the SMMU's interrupt", "[[smmu]] event_intid and error_intid"),
    ("an interrupt of the hypervisor", "[timer] hypervisor and maintenance"),
    ("a timer or PMU of VMs", "[timer] virtual and physical, [pmu] intid"),
];

/// What of the TOML a line is about.
pub fn key(line: &str) -> Option<&'static str> {
    let what = line.split_once("the plan: ").map_or(line, |(_, what)| what);
    KEYS.iter().find(|(start, _)| what.starts_with(start)).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_key() {
        let line = "hardware differs from the plan: GICD_TYPER.SPIs at 0x8000000: the plan needs";
        assert_eq!(key(line), Some("[gic] spis"));
        assert_eq!(key("hardware differs from the plan: something else"), None);
    }
}
