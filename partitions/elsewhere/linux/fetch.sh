#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Fetches Debian's arm64 kernel and makes a small user space for it: fetched/Image and
# fetched/initramfs.cpio.gz.
#
#   fetch.sh            fetch and make what is missing or out of date
#   fetch.sh --check    only say what that would be (exit status 1 if anything)
#
# setup.sh calls it. Packages are kept in ${XDG_CACHE_HOME:-~/.cache}/bulkhead and only unpacked,
# never installed: apt works on lists and settings of its own here, so that this machine's
# architectures and sources stay as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

MIRROR=${BULKHEAD_MIRROR:-http://deb.debian.org/debian}
SUITES=(bookworm bookworm-backports) # backports have 6.12, in which virtio-pci needs no module
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
KERNEL=linux-image-cloud-arm64 # depends on the package of the newest version
PACKAGES=${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead
FETCHED=fetched
# In the order in which they are loaded. Which of them are modules, and not part of the kernel,
# depends on its version.
MODULES=(failover net_failover virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_mmio virtio_net virtio_blk sbsa_gwdt)

say() { printf 'linux: %s\n' "$*"; }
die() { printf 'linux: %s\n' "$*" >&2; exit 1; }

# What the initramfs is made from: when it changes, the initramfs is made anew.
recipe() { find fetch.sh rootfs -type f | LC_ALL=C sort | xargs sha256sum | sha256sum; }
newest() { find "$PACKAGES" -maxdepth 1 -name "$1" 2>/dev/null | sort -V | tail -n 1; }
current() {
    [[ -e $FETCHED/Image && -e $FETCHED/initramfs.cpio.gz && $(cat $FETCHED/recipe 2>/dev/null) == "$(recipe)" ]]
}

# --- packages -------------------------------------------------------------------------------------
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

apt_alone() {
    local suite
    mkdir -p "$scratch"/apt/{lists/partial,cache/archives/partial,parts}
    : >"$scratch/apt/status"
    for suite in "${SUITES[@]}"; do
        echo "deb [arch=arm64 signed-by=$KEYRING] $MIRROR $suite main"
    done >"$scratch/apt/sources.list"
    printf 'Package: *\nPin: release *\nPin-Priority: 500\n' >"$scratch/apt/preferences"
    # The machine's own settings, such as a proxy, are read first and stay.
    cat >"$scratch/apt/apt.conf" <<EOF
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "60";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State::lists "$scratch/apt/lists";
Dir::State::status "$scratch/apt/status";
Dir::Cache "$scratch/apt/cache";
Dir::Etc::sourcelist "$scratch/apt/sources.list";
Dir::Etc::sourceparts "$scratch/apt/parts";
Dir::Etc::preferences "$scratch/apt/preferences";
Dir::Etc::preferencesparts "$scratch/apt/parts";
EOF
    export APT_CONFIG=$scratch/apt/apt.conf
}

download() {
    local kernel
    [[ -e $KEYRING ]] || die "$KEYRING is not there: install package debian-archive-keyring"
    apt_alone
    say "reading Debian's lists of arm64 packages"
    apt-get -qq update </dev/null
    kernel=$(apt-cache depends --important $KERNEL | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
    [[ -n $kernel ]] || die "$KERNEL depends on no kernel in ${SUITES[*]} of $MIRROR"
    say "downloading $kernel and busybox-static"
    mkdir -p "$scratch/packages" "$PACKAGES"
    (cd "$scratch/packages" && apt-get -qq download "$kernel" busybox-static </dev/null)
    mv "$scratch"/packages/*.deb "$PACKAGES"
}

# --- the files ------------------------------------------------------------------------------------
unpack() {
    local package
    for package in "$(newest 'linux-image-*-cloud-arm64_*.deb')" "$(newest 'busybox-static_*.deb')"; do
        dpkg-deb -x "$package" "$scratch/unpacked"
    done
}

module() {
    local path to=$scratch/root/lib/modules/$1.ko
    path=$(find "$scratch/unpacked" -name "$1.ko*" | head -n 1)
    case $path in
        *.ko) cp "$path" "$to" ;;
        *.ko.xz) xz -dc "$path" >"$to" ;;
        *.ko.zst) zstd -qdc "$path" >"$to" ;;
        '') return ;;
        *) die "$path is compressed in a way that this script does not know" ;;
    esac
    echo "$1" >>"$scratch/root/etc/modules"
}

# The same files give the same bytes: names sorted, times and owners fixed.
initramfs() {
    local root=$scratch/root name
    mkdir -p "$root"/{bin,dev,etc,lib/modules,proc,sys,tmp}
    cp -R rootfs/. "$root"
    cp "$(find "$scratch/unpacked" -path '*bin/busybox')" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    for name in "${MODULES[@]}"; do module "$name"; done
    find "$root" -type f -exec chmod 644 {} + && find "$root" -type d -exec chmod 755 {} +
    chmod 755 "$root"/{init,bin/busybox}
    find "$root" -exec touch -h -d @0 {} +
    (cd "$root" && find . -mindepth 1 | LC_ALL=C sort |
        cpio --quiet -o -H newc --reproducible -R 0:0 | gzip -9n) >$FETCHED/initramfs.cpio.gz
}

# --- do it ----------------------------------------------------------------------------------------
if current; then exit 0; fi
case ${1:-} in
    '') ;;
    --check) say "the kernel and its initramfs, from Debian's arm64 packages"; exit 1 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' fetch.sh; exit 2 ;;
esac
for tool in apt-get dpkg-deb cpio xz; do
    command -v $tool >/dev/null || die "$tool is not there"
done
[[ -n $(newest 'linux-image-*-cloud-arm64_*.deb') && -n $(newest 'busybox-static_*.deb') ]] || download
say "unpacking"
unpack
mkdir -p $FETCHED
rm -f $FETCHED/recipe
initramfs
cp "$(find "$scratch/unpacked/boot" -name 'vmlinuz-*')" $FETCHED/Image
chmod 644 $FETCHED/*
recipe >$FETCHED/recipe
