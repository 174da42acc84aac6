#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Time the kernels of this machine's best instruction set, then a model of random weights.
#
#     scripts/bench.sh [SHAPE]     as in rwkv bench --make; default: 12 layers of 768 channels, f16
#
# For other instruction sets: build/tests/kernels/kernels --bench --cpu ref|avx2|avx512.
set -eu
cd "$(dirname "$0")/.."

cpu=$(build/programs/rwkv/rwkv info --json | sed -n 's/^ *"cpu": "\(.*\)",/\1/p')
build/tests/kernels/kernels --bench --cpu "$cpu"
echo
build/programs/rwkv/rwkv bench --make "${1:-12,768}"
