#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Time the kernels, then a model made of random weights and the built-in one.
#
#     scripts/bench.sh [SHAPE]     as in rwkv bench --make; default: 12 layers of 768 channels, f16
set -eu
cd "$(dirname "$0")/.."

build/tests/kernels/kernels --bench
echo
build/programs/rwkv/rwkv bench --make "${1:-12,768}"
