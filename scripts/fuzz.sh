#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run every fuzz target for some seconds, under ASan and UBSan, from its seeds in tests/fuzz/corpus.
#
#     scripts/fuzz.sh SECONDS [NAME]...
#
# What is found new is kept in build-fuzz/corpus, an input that breaks a target in
# build-fuzz/crashes.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift

scripts/build.sh fuzz
[ $# -gt 0 ] || set -- $(ls build-fuzz/tests/fuzz | sed -n 's/^fuzz_\([a-z0-9_]*\)$/\1/p')
mkdir -p build-fuzz/crashes
failed=0
for name in "$@"; do
    new=build-fuzz/corpus/$name
    log=build-fuzz/fuzz_$name.log
    mkdir -p "$new"
    if build-fuzz/tests/fuzz/fuzz_$name -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=65536 -artifact_prefix=build-fuzz/crashes/$name- -print_final_stats=1 \
        "$new" tests/fuzz/corpus/"$name" >"$log" 2>&1; then
        echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
    else
        failed=1
        echo "$name: FAILED, see $log"
        grep -m 3 -E 'ERROR|SUMMARY|runtime error' "$log" || true
    fi
done
exit $failed
