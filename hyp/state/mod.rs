//! What every other layer looks at: the plan, and the state of CPUs, VMs, vPEs and events.

pub mod percpu;
#[allow(unsafe_code)]
pub mod plan_data;
pub mod shared;
#[allow(unsafe_code)]
pub mod system;
