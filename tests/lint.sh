#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Checks of the tree that need no run. Each check runs; the last line says which failed.
# shellcheck disable=SC2317,SC2329 # functions are called by check
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
failed=()

# Runs a check under its name; what it has to say is worth reading only when it fails.
check() {
    local name=$1 said
    shift
    said=$("$@" 2>&1) && return
    printf 'lint: %s\n%s\n' "$name" "$said"
    failed+=("$name")
}

bulkhead() { cargo run --quiet --package bulkhead -- "$@"; }

# All that runs on the bare machine besides EL2: one -p for each.
bare() {
    local -a packages
    mapfile -t packages < <(sed -n 's/^name = "\(.*\)"/-p\n\1/p' partitions/{rt,nvme}/Cargo.toml partitions/*/*/Cargo.toml tests/firmware/Cargo.toml)
    cargo clippy --quiet "${packages[@]}" --target aarch64-unknown-none -- -D warnings
}

# What measures a board, as it is for one.
probe() {
    bulkhead probe radxa-rock-5b >/dev/null &&
        BULKHEAD_PROBE=$PWD/target/bulkhead/probes/radxa-rock-5b/source \
            cargo clippy --quiet --package probe --target aarch64-unknown-none-softfloat \
            --target-dir target/el2 -- -D warnings
}

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps; }

# Linux's own scripts run in busybox, and its tests have no suffix.
scripts() {
    local -a files
    mapfile -t files < <(git ls-files '*.sh' .ci/run)
    shellcheck --external-sources "${files[@]}" &&
        shellcheck --external-sources --source-path partitions/elsewhere/linux/rootfs/tests --shell dash \
            partitions/elsewhere/linux/rootfs/init
}

# The schemas as editors use them, by the name in each file's first line. Most files in tests/bad
# are mistakes.
schemas() {
    local kind status=0 tool=target/tools/bin/check-jsonschema
    local -a files
    [[ -x $tool ]] || { echo "check-jsonschema is missing: ./setup.sh"; return 1; }
    for kind in system inheriting-system board inheriting-board partition targets; do
        mapfile -t files < <(git grep -l "^#:schema .*/$kind\.schema\.json$" -- '*.toml' |
            grep -vE '^tests/bad/(boards/)?([EW][0-9]|all)')
        if ((${#files[@]} == 0)); then
            echo "no TOML names $kind.schema.json"
            return 1
        fi
        "$tool" --schemafile "configs/$kind.schema.json" "${files[@]}" || status=1
    done
    return "$status"
}

# The same by the language server of most editors; each of ours names its schema, and a mistake is
# seen.
editors() {
    local tool=target/tools/bin/taplo wrong
    local -a files
    [[ -x $tool ]] || { echo "taplo is missing: ./setup.sh"; return 1; }
    mapfile -t files < <(git ls-files 'configs/*.toml' 'boards/*.toml' 'partitions/*.toml' \
        'tests/qemu/*.toml' | grep -v '/Cargo\.toml$' | xargs grep -l '^#:schema ')
    "$tool" --colors never lint "${files[@]}" 2>&1 | { grep -v ' INFO ' || true; }
    ((PIPESTATUS[0] == 0)) || return 1
    wrong=$(mktemp --suffix=.toml)
    printf '#:schema %s\n[system]\nname = 4\n' "file://$PWD/configs/system.schema.json" >"$wrong"
    if "$tool" lint "$wrong" >/dev/null 2>&1; then
        echo "taplo saw nothing wrong with a system whose name is a number"
        rm "$wrong"
        return 1
    fi
    rm "$wrong"
}

# Licences, duplicates and origins of all dependencies. Advisories need a network: `cargo deny
# check`.
dependencies() {
    local tool=target/tools/bin/cargo-deny
    [[ -x $tool ]] || { echo "cargo-deny is missing: ./setup.sh"; return 1; }
    "$tool" --locked --log-level error check --hide-inclusion-graph licenses bans sources
}

# What would be published builds by itself, without the workspace. Asks the registry's index.
package() { cargo publish --quiet --package gicv4 --dry-run --allow-dirty; }

check formatting cargo fmt --all --check
check clippy cargo clippy --quiet --all-targets -- -D warnings
check "clippy, bare machine" bare
check "clippy, EL2" bulkhead image demo --lint
check "clippy, probe" probe
check documentation documentation
check "generated files" bulkhead schema --check
check shellcheck scripts
check schemas schemas
check "schemas, in an editor" editors
check dependencies dependencies
check "gicv4 as a package" package

((${#failed[@]} == 0)) && exit
printf 'lint failed: %s\n' "$(IFS=';' && echo "${failed[*]}")"
exit 1
