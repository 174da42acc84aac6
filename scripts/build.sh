#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configure one kind of build where that is still to be done, and build it quietly.
#
#     scripts/build.sh release|asan|tsan|coverage|fuzz|arm [NINJA TARGET]...
#
# The folder is build/ for release and build-KIND/ for the others.
set -eu
cd "$(dirname "$0")/.."
kind=$1
shift

folder=build-$kind
tools=build
# Warnings are errors with the compiler of Debian 12; others may know other ones.
werror=$([ "$(cc -dumpversion 2>/dev/null)" != 12 ] || echo -Dwerror=true)
case $kind in
release) folder=build options='' ;;
asan) options="-Dbuildtype=debugoptimized $werror -Db_sanitize=address,undefined" ;;
tsan) options="-Dbuildtype=debugoptimized $werror -Db_sanitize=thread" ;;
coverage) options='-Dbuildtype=debug -Doptimization=g -Db_coverage=true' ;;
arm)
    tools='build arm'
    options="$werror --cross-file scripts/aarch64.cross"
    ;;
fuzz)
    tools='build fuzz'
    options='-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true'
    export CC=clang
    ;;
*)
    echo "build.sh: unknown kind '$kind'" >&2
    exit 2
    ;;
esac

scripts/setup.sh $tools
if [ ! -f $folder/build.ninja ]; then
    mkdir -p $folder
    if ! meson setup $folder . $options ${RWKV_SHARED:+-Dshared="$RWKV_SHARED"} \
        >$folder/setup.log 2>&1; then
        cat $folder/setup.log >&2
        exit 1
    fi
fi
if [ -t 2 ]; then
    case $(ninja -C $folder -n "$@") in
    *'no work to do.') ;;
    *) ninja -C $folder "$@" >&2 ;;
    esac
elif ! ninja -C $folder "$@" >$folder/build.log 2>&1; then
    grep -v '^\[' $folder/build.log >&2
    exit 1
fi
