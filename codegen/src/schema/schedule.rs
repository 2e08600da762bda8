// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How CPUs are shared, in the system TOML: `[[cpu]]` and `[[mode]]`.

use ::plan::Rest;
use schemars::JsonSchema;
use serde::Deserialize;

use super::S;
use crate::units::Time;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(tag = "kind")]
pub enum Cpu {
    /// It is one vPE's own, as is every CPU that is not described.
    Exclusive(ExclusiveCpu),
    /// The ready vPE of the highest priority runs.
    Priority(PriorityCpu),
    /// Each vPE runs in its windows of a repeating frame.
    Cyclic(CyclicCpu),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExclusiveCpu {
    /// Name of the CPU, as the board has it.
    pub name: S<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityCpu {
    /// Name of the CPU, as the board has it.
    pub name: S<String>,
    /// Every vPE that runs on it.
    #[schemars(length(min = 1))]
    pub vpes: Vec<S<PriorityVpe>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityVpe {
    /// Its VM.
    pub vm: S<String>,
    /// Its number in that VM.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<u32>>,
    /// Its priority on this CPU: a higher number goes first, no two are equal.
    pub priority: S<u8>,
    /// What it may use at this priority. Without it: everything that higher priorities leave.
    pub budget: Option<S<Budget>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// CPU time in each period. What is left over is lost.
    pub time: S<Time>,
    /// The period, a whole number of the counter's ticks. All periods begin at the system's start.
    pub period: S<Time>,
    /// What it does when the time is used up. "background": it runs while no other vPE is ready;
    /// "suspended": it waits for the next period.
    #[schemars(extend("x-default" = "background"))]
    pub rest: Option<Rest>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CyclicCpu {
    /// Name of the CPU, as the board has it.
    pub name: S<String>,
    /// Length of the frame, a whole number of the counter's ticks. All frames begin at the system's
    /// start.
    pub frame: S<Time>,
    /// The windows. A vPE may have several. Between windows nobody runs.
    #[schemars(length(min = 1))]
    pub windows: Vec<S<Window>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// VM of the vPE that runs in it.
    pub vm: S<String>,
    /// Its number in that VM.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<u32>>,
    /// From the start of the frame.
    pub start: S<Time>,
    /// How long it is.
    pub length: S<Time>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Name of the mode.
    pub name: S<String>,
    /// The CPUs whose use differs from the mode that boots.
    #[schemars(length(min = 1))]
    pub cpu: Vec<S<ModeCpu>>,
    /// The vPEs that do not run in this mode. Their interrupts wait.
    #[serde(default)]
    pub suspended: Vec<S<SuspendedVpe>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(tag = "kind")]
pub enum ModeCpu {
    /// Nothing runs on it.
    Idle(IdleCpu),
    /// It is one vPE's own.
    Exclusive(ModeExclusiveCpu),
    /// As `kind = "priority"` of `[[cpu]]`.
    Priority(PriorityCpu),
    /// As `kind = "cyclic"` of `[[cpu]]`.
    Cyclic(CyclicCpu),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdleCpu {
    /// Name of the CPU, as the board has it.
    pub name: S<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeExclusiveCpu {
    /// Name of the CPU, as the board has it.
    pub name: S<String>,
    /// VM of the vPE that has it.
    pub vm: S<String>,
    /// Its number in that VM.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<u32>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendedVpe {
    /// Its VM.
    pub vm: S<String>,
    /// Its number in that VM.
    #[schemars(extend("x-default" = 0))]
    pub vpe: Option<S<u32>>,
}
