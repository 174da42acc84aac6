#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Line coverage of the parsers after the tests of a coverage build have run, by gcov.

    coverage.py BUILD_FOLDER RESULT.json

Prints the share of each file and fails when the whole is below LIMIT. RESULT.json is a line in the
form of Meson's test log, so that summary.py can count it."""
import json
import pathlib
import re
import subprocess
import sys

LIMIT = 90.0  # per cent of lines
PARSERS = re.compile(r"src/formats/[^/]+\.c|src/text/vocab[^/]*\.c|src/engine/state[^/]*\.c")


def gcov_files(folder):
    """Yield (file, {line: times run}) of every object of the library."""
    objects = sorted(str(p.resolve()) for p in folder.glob("librwkv.a.p/*.gcda"))
    if not objects:
        return
    text = subprocess.run(["gcov", "--json-format", "--stdout", *objects], cwd=folder, check=True,
                          capture_output=True, text=True).stdout
    for document in text.splitlines():
        for record in json.loads(document)["files"]:
            lines = {}
            for line in record["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
            yield record["file"], lines


def main(folder, result):
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(folder)
    run = total = 0
    rows = []
    for name, lines in gcov_files(folder):
        path = (folder / name).resolve()
        if not path.is_relative_to(root) or not PARSERS.fullmatch(str(path.relative_to(root))):
            continue
        hit = sum(1 for count in lines.values() if count)
        run += hit
        total += len(lines)
        rows.append((str(path.relative_to(root)), hit, len(lines)))
    text = "".join(f"  {100 * hit / (count or 1):5.1f} %  {hit:4} of {count:4} lines  {name}\n"
                   for name, hit, count in sorted(rows))
    percent = 100 * run / total if total else 0.0
    text += f"line coverage of the parsers: {percent:.1f} %, wanted {LIMIT:.0f} %"
    print(text)
    good = percent >= LIMIT
    record = {"name": "coverage of the parsers", "result": "OK" if good else "FAIL", "stdout": text,
              "returncode": 0 if good else 1}
    pathlib.Path(result).write_text(json.dumps(record) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
