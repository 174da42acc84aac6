#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Install into an empty folder and use what is there as a stranger would.

    check_install.py BUILD_FOLDER PREFIX LIBDIR CC CXX MODEL

All files must be there, and the example in the first comment of rwkv.h must compile through
pkg-config as C with the shared and the static library and as C++, run, and print the same. So must
those in examples/, which are the programs in the comments of their headers."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import project

# Arguments of the examples, after the model.
PROMPTS = {"rwkv": ["Once"], "batch": ["Once", "The moon", "1 2 3"]}


def run(command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def example(header):
    """The program in the first comment of a header."""
    comment = project.read(f"include/{header}").split("*/\n", 2)[1]
    lines = [line[3:] if line.startswith(" * ") else "" for line in comment.split("\n")]
    start = next(i for i, line in enumerate(lines) if line.startswith("    "))
    end = next(i for i, line in enumerate(lines) if i > start and re.match(r"\S", line))
    return "\n".join(line[4:] for line in lines[start:end]).strip() + "\n"


def wanted_files(libdir, version):
    pages = project.sources(".md", folders=("docs/cli",))
    names = [page.stem for page in pages if page.stem != "README"]
    return (["bin/rwkv", f"{libdir}/librwkv.a", f"{libdir}/librwkv.so", f"{libdir}/librwkv.so.0",
             f"{libdir}/librwkv.so.{version}", f"{libdir}/pkgconfig/rwkv.pc",
             "lib/systemd/system/rwkv.service", "lib/sysusers.d/rwkv.conf"]
            + [str(path) for path in project.sources(".h", folders=("include",))]
            + [f"share/man/man1/{'rwkv' if n == 'rwkv' else 'rwkv-' + n}.1" for n in names])


def build(folder, root, lib, cc, cxx, source):
    """Compile a program in three ways; the names of what was made."""
    environment = dict(os.environ, PKG_CONFIG_PATH=str(lib / "pkgconfig"),
                       PKG_CONFIG_SYSROOT_DIR=str(root))
    shared = shlex.split(run(["pkg-config", "--cflags", "--libs", "rwkv"], env=environment))
    static = shlex.split(run(["pkg-config", "--static", "--cflags", "--libs", "rwkv"],
                             env=environment))
    static = [str(lib / "librwkv.a") if flag == "-lrwkv" else flag for flag in static]
    (folder / "example.c").write_text(source, encoding="utf-8")
    ways = {
        "shared": [cc, "-std=c99", "-Wall", "-Werror", "example.c", *shared],
        "static": [cc, "-std=c99", "-Wall", "-Werror", "example.c", *static],
        "c++": [cxx, "-std=c++20", "-Wall", "-Werror", "-x", "c++", "example.c", *shared],
    }
    for name, command in ways.items():
        run([*command, "-o", name], cwd=folder)
    return list(ways)


def programs(problems):
    """The examples by name: rwkv.h's, and the files in examples/."""
    found = {"rwkv": example("rwkv.h")}
    for path in project.sources(".c", folders=("examples",)):
        found[path.stem] = project.read(path).split("*/\n", 2)[2]
        if found[path.stem] != example(f"rwkv_{path.stem}.h"):
            problems.append(f"{path}: differs from the program in rwkv_{path.stem}.h")
    return found


def compare(said, rwkv, model):
    """The example of batches says of each text, piece by piece, what `rwkv run` says of it alone;
    what it says may contain newlines, which are left out."""
    found = dict.fromkeys(PROMPTS["batch"], "")
    prompt = None
    for line in said.split("\n"):
        start = next((p for p in found if line.startswith(p + ": ")), None)
        prompt = start or prompt
        found[prompt] += line[len(start) + 2:] if start else line
    for prompt, text in found.items():
        alone = run([rwkv, "run", "-m", model, "--greedy", "-n", "16", prompt]).replace("\n", "")
        if text != alone:
            yield f"examples/batch.c: '{prompt}' goes on with '{text}', alone with '{alone}'"


def main(folder_of_build, prefix, libdir, cc, cxx, model):
    project.need_tool(cxx)
    with tempfile.TemporaryDirectory(prefix="rwkv-install-") as name:
        folder = pathlib.Path(name)
        root = folder / "root"
        base = root / prefix.lstrip("/")
        run(["meson", "install", "-C", folder_of_build, "--no-rebuild", "--destdir", str(root)])
        version = run([base / "bin/rwkv", "--version"]).split()[1]
        problems = [f"{path}: not installed" for path in wanted_files(libdir, version)
                    if not (base / path).exists()]
        if not problems:
            environment = dict(os.environ, LD_LIBRARY_PATH=str(base / libdir))
            for name, source in programs(problems).items():
                said = {way: run([folder / way, model, *PROMPTS[name]], env=environment)
                        for way in build(folder, root, base / libdir, cc, cxx, source)}
                if len(set(said.values())) != 1 or not said["shared"].strip():
                    problems.append(f"{name}: the example prints {said}")
                if name == "batch":
                    problems += compare(said["shared"], base / "bin/rwkv", model)
        return project.report(problems, "the installed files and the examples of the headers")


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        command = shlex.join(map(str, error.cmd))
        sys.exit(f"{command}: exit status {error.returncode}\n{error.stdout}{error.stderr}")
