#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# What `bulkhead import` makes of many device trees, as a page: tests/import/trees.sh DIR >PAGE.
#
# DIR has .dtb files at any depth. docs/boards-imported.md is of Debian's arm64 kernel package:
#   apt-get download linux-image-6.12.95+deb12-arm64:arm64
#   dpkg-deb -x linux-image-*.deb /tmp/trees
#   tests/import/trees.sh /tmp/trees >docs/boards-imported.md
# Where firmware fills in the RAM, 1 GiB at 0x8000_0000 is taken to see the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[[ -d ${1:-} ]] || { sed -n '3,9s/^# \{0,1\}//p' tests/import/trees.sh; exit 2; }
trees=$(realpath "$1")
cargo build -q -p bulkhead
bulkhead=target/debug/bulkhead
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

count() { grep -c "^\[\[*$1\]" "$scratch/board.toml" || true; }
kind() { awk '/^\[\[uart\]\]/ { in_it = 1 } in_it && /^kind/ { gsub(/"/, ""); print $3; exit }' "$scratch/board.toml"; }

while read -r tree; do
    name=$(basename "$tree" .dtb)
    ram=tree
    if ! $bulkhead import "$tree" -o "$scratch/board.toml" 2>"$scratch/said"; then
        if grep -q 'no RAM' "$scratch/said"; then
            ram=firmware
            $bulkhead import "$tree" --ram 0x80000000,1GiB -o "$scratch/board.toml" 2>"$scratch/said" || ram=
        else
            ram=
        fi
    fi
    if [[ -n $ram ]]; then
        console=$(kind)
        echo "| $name | $(count cpu) | $ram | ${console:--} | $(count gic.its) | $(count pcie) | $(count smmu) | $(count iommu) | $(count device) |" >>"$scratch/imported"
    else
        why=$(sed -n 's/.*not importable: //p' "$scratch/said" | head -n 1)
        echo "$name: ${why:-$(head -n 1 "$scratch/said")}" >>"$scratch/refused"
    fi
done < <(find "$trees" -name '*.dtb' | LC_ALL=C sort)

# A GIC that is no GICv3, or none, needs no line of its own.
other='GICv2|no GICv3|not a GICv3|no interrupt controller'
cat <<EOF
# Boards that import

What \`bulkhead import\` makes of the $(find "$trees" -name '*.dtb' | wc -l) device trees in
$(basename "$(find "$trees" -maxdepth 4 -type d -name 'linux-image-*' | head -n 1)"), made by
\`tests/import/trees.sh\`. Nothing here was tried on hardware; a board's TOML begins as an import
([bring-up](bring-up.md)).

* $(wc -l <"$scratch/imported") import; of those EL2 can drive the console of $(grep -vc '| - |' "$scratch/imported").
* $(grep -Ec "$other" "$scratch/refused") have no GICv3 or later.
* $(grep -Evc "$other" "$scratch/refused") are refused for another reason:

\`\`\`text
$(grep -Ev "$other" "$scratch/refused")
\`\`\`

| tree | CPUs | RAM by | console | ITS | PCIe hosts with ECAM | SMMUv3 | other IOMMUs | devices |
|---|---|---|---|---|---|---|---|---|
$(cat "$scratch/imported")
EOF
