#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NEON, run by an emulator, and AVX2 of this machine give every number the same bits: both have
sums of eight lanes and fused operations.

    check_same_bits.py RWKV EMULATOR RWKV_FOR_ARM MODEL..."""
import pathlib
import subprocess
import sys
import tempfile

import project

TOKENS = ",".join(str(i % 24 + 1) for i in range(40))


def numbers(command, model, isa, out):
    """What `rwkv forward` writes; None where the program has no such instruction set."""
    done = subprocess.run([*command, "forward", model, "--tokens", TOKENS, "--cpu", isa, "--out",
                           out], capture_output=True, text=True, check=False)
    if "option '--cpu'" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return out.read_bytes()


def main(program, emulator, program_for_arm, *models):
    if not pathlib.Path(program).is_file():
        print(f"skipped: {program} is absent")
        return 77
    problems = []
    with tempfile.TemporaryDirectory(prefix="rwkv-same-bits-") as name:
        for model in models:
            here = numbers([program], model, "avx2", pathlib.Path(name, "here.safetensors"))
            if here is None:
                print("skipped: this machine has no AVX2")
                return 77
            there = numbers([emulator, program_for_arm], model, "neon",
                            pathlib.Path(name, "there.safetensors"))
            if here != there:
                problems.append(f"{model}: AVX2 and NEON give different bits")
    return project.report(problems, f"{len(models)} models on AVX2 and NEON")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
