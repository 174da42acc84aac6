#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build and run the test suites; the last line is "N passed, N failed, N skipped" over all of them.
#
#     scripts/test.sh [release] [asan] [tsan] [coverage] [arm]      default: all five
#
# release: every suite. asan: every suite but style, under AddressSanitizer and UBSan. tsan: the
# suite `threads`. coverage: unit, fuzz and cli tests, then the share of parser lines they ran.
# arm: the shorter unit tests, fuzz, kernel and committed golden tests of a build for 64-bit ARM,
# under emulation, and a comparison with the release; skipped where its tools cannot be had.
# Reference vectors are looked for in RWKV_SHARED (default ../shared); tests that miss them are
# skipped.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- release asan tsan coverage arm

# suite KIND FOLDER [OPTION]...: run the tests of one build; what they print stays in the log.
suite()
{
    kind=$1
    folder=$2
    shift 2
    echo "== $kind: building"
    scripts/build.sh "$kind"
    echo "== $kind: testing"
    rm -f $folder/meson-logs/testlog.json
    find $folder -name '*.gcda' -delete
    meson test -C $folder "$@" >$folder/test.log 2>&1 || true
    logs="$logs $kind=$folder/meson-logs/testlog.json"
}

# skip KIND FOLDER REASON: the log of one test that was skipped.
skip()
{
    mkdir -p $2
    printf '{"name": "all", "result": "SKIP", "stdout": "skipped: %s"}\n' "$3" >$2/skipped.json
    logs="$logs $1=$2/skipped.json"
}

# As QEMU's best processor, which has every instruction set; then the kernels as an old one, which
# would stop at an instruction that not every ARM has.
arm()
{
    scripts/build.sh release
    suite arm build-arm --timeout-multiplier 10 --suite unit --suite fuzz --suite kernels \
        --suite committed --no-suite long
    echo "== arm: testing as cortex-a53"
    rm -f build-arm/meson-logs/a53.json
    QEMU_CPU=cortex-a53 meson test -C build-arm --no-rebuild --logbase a53 --suite kernels \
        --timeout-multiplier 10 >build-arm/test-a53.log 2>&1 || true
    logs="$logs arm-cortex-a53=build-arm/meson-logs/a53.json"
}

logs=
scripts/setup.sh build test
if command -v npm >/dev/null && ! scripts/setup.sh browser; then
    echo "== without Chromium the tests of the chat page are skipped"
fi
for kind in "$@"; do
    case $kind in
    release) suite release build ;;
    asan) suite asan build-asan --timeout-multiplier 5 ;;
    tsan) suite tsan build-tsan --timeout-multiplier 10 --suite threads ;;
    coverage)
        suite coverage build-coverage --timeout-multiplier 5 --suite unit --suite fuzz --suite cli
        scripts/coverage.py build-coverage build-coverage/coverage.json || true
        logs="$logs coverage=build-coverage/coverage.json"
        ;;
    arm)
        if [ "$(uname -m)" = aarch64 ]; then
            skip arm build-arm 'this machine is one: the others test it'
        elif scripts/setup.sh arm; then
            arm
        else
            skip arm build-arm 'its compiler, libraries or emulator could not be installed'
        fi
        ;;
    *) echo "test.sh: unknown suite '$kind'" >&2 && exit 2 ;;
    esac
done
exec scripts/summary.py $logs
