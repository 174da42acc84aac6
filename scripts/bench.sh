#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Time the kernels, then the built-in model.
set -eu
cd "$(dirname "$0")/.."
