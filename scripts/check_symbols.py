#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the names the library defines, and that it has no writable static data.

    check_symbols.py LIBRWKV.so LIBRWKV.a

The shared library exports exactly what include/ declares with RWKV_API. Global names inside begin
with rw_ or rwkv_; kernels are named op_dtype_isa."""
import re
import subprocess
import sys

import project

INTERNAL_NAME = re.compile(r"(?:rw|rwkv)_\w+|\w+_(ref|avx\w+|neon|sve)")
API = re.compile(r"RWKV_API\s[^;(]*?\b(\w+)\s*\(")
WRITABLE = re.compile(r"\s(\.data|\.bss|\.tdata|\.tbss|\*COM\*)(?:\.\S*)?\s+([0-9a-f]+)\s+(\S+)$")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def names(listing):
    """Names in the output of nm --format=posix."""
    return {line.split()[0].split("@")[0] for line in listing.splitlines() if len(line.split()) > 2}


def declared():
    found = set()
    for path in project.sources(".h", folders=("include",)):
        text = re.sub(r"/\*.*?\*/", "", project.read(path), flags=re.DOTALL)
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
        found |= set(API.findall(text))
    return found


def writable(archive):
    """Static data that could change: there is to be none, whether global or local to a file."""
    for line in run("objdump", "-t", archive).splitlines():
        match = WRITABLE.search(line)
        if match and not match.group(1).startswith(".data.rel.ro") and int(match.group(2), 16) \
                and ".data.rel.ro" not in line and not match.group(3).startswith("."):
            yield match.group(3)


def main(shared, archive):
    exported = names(run("nm", "-D", "--defined-only", "--format=posix", shared))
    exported = {name for name in exported if not re.fullmatch(r"RWKV_\d+", name)}
    wanted = declared()
    problems = [f"{name}: declared with RWKV_API but not exported" for name in wanted - exported]
    problems += [f"{name}: exported but not declared in include/" for name in exported - wanted]
    for name in names(run("nm", "-g", "--defined-only", "--format=posix", archive)):
        if not INTERNAL_NAME.fullmatch(name):
            problems.append(f"{name}: a global name that does not begin with rw_ or rwkv_")
    problems += [f"{name}: writable static data" for name in writable(archive)]
    return project.report(sorted(problems), f"{len(exported)} exported symbols")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
