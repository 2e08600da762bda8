// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plans: some as they stand, what every plan must hold, and the ITS scripts of boot and of modes
//! on the software GIC.
//!
//! The Rust partitions are stand-ins of fixed content here, so that a plan depends on the TOML
//! files alone. After a deliberate change run with BLESS=1 and read the difference of tests/plans/.

#[path = "plan/bridges.rs"]
mod bridges;
#[path = "plan/bytes.rs"]
mod bytes;
#[path = "plan/edges.rs"]
mod edges;
#[path = "plan/firmware.rs"]
mod firmware;
#[path = "plan/generated.rs"]
mod generated;
#[path = "plan/high.rs"]
mod high;
#[path = "plan/hosts.rs"]
mod hosts;
#[path = "plan/log.rs"]
mod log;
#[path = "plan/nodes.rs"]
mod nodes;
#[path = "plan/page.rs"]
mod page;
#[path = "plan/payload.rs"]
mod payload;
#[path = "plan/rules.rs"]
mod rules;
#[path = "plan/schedule.rs"]
mod schedule;
#[path = "plan/smmu.rs"]
mod smmu;
#[path = "plan/snapshot.rs"]
mod snapshot;
#[path = "plan/software.rs"]
mod software;
#[path = "plan/stage1.rs"]
mod stage1;
#[path = "plan/stage2.rs"]
mod stage2;
#[path = "plan/stand_in.rs"]
mod stand_in;
#[path = "plan/switch.rs"]
mod switch;
#[path = "plan/trees.rs"]
mod trees;
#[path = "plan/view.rs"]
mod view;
