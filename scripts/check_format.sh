#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Check that every C source is laid out as clang-format with the committed .clang-format makes it.
# (scripts/check_format.sh -i lays them out so.)
cd "$(dirname "$0")/.." || exit
if ! command -v clang-format >/dev/null; then
    echo "skipped: clang-format is not installed"
    exit 77
fi
if [ "${1:-}" = -i ]; then
    set -- -i
else
    set -- --dry-run -Werror
fi
find include src programs tests bench -name '*.[ch]' -exec clang-format "$@" {} +
