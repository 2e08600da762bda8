# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=dash disable=SC2154 # busybox; the caller sets $test
# What the tests share.

# Runs test $test, in a subshell: it passes when it comes to its end, or ends by `fail`.
run() {
    [ -e "/tests/$test" ] || fail "there is no such test"
    # shellcheck source=/dev/null
    . "/tests/$test"
}

say() { echo "linux: $test: $*"; }
fail() {
    say "FAIL: $*"
    exit 1
}

# Interrupts counted so far in the lines of /proc/interrupts that match $1: the sum of all CPUs, or
# those of CPU $2.
counted() {
    awk -v what="$1" -v cpu="$2" '
        NR == 1 { cpus = NF; for (n = 1; n <= NF; n++) column["CPU" $n] = column[$n] = n + 1; next }
        $0 ~ what { for (n = 2; n <= cpus + 1; n++) if (cpu == "" || n == column["CPU" cpu]) sum += $n }
        END { print sum + 0 }' /proc/interrupts
}

# The disks, their names without /dev.
disks() {
    for name in /dev/nvme?n1 /dev/vda; do
        if [ -e "$name" ]; then echo "${name#/dev/}"; fi
    done
}

# The disk to test on.
disk() { disks | grep -m 1 .; }

# What its interrupts are called.
disk_interrupts() {
    case $1 in
        nvme*) echo "${1%n1}q" ;;
        vda) echo 'virtio[0-9]' ;;
    esac
}

digest() { sha256sum | cut -d' ' -f1; }
