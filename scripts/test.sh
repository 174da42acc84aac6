#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build and run the test suites; the last line is "N passed, N failed, N skipped" over all of them.
#
#     scripts/test.sh [release] [asan] [tsan] [coverage]      default: all four
#
# release: every suite. asan: every suite but style, under AddressSanitizer and UBSan. tsan: the
# suite `threads`. coverage: unit, fuzz and cli tests, then the share of parser lines they ran.
# Reference vectors are looked for in RWKV_SHARED (default ../shared); tests that miss them are
# skipped.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- release asan tsan coverage

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

logs=
scripts/setup.sh build test
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
    *) echo "test.sh: unknown suite '$kind'" >&2 && exit 2 ;;
    esac
done
exec scripts/summary.py $logs
