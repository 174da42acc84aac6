#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the release build.
#
#     scripts/install.sh PREFIX [DESTDIR]
set -eu
cd "$(dirname "$0")/.."
prefix=$1
export DESTDIR="${2:-}"

meson configure build --prefix "$prefix"
scripts/build.sh release
meson install -C build --no-rebuild --quiet
# A system-wide library is known to programs only after this.
[ -n "$DESTDIR" ] || [ "$(id -u)" -ne 0 ] || ldconfig
echo "installed to $DESTDIR$prefix"
