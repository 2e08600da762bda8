#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Runs every suite to its end and closes with one line for all of them: "N passed, N failed".
#
#   tests/all.sh [OPTION]...     options of the test programs, such as --include-ignored or a name
#                                to filter by
#
# With CI=true the long ones run as well, and lint.sh before all of them; it counts as one more
# test.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# What Linux runs as a guest may have changed; without a change this is a matter of milliseconds,
# and needs no network.
partitions/elsewhere/linux/fetch.sh || exit 1

if [[ ${CI:-} == true && $* != *--include-ignored* ]]; then set -- --include-ignored "$@"; fi

started=$SECONDS
linted=0 unlinted=0
if [[ ${CI:-} == true ]]; then
    if tests/lint.sh; then linted=1; else unlinted=1; fi
fi
cargo test --no-fail-fast -- "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# Every suite ends with "test result: ok. 3 passed; 0 failed; 1 ignored; ...".
read -r passed failed ignored < <(awk '/^test result: / {
    for (i = 1; i <= NF; i++) { if ($(i + 1) ~ /^passed/) p += $i; if ($(i + 1) ~ /^failed/) f += $i; if ($(i + 1) ~ /^ignored/) g += $i }
} END { print p + 0, f + 0, g + 0 }' "$log")

# A suite that did not even build or run has failed, too.
if ((status != 0 && failed == 0)); then failed=1; fi
((passed += linted, failed += unlinted))
if ((unlinted)); then status=1; fi
if ((failed)); then
    printf '\nfailures:\n'
    if ((unlinted)); then echo tests/lint.sh; fi
    grep -aE '^test .*FAILED$|^error' "$log" | sort -u
fi
printf '\nall suites in %d s, %d left out as too long (just test-long)\n' $((SECONDS - started)) "$ignored"
printf '%d passed, %d failed\n' "$passed" "$failed"
exit "$status"
