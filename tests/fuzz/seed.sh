#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Fills corpus/TARGET with this tree's own files: what cargo-fuzz begins with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p corpus/{system,board,tree,overlay,elf,image,report,import}
cp ../bad/*.toml ../qemu/systems/*.toml ../../configs/*.toml corpus/system/
cp ../bad/boards/*.toml ../../boards/*.toml ../qemu/boards/*.toml corpus/board/
for source in ../bad/trees/*.dts; do
    name=$(basename "$source" .dts)
    kind=tree
    grep -q '/plugin/' "$source" && kind=overlay
    dtc -q -@ -I dts -O dtb -o "corpus/$kind/$name" "$source"
done
for source in ../import/*.dts; do dtc -q -I dts -O dtb -o "corpus/import/$(basename "$source" .dts)" "$source"; done
cp ../bad/image.img corpus/image/
gzip -nc ../bad/image.img >corpus/image/packed
find ../../target/bulkhead -name '*.elf' -size -200k -exec cp {} corpus/elf/ \; 2>/dev/null || true
printf 'bulkhead: counters\nbulkhead: | counter | a/0 |\nbulkhead: | exits | 1 |\nbulkhead: result: pass\n' >corpus/report/console
