# SPDX-License-Identifier: Apache-2.0
"""What the checking scripts share: where the sources are, and how a check reports."""
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("include", "src", "programs", "tests", "examples", "bench", "scripts", "bindings",
           "docs", "web")


def sources(*suffixes, folders=FOLDERS):
    """Paths relative to ROOT of the source files with these endings, sorted."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if "node_modules" in path.parts:
                continue
            if path.is_file() and path.suffix in suffixes:
                found.append(path.relative_to(ROOT))
    return found


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def need_tool(name):
    """Skip the check (exit status 77) where a program it needs is not installed."""
    if not shutil.which(name):
        print(f"skipped: {name} is not installed")
        sys.exit(77)


def report(problems, what):
    """Print the problems, or what was found to be in order; the exit status of the check."""
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problems in {what}" if problems else f"{what}: in order")
    return 1 if problems else 0
