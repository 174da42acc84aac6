#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compile every header alone; the public ones as C99 and as C++ besides, warnings being errors.

    check_headers.py CC CXX"""
import subprocess
import sys

import project

STRICT = ["-Wall", "-Wextra", "-pedantic-errors", "-Werror"]
AS_C = ["-x", "c", "-std=gnu11"]
AS_CXX = ["-x", "c++", "-std=c++17"]
INTERNAL = ["-D_GNU_SOURCE", "-Wall", "-Werror", "-Iinclude", "-Isrc", "-Iprograms/rwkv", "-Itests"]
X86 = ["-mavx2", "-mfma", "-mf16c"]
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"]
# Bodies of kernels, included once by each instruction set after the operations they are written in.
BODIES = project.pathlib.Path("src/kernels/vec")
# Headers for one architecture, and the beginning of what its compilers call it.
MACHINES = {project.pathlib.Path("src/kernels/x86"): "x86_64",
            project.pathlib.Path("src/kernels/arm"): "aarch64"}
# The CUDA backend's, which include CUDA's: those of the emulator do. Two are in its language.
EMULATOR = project.pathlib.Path("tests/plugins/emulator")
CUDA = {project.pathlib.Path("src/backend/cuda"), EMULATOR}
CUDA_LANGUAGE = {project.pathlib.Path("src/backend/cuda/device.h"), EMULATOR / "cuda_runtime.h"}
LANGUAGES = {  # how users may compile the public headers: is it C++, and the options
    "C99": (False, ["-x", "c", "-std=c99", *STRICT]),
    "C17": (False, ["-x", "c", "-std=c17", *STRICT]),
    "C++11": (True, ["-x", "c++", "-std=c++11", *STRICT]),
    "C++20": (True, ["-x", "c++", "-std=c++20", *STRICT]),
}


def compile_alone(compiler, options, path):
    """None if a file that only includes the header compiles, else the compiler's first words."""
    # Twice: a header must also bear being included again.
    text = f'#include "{project.ROOT / path}"\n' * 2
    done = subprocess.run([compiler, "-fsyntax-only", *options, "-"], input=text, text=True,
                          capture_output=True, cwd=project.ROOT, check=False)
    return None if done.returncode == 0 else "\n".join(done.stderr.split("\n")[:8])


def main(cc, cxx):
    project.need_tool(cxx)
    problems = []
    public = project.sources(".h", folders=("include",))
    for path in public:
        for name, (is_cxx, options) in LANGUAGES.items():
            said = compile_alone(cxx if is_cxx else cc, [*options, "-Iinclude"], path)
            if said:
                problems.append(f"{path}: does not compile as {name}:\n{said}")
    internal = project.sources(".h", folders=("src", "programs", "tests", "bench"))
    machine = subprocess.run([cc, "-dumpmachine"], capture_output=True, text=True,
                             check=True).stdout
    internal = [path for path in internal if path.parent != BODIES and
                machine.startswith(MACHINES.get(path.parent, ""))]
    for path in internal:
        options = (INTERNAL + (X86 if machine.startswith("x86_64") else []) +
                   (AVX512 if "avx512" in path.name else []))
        options += [f"-I{EMULATOR}"] if path.parent in CUDA else []
        if path in CUDA_LANGUAGE:
            said = compile_alone(cxx, AS_CXX + options, path)
        else:
            said = compile_alone(cc, AS_C + options, path)
        if said:
            problems.append(f"{path}: does not compile alone:\n{said}")
    return project.report(problems, f"{len(public)} public and {len(internal)} internal headers")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
