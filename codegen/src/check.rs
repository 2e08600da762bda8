//! All rules over one system, in one run.
//!
//! A system that `load` returned has all its names resolved; whether it makes sense is decided here. When a name did
//! not resolve, `load` calls the rules itself over what there is, and returns everything that was found as its error.

use crate::diag::Report;
use crate::model::System;

/// What is wrong with the system as a whole: errors and warnings. The plan may be made only when there is no error.
pub fn run(system: &System) -> Report {
    Report { sources: system.sources.clone(), diagnostics: Vec::new() }
}
