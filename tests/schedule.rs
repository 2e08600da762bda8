//! Plans with shared CPUs and modes: as they stand, what every one must hold, and a mode's switch on the software GIC.
//!
//! Rust partitions are stand-ins here. After a deliberate change run with BLESS=1 and read the difference of tests/plans/.

#[path = "schedule/emitted.rs"]
mod emitted;
#[path = "schedule/snapshot.rs"]
mod snapshot;
#[path = "schedule/switch.rs"]
mod switch;

use std::path::Path;

use codegen::image::Payloads;
use codegen::plan::{self, Decided};

/// The plan of the system at `path`, which is checked first. The error is what the user would read.
pub fn plan(path: &Path) -> Result<Decided, String> {
    let system = codegen::load(path).map_err(|report| report.render(false))?;
    let report = codegen::check::run(&system);
    if report.has_errors() {
        return Err(report.render(false));
    }
    let payloads = Payloads::read_or_stand_in(&system, Path::new("nothing is built"));
    let planned = payloads.and_then(|payloads| plan::make(&system, &payloads));
    planned.map_err(|report| report.render(false))
}

/// The plan of a system of this tree.
pub fn of(path: &str) -> Decided {
    plan(&tests::root().join(path)).unwrap_or_else(|report| panic!("{report}"))
}

pub const SHARED: &str = "configs/shared.toml";
pub const MODES: &str = "tests/plans/systems/modes.toml";
