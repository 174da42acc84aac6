#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what building and testing needs and this machine lacks; do nothing when all is there.
#
#     scripts/setup.sh [build] [test] [fuzz] [browser] [arm]      the sets wanted; default: build
#
# Asks for root (sudo, else su) only when something has to be installed. Debian and its kin only: on
# other systems it says what is missing.
set -u

# What to look for and the Debian package that brings it. cmd: a command, pc: a pkg-config module,
# h: a header the C compiler finds, lib: a library it links; arm-pc: and arm-h: for 64-bit ARM.
build='cmd:gcc=gcc h:stdio.h=libc6-dev cmd:pkg-config=pkgconf cmd:meson=meson cmd:ninja=ninja-build
pc:jansson=libjansson-dev pc:zlib=zlib1g-dev pc:nettle=nettle-dev pc:libedit=libedit-dev
pc:sqlite3=libsqlite3-dev pc:libmicrohttpd=libmicrohttpd-dev pc:gnutls=libgnutls28-dev
pc:cmocka=libcmocka-dev'
test='cmd:g++=g++ cmd:clang-format=clang-format pc:ompi-c=libopenmpi-dev cmd:mpirun=openmpi-bin'
fuzz='cmd:clang=clang lib:clang_rt.fuzzer=libclang-rt-14-dev'
browser='cmd:chromium=chromium'
arm='cmd:aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu arm-h:stdio.h=libc6-dev-arm64-cross
cmd:qemu-aarch64=qemu-user
arm-pc:jansson=libjansson-dev:arm64 arm-pc:zlib=zlib1g-dev:arm64 arm-pc:nettle=nettle-dev:arm64
arm-pc:libedit=libedit-dev:arm64 arm-pc:libmicrohttpd=libmicrohttpd-dev:arm64
arm-pc:gnutls=libgnutls28-dev:arm64 arm-pc:cmocka=libcmocka-dev:arm64
arm-pc:sqlite3=libsqlite3-dev:arm64'

has()
{
    case $1 in
    cmd:*) command -v "${1#cmd:}" ;;
    pc:*) pkg-config --exists "${1#pc:}" ;;
    h:*) echo "#include <${1#h:}>" | gcc -fsyntax-only -xc - ;;
    arm-pc:*)
        PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config --exists "${1#arm-pc:}"
        ;;
    arm-h:*) echo "#include <${1#arm-h:}>" | aarch64-linux-gnu-gcc -fsyntax-only -xc - ;;
    lib:*) ls "$(clang -print-resource-dir)"/lib/*/lib"${1#lib:}"*.a ;;
    esac >/dev/null 2>&1
}

# Print the packages of the wanted sets whose things are missing.
missing()
{
    for set in "$@"; do
        case $set in
        build) list=$build ;;
        test) list=$test ;;
        fuzz) list=$fuzz ;;
        browser) list=$browser ;;
        arm) list=$arm ;;
        *) echo "setup.sh: unknown set '$set'" >&2 && exit 2 ;;
        esac
        for item in $list; do
            has "${item%%=*}" || printf '%s ' "${item#*=}"
        done
    done
}

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        sh -c "$1"
    elif command -v sudo >/dev/null; then
        sudo sh -c "$1"
    elif [ -t 0 ]; then
        echo "(the password of root is needed to install packages)" >&2
        su -c "$1"
    else
        echo "root is needed to install them: run apt-get install $packages" >&2
        return 1
    fi
}

[ $# -gt 0 ] || set -- build
packages=$(missing "$@") || exit
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing (names of Debian packages): $packages" >&2
    echo "Install what your system calls them, then try again." >&2
    exit 1
fi
echo "Installing: $packages"
# A foreign architecture is made known first, and forgotten again if that does not help.
know= forget=
case $packages in
*:arm64*)
    if ! dpkg --print-foreign-architectures | grep -qx arm64; then
        know='dpkg --add-architecture arm64 &&' forget='dpkg --remove-architecture arm64;'
    fi
    ;;
esac
log=$(mktemp) || exit
# Errors of apt-get go to the log with its output; stderr stays free for asking for the password.
if ! as_root "exec 2>&1; export DEBIAN_FRONTEND=noninteractive
    $know apt-get -qq update && apt-get -qq -y --no-install-recommends install $packages ||
        { $forget false; }" >"$log"; then
    cat "$log" >&2
    rm -f "$log"
    echo "setup: these could not be installed: $packages" >&2
    exit 1
fi
rm -f "$log"
packages=$(missing "$@")
if [ -n "$packages" ]; then
    echo "setup: still missing after installing: $packages" >&2
    exit 1
fi
