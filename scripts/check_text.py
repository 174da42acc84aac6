#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the text of every source: a licence line, 100 columns, no tabs, nothing left for later."""
import re
import sys

import project

MAX_COLUMNS = 100
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
SPDX = "SPDX-License-Identifier: Apache-2.0"
SUFFIXES = (".c", ".h", ".S", ".cu", ".map", ".py", ".sh", ".build")
TOP = ("Makefile", "meson.build", ".ci/run")


def check(path):
    lines = project.read(path).split("\n")
    if not any(SPDX in line for line in lines[:2]):
        yield f"{path}:1: no '{SPDX}' in the first two lines"
    if lines[-1] or lines[-2:] == ["", ""]:
        yield f"{path}:{len(lines)}: the file does not end with one newline"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end of the line"
        if "\t" in line and path.name != "Makefile":
            yield f"{path}:{number}: a tab"
        leftover = LEFTOVER.search(line)
        if leftover:
            yield f"{path}:{number}: '{leftover.group()}': finish it or file it"


def main():
    files = project.sources(*SUFFIXES) + [project.pathlib.Path(name) for name in TOP]
    problems = [problem for path in files for problem in check(path)]
    return project.report(problems, f"text of {len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
