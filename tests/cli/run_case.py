#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a script of commands and compare what they print: see tests/cli/README.md.

    run_case.py CASE.t           exit status 0: as expected, 1: not, 77: skipped
    run_case.py --update CASE.t  put what was printed into the case instead (then read it!)

RWKV_PROGRAM is the program under test, RWKV_SOURCE and RWKV_SHARED are folders."""
import difflib
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TIMEOUT = 100  # seconds a command
SKIPPED = 77


def parse(text):
    """Split a case into steps: strings are prose, tuples are (command, expected lines)."""
    steps = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("  $ "):
            steps.append(([line[4:]], []))
        elif line.startswith("  > ") and isinstance(steps[-1], tuple) and not steps[-1][1]:
            steps[-1][0].append(line[4:])
        elif line.startswith("  ") and steps and isinstance(steps[-1], tuple):
            steps[-1][1].append(line[2:])
        elif line.startswith("  "):
            sys.exit(f"line {number}: indented, but there is no command right above")
        else:
            steps.append(line)
    return steps


def visible(data):
    """Output as lines of text: bytes that are no UTF-8 and controls but for tabs become \\xNN."""
    text = data.decode("utf-8", errors="backslashreplace")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", lambda m: f"\\x{ord(m.group()):02x}", text)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    else:
        lines[-1] += " (no-eol)"
    return lines


def run_command(command, folder, environment):
    """Everything a command shows: lines of stdout, '! ' lines of stderr, [status]."""
    try:
        done = subprocess.run(["sh", "-c", "\n".join(command)], cwd=folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
                              check=False)
    except subprocess.TimeoutExpired:
        return [f"[no end after {TIMEOUT} seconds]"]
    shown = visible(done.stdout) if done.stdout else []
    if done.stderr:
        shown += ["! " + line for line in visible(done.stderr)]
    if done.returncode:
        shown.append(f"[{done.returncode}]")
    return [line.replace(str(folder), "$TMP") for line in shown]


def line_fits(wanted, found):
    if wanted.endswith(" (re)"):
        return re.fullmatch(wanted[:-5], found) is not None
    if wanted.endswith(" (glob)"):
        return fnmatch.fnmatchcase(found, wanted[:-7])
    return wanted == found


def fits(wanted, found):
    """Compare line by line; '...' stands for any number of lines, '! ...' of lines of stderr."""
    if not wanted:
        return not found
    if wanted[0] in ("...", "! ..."):
        same = found and found[0].startswith("! ") == (wanted[0] == "! ...")
        return fits(wanted[1:], found) or bool(same) and fits(wanted, found[1:])
    return bool(found) and line_fits(wanted[0], found[0]) and fits(wanted[1:], found[1:])


def make_environment(folder):
    program = pathlib.Path(os.environ["RWKV_PROGRAM"]).resolve()
    source = pathlib.Path(os.environ["RWKV_SOURCE"]).resolve()
    shared = pathlib.Path(os.environ["RWKV_SHARED"]).resolve()
    tools = folder / ".bin"
    tools.mkdir()
    (tools / "rwkv").symlink_to(program)
    keep = {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
    return {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8",
            "TERM": "dumb", "SHARED": str(shared), "SOURCE": str(source),
            "RWKV_CUDA_PLUGIN": "./plugin.so",
            "FAR_PLUGIN": os.environ.get("RWKV_FAR_PLUGIN", "/absent"),
            "DATA": str(source / "tests" / "data"), "CASE": str(source / "tests" / "cli"), **keep}


def missing_need(steps, environment):
    """The first 'Needs: PATH…' of the prose that is not there."""
    for step in steps:
        if isinstance(step, str) and step.startswith("Needs: "):
            for path in step.removeprefix("Needs: ").split():
                where = re.sub(r"\$(\w+)", lambda m: environment.get(m.group(1), ""), path)
                if not pathlib.Path(where).exists():
                    return where
    return None


def main(arguments):
    update = arguments[:1] == ["--update"]
    case = pathlib.Path(arguments[-1])
    steps = parse(case.read_text(encoding="utf-8"))
    failed = 0
    out = []
    with tempfile.TemporaryDirectory(prefix="rwkv-cli-") as name:
        folder = pathlib.Path(name).resolve()
        environment = make_environment(folder)
        need = missing_need(steps, environment)
        if need:
            print(f"skipped: {need} is absent")
            return SKIPPED
        for step in steps:
            if isinstance(step, str):
                out.append(step)
                continue
            command, wanted = step
            found = run_command(command, folder, environment)
            good = fits(wanted, found)
            out += ["  $ " + command[0]] + ["  > " + line for line in command[1:]]
            out += ["  " + line for line in (wanted if good else found)]
            if not good and not update:
                failed += 1
                print("\n".join(["$ " + command[0], *("> " + line for line in command[1:])]))
                print("\n".join(difflib.unified_diff(wanted, found, "wanted", "found",
                                                     lineterm="", n=2)))
    if update:
        case.write_text("\n".join(out), encoding="utf-8")
    commands = sum(isinstance(step, tuple) for step in steps)
    print(f"{case.name}: {commands} commands, {failed} failed")
    return 1 if failed or not commands else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
