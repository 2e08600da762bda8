// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payload files: where they go, and what is refused.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use codegen::plan::Plan;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::stand_in::{self, EM_AARCH64, ET_DYN, ET_EXEC, Segment, elf};

/// The plan of one VM of `memory` on the demo's board that runs `bytes`; or what is wrong with it.
fn plan(test: &str, format: &str, bytes: &[u8], memory: &str, keys: &str) -> Result<Plan, String> {
    let directory = stand_in::directory(&format!("payload-{test}"));
    fs::write(directory.join("payload"), bytes).unwrap();
    let path: PathBuf = directory.join("system.toml");
    let text = format!(
        "[system]\nname = \"t\"\nboard = \"qemu-virt-gicv4\"\n\
         [[vm]]\nname = \"v\"\nvpes = [{{ cpu = \"cpu0\" }}]\nmemory = [{{ size = \"{memory}\" }}]\n\
         payload = {{ path = \"payload\", format = \"{format}\"{keys} }}\n"
    );
    fs::write(&path, text).unwrap();
    let system = codegen::load(&path).map_err(|report| report.render(false))?;
    stand_in::plan(&system, &directory).map_err(|report| report.render(false))
}

fn refused(result: Result<Plan, String>, texts: &[&str]) {
    let said = result.map(|_| ()).expect_err("refused");
    for text in texts {
        assert!(said.contains(text), "not \"{text}\" but\n{said}");
    }
}

/// Load number `n` of the VM: guest address, bytes, bytes cleared.
fn load(plan: &Plan, n: usize) -> (u64, u64, u64) {
    let load = &plan.vms[0].loads[n];
    (load.ipa.value(), load.bytes.len, load.clear)
}

fn image(text_offset: u64, image_size: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0x1f; bytes];
    out[8..16].copy_from_slice(&text_offset.to_le_bytes());
    out[16..24].copy_from_slice(&image_size.to_le_bytes());
    out[24..32].fill(0);
    out[0x38..0x3c].copy_from_slice(b"ARM\x64");
    out
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn an_image_goes_where_its_header_says() {
    let plan = plan("image", "image", &image(0x8_0000, 0x3_0000, 0x1000), "2 MiB", "").unwrap();
    assert_eq!(load(&plan, 0), (0x4008_0000, 0x1000, 0x2_f000));
    assert_eq!(plan.vms[0].entry.value(), 0x4008_0000);
    // There is room for the device tree below.
    assert_eq!(plan.vms[0].x0.0, 0x4000_0000);
}

#[test]
fn a_raw_file_goes_to_its_offset() {
    let keys = ", load_offset = \"64 KiB\", entry = 0x4001_0040";
    let plan = plan("raw", "raw", &[0; 100], "2 MiB", keys).unwrap();
    assert_eq!(load(&plan, 0), (0x4001_0000, 100, 0));
    assert_eq!(plan.vms[0].entry.value(), 0x4001_0040);
}

#[test]
fn the_device_tree_is_at_the_end_when_the_start_is_taken() {
    let plan = plan("tree", "raw", &[0; 100], "2 MiB", "").unwrap();
    assert_eq!(load(&plan, 0), (0x4000_0000, 100, 0));
    assert_eq!(plan.vms[0].x0.0, 0x401f_f000);
}

#[test]
fn an_elf_goes_to_its_addresses_or_to_the_start() {
    let segment = |address| [Segment { address, bytes: vec![3; 8], memory: 16 }];
    let fixed = elf(ET_EXEC, EM_AARCH64, 0x4002_0004, &segment(0x4002_0000));
    let made = plan("elf-fixed", "elf", &fixed, "2 MiB", "").unwrap();
    assert_eq!((load(&made, 0), made.vms[0].entry.value()), ((0x4002_0000, 8, 8), 0x4002_0004));
    let moving = elf(ET_DYN, EM_AARCH64, 0x1004, &segment(0x1000));
    let made = plan("elf-moving", "elf", &moving, "2 MiB", "").unwrap();
    assert_eq!((load(&made, 0), made.vms[0].entry.value()), ((0x4000_1000, 8, 8), 0x4000_1004));
}

#[test]
fn what_gzip_has_packed_is_unpacked() {
    let image = image(0, 0x3_0000, 0x1000);
    let plain = plan("plain", "image", &image, "2 MiB", "").unwrap();
    let made = plan("packed", "image", &packed(&image), "2 MiB", "").unwrap();
    assert_eq!(made.vms[0].loads[0].bytes.data, image);
    assert_eq!((load(&made, 0), made.digest), (load(&plain, 0), plain.digest));
    let code = [Segment { address: 0x4002_0000, bytes: vec![3; 8], memory: 16 }];
    let elf = elf(ET_EXEC, EM_AARCH64, 0x4002_0004, &code);
    let made = plan("packed-elf", "elf", &packed(&elf), "2 MiB", "").unwrap();
    assert_eq!(load(&made, 0), (0x4002_0000, 8, 8));
    // Raw bytes are nobody's business.
    let made = plan("packed-raw", "raw", &packed(&image), "2 MiB", "").unwrap();
    assert_eq!(made.vms[0].loads[0].bytes.data, packed(&image));
    let cut = &packed(&image)[..40];
    refused(plan("packed-cut", "image", cut, "2 MiB", ""), &["E603", "does not unpack"]);
}

#[test]
fn the_device_tree_goes_where_the_toml_says() {
    let keys = ", load_offset = \"64 KiB\", dtb_at = 0x4010_0000";
    let made = plan("tree-at", "raw", &[0; 100], "2 MiB", keys).unwrap();
    assert_eq!((load(&made, 1).0, made.vms[0].x0.0), (0x4010_0000, 0x4010_0000));
    let over = ", load_offset = \"64 KiB\", dtb_at = 0x4000_fff8";
    refused(plan("tree-over", "raw", &[0; 100], "2 MiB", over), &["E604", "overlap"]);
}

#[test]
fn what_no_load_covers_is_cleared_unless_the_toml_says_otherwise() {
    let spans = |spans: &[codegen::plan::Span], base: u64| -> Vec<(u64, u64)> {
        spans.iter().map(|span| (span.base.value() - base, span.bytes)).collect()
    };
    let keys = ", load_offset = \"64 KiB\", dtb_at = 0x4010_0000";
    let made = plan("cleared", "raw", &[7; 100], "2 MiB", keys).unwrap();
    let vm = &made.vms[0];
    let tree = vm.loads[1].bytes.len / 64 * 64;
    let rest = 0x10_0000 + tree;
    let expected = [(0, 0x1_0000), (0x1_0040, 0xf_0000 - 0x40), (rest, 0x20_0000 - rest)];
    assert_eq!(spans(&vm.cleared, vm.memory[0].pa.value()), expected);
    assert!(vm.kept.is_empty());
    // The piece's key is within the quotes that `plan` puts around the size.
    let piece = plan("kept-piece", "raw", &[7; 100], "2 MiB\", clear = false }] #", "").unwrap();
    let vm = plan("kept-vm", "raw", &[7; 100], "2 MiB", " }\nclear = false #").unwrap();
    for made in [piece, vm] {
        let vm = &made.vms[0];
        assert!(vm.cleared.is_empty());
        assert_eq!(spans(&vm.kept, vm.memory[0].pa.value()), [(0, 0x20_0000)]);
    }
}

#[test]
fn what_is_no_payload_is_refused() {
    let segment = || [Segment { address: 0x4000_0000, bytes: vec![0; 8], memory: 8 }];
    refused(plan("no-image", "image", &[0; 100], "2 MiB", ""), &["E603", "ARM\\x64"]);
    refused(plan("no-elf", "elf", &[0; 100], "2 MiB", ""), &["E603"]);
    let other = elf(ET_EXEC, 62, 0x4000_0000, &segment());
    refused(plan("other-machine", "elf", &other, "2 MiB", ""), &["E603"]);
    let empty = elf(ET_EXEC, EM_AARCH64, 0x4000_0000, &[]);
    refused(plan("empty", "elf", &empty, "2 MiB", ""), &["E603"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let big = image(0, 3 << 20, 0x1000);
    refused(plan("big", "image", &big, "2 MiB", ""), &["E604"]);
    let away = [Segment { address: 0x9000_0000, bytes: vec![0; 8], memory: 8 }];
    let away = elf(ET_EXEC, EM_AARCH64, 0x9000_0000, &away);
    refused(plan("away", "elf", &away, "2 MiB", ""), &["E213"]);
    let code = [Segment { address: 0x4000_0000, bytes: vec![0; 8], memory: 8 }];
    let outside = elf(ET_EXEC, EM_AARCH64, 0x4000_1000, &code);
    refused(plan("outside", "elf", &outside, "2 MiB", ""), &["E213", "0x40001000"]);
    // Nothing is left for the device tree.
    refused(plan("full", "raw", &vec![0; 16 << 10], "16 KiB", ""), &["E604", "device tree"]);
}

#[test]
fn copies_that_exceed_the_hypervisors_memory_are_refused() {
    let payload = vec![7; 5 << 20];
    refused(plan("copies", "raw", &payload, "8 MiB", ""), &["E902", "write `size = \"6 MiB\"`"]);
}
