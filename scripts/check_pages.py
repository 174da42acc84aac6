#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the pages of docs/cli against the program.

    check_pages.py RWKV

Every command has a page, every page's options are known to its command or sub-command, which knows
no others, `rwkv COMMAND --help` prints the page, and rwkv.md names every command."""
import re
import subprocess
import sys

import gen_help
import project

UNKNOWN = "--no-such-option"
# Tables of options: {"name", 'n', RW_OPTION_…}; and how pages spell options.
TABLE_ENTRY = re.compile(r"\{\s*\"([a-z][a-z0-9-]*)\",\s*(?:'(.)'|0),\s*RW_OPTION_")
SPELLING = re.compile(r"`(--?[A-Za-z0-9][\w-]*)[^`]*`")


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def table_options():
    """Every option that stands in a table of the program's sources."""
    found = {"-h", "--help"}
    for path in project.sources(".c", ".h", folders=("programs",)):
        for name, letter in TABLE_ENTRY.findall(project.read(path)):
            found.add("--" + name)
            if letter:
                found.add("-" + letter)
    return found


def page_options(page):
    """The options in the section of that name, or of each sub-command in 'Options of NAME': a list
    of (the words of the command, its options)."""
    found = []
    for heading, blocks in page.sections:
        match = re.fullmatch(r"Options(?: of (\w+))?", heading)
        if match:
            terms = [block[1] for block in blocks if block[0] == "term"]
            options = {option for term in terms for option in SPELLING.findall(term)}
            words = [page.command] + ([match.group(1)] if match.group(1) else [])
            found.append((words, options))
    return found or [([page.command], set())]


def is_known(program, words, option):
    """An option that is known, with a value or without, leaves an unknown one to complain about;
    an unknown one is complained about itself."""
    _, _, said = run(program, *words, option, UNKNOWN, UNKNOWN)
    return f"unknown option '{option}'" not in said


def check_command(program, page, words, documented, tables):
    command, path = " ".join(words), f"docs/cli/{page.command}.md"
    status, printed, said = run(program, *words, "--help")
    if status or said or printed != gen_help.help_text(page):
        yield f"rwkv {command} --help: does not print {path}"
    for option in sorted(tables | documented):
        known = is_known(program, words, option)
        if known and option not in documented | {"-h", "--help"}:
            yield f"{path}: {option} of {command} is not documented"
        if not known and option in documented:
            yield f"{path}: rwkv {command} does not know {option}"


def main(program):
    problems = []
    status, _, said = run(program, "run", UNKNOWN)
    if status == 0 or f"unknown option '{UNKNOWN}'" not in said:
        problems.append(f"rwkv run {UNKNOWN}: \"unknown option '{UNKNOWN}'\" wanted, found: {said}")
    paths = project.sources(".md", folders=("docs/cli",))
    pages = [gen_help.Page(project.ROOT / path) for path in paths if path.stem != "README"]
    commands = {path.stem.removeprefix("cmd_")
                for path in project.sources(".c", folders=("programs/rwkv",))
                if path.stem.startswith("cmd_")}
    commands -= {"help"}
    main_text = project.read("docs/cli/rwkv.md")
    tables = table_options()
    for page in pages:
        if page.command == "rwkv":
            continue
        commands.discard(page.command)
        if f"]({page.command}.md)" not in main_text:
            problems.append(f"docs/cli/rwkv.md: does not name {page.command}")
        for words, documented in page_options(page):
            problems += check_command(program, page, words, documented, tables)
    problems += [f"docs/cli/{command}.md: there is no such page" for command in sorted(commands)]
    return project.report(problems, f"{len(pages)} command pages")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
