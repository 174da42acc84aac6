#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Check that every C, C++ and CUDA source is laid out as clang-format makes it with the committed
# .clang-format.
#
#     scripts/check_format.sh        names the files that are not; exit status 77: no clang-format
#     scripts/check_format.sh -i     lays them out
cd "$(dirname "$0")/.." || exit
if ! command -v clang-format >/dev/null; then
    echo "skipped: clang-format is not installed"
    exit 77
fi
files=$(find include src programs tests examples -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp' |
    sort)
if clang-format --dry-run -Werror $files 2>/dev/null; then
    exit 0
fi
bad=0
for file in $files; do
    if ! clang-format --dry-run -Werror "$file" 2>/dev/null; then
        if [ "${1:-}" = -i ]; then
            clang-format -i "$file"
        else
            echo "$file: not laid out as .clang-format says"
            bad=1
        fi
    fi
done
[ $bad -eq 0 ] || echo "scripts/check_format.sh -i lays them out"
exit $bad
