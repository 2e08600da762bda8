# SPDX-License-Identifier: Apache-2.0 OR MIT
# SYSTEM is a name in configs/, or a path to a system's TOML from the folder where `just` is called.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The first build takes a minute, in which cargo shows how far it is; later ones need no words.
quiet := `[[ -e ${CARGO_TARGET_DIR:-target}/debug/bulkhead ]] && echo --quiet || true`
target := absolute_path(env("CARGO_TARGET_DIR", "target"))
root := justfile_directory()
caller := invocation_directory()
folder := if trim_start_match(caller, root) != caller { caller } else { root }
build := "cargo build " + quiet + " --package bulkhead"
program := "CARGO_TARGET_DIR='" + target + "' '" + target + "/debug/bulkhead'"
bulkhead := build + " && cd '" + folder + "' && " + program

_list:
    @just --list --unsorted

# Build a system and boot it under QEMU (more: just run demo --help)
run SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} run {{SYSTEM}} {{OPTIONS}}

# Show a board's console and judge it as run does: a serial device, HOST:PORT, a pipe or a file
console DEVICE *OPTIONS:
    @{{bulkhead}} console {{DEVICE}} {{OPTIONS}}

# Show every mistake in a system's TOML at once
check SYSTEM="demo":
    @{{bulkhead}} check {{SYSTEM}}

# Show what the build decides: memory, CPUs, interrupt routes, ITS commands, sizes (--html: a page)
plan SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} plan {{SYSTEM}} {{OPTIONS}}

# Say why the last run hung or failed: what each vPE does, and the likely cause
why SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} why {{SYSTEM}} {{OPTIONS}}

# Show what a run taught, as a change of the TOML (--write: make it)
learn SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} learn {{SYSTEM}} {{OPTIONS}}

# Show a board with all that it inherits
board BOARD:
    @{{bulkhead}} board {{BOARD}}

# Write a board's TOML from a device tree (more: just import --help)
import *OPTIONS:
    @{{bulkhead}} import {{OPTIONS}}

# Measure a board by an image of its own, and show what its TOML says otherwise (--write: change it)
probe BOARD *OPTIONS:
    @{{bulkhead}} probe {{BOARD}} {{OPTIONS}}

# Build a system's firmware image into target/bulkhead/SYSTEM (more: just image --help)
image SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} image {{SYSTEM}} {{OPTIONS}}

# Build the image and bring it to a board, or make a disk image (more: just flash --help)
flash SYSTEM="demo" *OPTIONS:
    @{{bulkhead}} flash {{SYSTEM}} {{OPTIONS}}

# Run every test that fits into ten minutes: host suites, then QEMU scenarios
test *OPTIONS:
    @tests/all.sh {{OPTIONS}}

# Run the tests that take longer, too
test-long *OPTIONS:
    @tests/all.sh --include-ignored {{OPTIONS}}

# Count instructions of every hot path and bytes of the image, beside the marks to beat
bench *OPTIONS:
    @{{bulkhead}} bench {{OPTIONS}}

# Write the JSON schemas by which editors complete and check the TOMLs
schema:
    @{{bulkhead}} schema

# Format all Rust code
fmt:
    cargo fmt --all

# Formatting, clippy, documentation, generated files, scripts, TOMLs, dependencies: no warning
lint:
    @tests/lint.sh

# What a change must pass: lint, then the tests
ci: lint test

# Remove everything that was built
clean:
    cargo clean
