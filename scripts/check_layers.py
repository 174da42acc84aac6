#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check every #include against the layers: to a lower layer or the own folder, never up.

docs/architecture.md explains the table; change both together."""
import re
import sys

import project

# Folder of src/: its layer. A file may include its own folder and folders of lower layers.
LAYERS = {
    "base": 0,
    "tensor": 1,
    "formats": 2,
    "kernels": 2,
    "text": 3,  # vocabularies come in containers too
    "backend": 3,
    "model": 4,
    "engine": 5,
    "train": 5,
    "api": 6,
}
# Lower layers that a folder must not see all the same: kernels are the backend's business.
HIDDEN = {
    "model": {"kernels"},
    "engine": {"kernels"},
    "train": {"kernels"},
    "api": {"kernels"},
}
# What the folders outside src/ may see of it; every one sees include/ and its own files.
OUTSIDE = {
    "programs": {"base"},
    "bench": {"base"},
    "examples": set(),
    "bindings": set(),
    "tests": set(LAYERS),
}
# The parts of `rwkv serve` are included as "server/…" by the program, and by their tests.
PROGRAM = project.ROOT / "programs" / "rwkv"
USERS_OF_PROGRAM = ("programs", "tests")
PUBLIC = {path.name for path in project.sources(".h", folders=("include",))}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def check_target(path, allowed, target):
    """Why `path` must not include the folder/file `target` of src/, or None."""
    folder = target.split("/", 1)[0]
    if folder not in LAYERS:
        return f"'{folder}' is no folder of the layer table"
    if not (project.ROOT / "src" / target).is_file():
        return "there is no such file below src/"
    if folder not in allowed:
        return f"{'/'.join(path.parts[:2])} must not see {folder}"
    return None


def check_file(path):
    if path.parts[0] == "include":
        allowed = set()
    elif path.parts[0] == "src":
        own = path.parts[1]
        if own not in LAYERS:
            yield f"{path}: '{own}' is not in the layer table"
            return
        allowed = {f for f, layer in LAYERS.items() if layer < LAYERS[own] or f == own}
        allowed -= HIDDEN.get(own, set())
    else:
        allowed = OUTSIDE[path.parts[0]]
    for quote, target in INCLUDE.findall(project.read(path)):
        if target in PUBLIC:
            continue
        beside = (project.ROOT / path).parent / target
        if path.parts[0] != "src" and (project.ROOT / path.parts[0] / target).is_file():
            continue
        if (path.parts[0] in USERS_OF_PROGRAM and (PROGRAM / target).is_file()
                and ("/" in target or path.parts[0] == "programs")):
            continue
        if quote == "<":
            if (project.ROOT / "src" / target).is_file():
                yield f"{path}: <{target}>: files of the project are included with quotes"
        elif path.parts[0] != "src" and "/" not in target:
            if not beside.is_file():
                yield f"{path}: \"{target}\": there is no such file beside it"
        else:
            reason = check_target(path, allowed, target)
            if reason:
                yield f"{path}: \"{target}\": {reason}"


def main():
    files = project.sources(".c", ".h", ".S", ".cu",
                            folders=("include", "src", *OUTSIDE))
    problems = [problem for path in files for problem in check_file(path)]
    return project.report(problems, f"includes of {len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
