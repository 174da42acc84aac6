#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sum up test logs: what failed with its output, what was skipped and why, and one closing line.

    summary.py NAME=testlog.json...

A log has one JSON object a line, as `meson test` writes them. Exit status 1 if anything failed, or
if nothing ran at all."""
import json
import sys

GOOD = {"OK", "EXPECTEDFAIL"}
TAIL = 40  # lines of output shown of a failed test


def output(record):
    return (record.get("stdout", "") + record.get("stderr", "")).strip().split("\n")


def reason(record):
    """Why a test was skipped: its last line that says so."""
    lines = [line for line in output(record) if "skip" in line or "absent" in line]
    return (lines or output(record))[-1].removeprefix("skipped: ")


def read_log(path):
    """The records of a log; a log that is not there is a failure of its own."""
    try:
        with open(path, encoding="utf-8") as log:
            return [json.loads(line) for line in log]
    except OSError as error:
        return [{"name": path, "result": "FAIL", "stderr": f"no tests ran: {error}"}]


def main(arguments):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    skipped = {}
    for argument in arguments:
        kind, path = argument.split("=", 1)
        for record in read_log(path):
            name = record["name"].split(":", 1)[-1].strip()
            if record["result"] in GOOD:
                counts["passed"] += 1
            elif record["result"] == "SKIP":
                counts["skipped"] += 1
                skipped.setdefault((name, reason(record)), []).append(kind)
            else:
                counts["failed"] += 1
                print(f"\nFAILED {name} ({kind}): {record['result'].lower()}, "
                      f"exit status {record.get('returncode', '?')}")
                print("\n".join("    " + line for line in output(record)[-TAIL:]))
    for (name, why), kinds in sorted(skipped.items()):
        print(f"skipped {name} ({', '.join(kinds)}): {why}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
