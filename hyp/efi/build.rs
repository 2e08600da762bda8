// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Links the stub for address 0; it runs anywhere.

fn main() {
    for argument in ["--image-base=0", "-Ttext=0", "-z", "norelro", "-n"] {
        println!("cargo::rustc-link-arg={argument}");
    }
}
