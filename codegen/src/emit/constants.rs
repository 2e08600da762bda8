// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.rs: the plan as constants of the `plan` crate's types.
//!
//! There is no logic in it, and nothing unsafe. It refers to `TABLES`, the bytes of tables.bin,
//! which the file that includes it declares: payload copies are slices of that.

use proc_macro2::TokenStream;
use quote::quote;

use crate::plan::Plan;
use crate::plan::constant::Constant;

const HEAD: &str =
    "// Generated from the system's TOML; `bulkhead plan` shows the same for people.\n\n";

/// The file.
pub fn file(plan: &Plan) -> String {
    match syn::parse2(tokens(plan)) {
        Ok(file) => format!("{HEAD}{}", prettyplease::unparse(&file)),
        // What `quote!` made parses; should it not, the compiler's message is better than none.
        Err(_) => tokens(plan).to_string(),
    }
}

fn tokens(plan: &Plan) -> TokenStream {
    let (vms, vpes, cpus) = (plan.vms.len(), plan.vpes.len(), plan.cpus.len());
    let events = plan.events.len();
    let (flashes, smmus, leaves) = (plan.flashes.len(), plan.smmus.len(), plan.leaves.len());
    let masters = plan.masters.iter().filter(|master| !master.trusted).count();
    let value = plan.constant();
    quote! {
        pub const VM_COUNT: usize = #vms;
        pub const VPE_COUNT: usize = #vpes;
        pub const CPU_COUNT: usize = #cpus;
        pub const EVENT_COUNT: usize = #events;
        pub const FLASH_COUNT: usize = #flashes;
        pub const SMMU_COUNT: usize = #smmus;
        pub const LEAF_COUNT: usize = #leaves;
        pub const MASTER_COUNT: usize = #masters;

        pub static PLAN: plan::Plan = #value;
    }
}
