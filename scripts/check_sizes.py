#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that functions have at most 100 lines and files at most 800; name functions above 60.

Relies on the layout of clang-format: a body begins with '{' and ends with '}' in the first column.
"""
import ast
import sys

import project

MAX_FUNCTION, WANTED_FUNCTION, MAX_FILE = 100, 60, 800
ALLOWED = set()  # paths exempt from the limits: stays empty


def c_functions(lines):
    """Yield (line number, lines, name) of function definitions and multi-line macros."""
    at = 0
    while at < len(lines):
        start = at
        if lines[at].startswith("#define"):
            while at + 1 < len(lines) and lines[at].endswith("\\"):
                at += 1
            yield start + 1, at - start + 1, " ".join(lines[start].split()[:2])
        elif lines[at] == "{":
            while start > 0 and lines[start - 1] and lines[start - 1][-1] not in ";}/" \
                    and lines[start - 1][0] != "#":
                start -= 1
            while at < len(lines) and lines[at] != "}":
                at += 1
            yield start + 1, at - start + 1, lines[start].split("(")[0].split(" ")[-1].strip("*")
        at += 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield node.lineno, node.end_lineno - node.lineno + 1, node.name


def main():
    problems, long = [], []
    files = project.sources(".c", ".h", ".S", ".cu", ".py", ".sh")
    for path in files:
        text = project.read(path)
        lines = text.splitlines()
        if str(path) in ALLOWED:
            continue
        if len(lines) > MAX_FILE:
            problems.append(f"{path}: {len(lines)} lines, at most {MAX_FILE}")
        functions = python_functions(text) if path.suffix == ".py" else c_functions(lines)
        for number, length, name in functions if path.suffix != ".sh" else ():
            if length > MAX_FUNCTION:
                problems.append(f"{path}:{number}: {name}: {length} lines, at most {MAX_FUNCTION}")
            elif length > WANTED_FUNCTION:
                long.append(f"{path}:{number}: {name}: {length} lines, {WANTED_FUNCTION} wanted")
    print("\n".join(long))
    return project.report(problems, f"sizes of {len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
