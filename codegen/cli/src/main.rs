// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `bulkhead` command; everything is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    bulkhead::command::main()
}
