#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Time the kernels of this machine's best instruction set, then a model of random weights.
#
#     scripts/bench.sh [SHAPE]     as in rwkv bench --make; default: 12 layers of 768 channels, q8_0
#
# More exactly, or for other instruction sets: build/tests/kernels/kernels --bench [--cpu ISA].
set -eu
cd "$(dirname "$0")/.."

build/tests/kernels/kernels --bench --quick --cpu auto
echo
build/programs/rwkv/rwkv bench --make "${1:-12,768,65536,q8_0}"
