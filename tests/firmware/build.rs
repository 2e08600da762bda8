// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Links the firmware for address 0, where QEMU's CPUs begin.

fn main() {
    for argument in ["--image-base=0", "-Ttext=0", "-z", "norelro", "-n"] {
        println!("cargo::rustc-link-arg={argument}");
    }
}
