// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The plan beside an image, as plan.json has it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The plan of the image `binary`.
pub fn beside(binary: &Path) -> Result<Value, String> {
    let path = binary.with_file_name("plan.json");
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}

/// A number, or the hexadecimal text that stands for an address or a register.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(hex) => u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok(),
        other => other.as_u64(),
    }
}
