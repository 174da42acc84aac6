#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the release build.
#
#     scripts/install.sh PREFIX [DESTDIR]
set -eu
cd "$(dirname "$0")/.."
meson configure build --prefix "$1"
DESTDIR=${2:-} meson install -C build --quiet
[ -n "${2:-}" ] || [ "$(id -u)" -ne 0 ] || ldconfig
echo "installed to ${2:-}$1"
