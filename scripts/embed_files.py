#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the files of the chat page into C: the table of programs/rwkv/server/page.h.

    embed_files.py OUT.c FILE...

Each gets a type by its ending and an entity tag by its bytes."""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
ROW = 24  # bytes a line


def array(number, data):
    rows = [data[at:at + ROW] for at in range(0, len(data), ROW)]
    body = "\n".join("    " + "".join(f"{byte}," for byte in row) for row in rows)
    return f"static const unsigned char file_{number}[] = {{\n{body}\n}};\n"


def entry(number, path, data):
    tag = hashlib.sha256(data).hexdigest()[:20]
    return (f'    {{"{path.name}", "{TYPES[path.suffix]}", "\\"{tag}\\"", file_{number}, '
            f"{len(data)}}},\n")


def main(out, *names):
    paths = sorted((pathlib.Path(name) for name in names), key=lambda path: path.name)
    data = [path.read_bytes() for path in paths]
    unknown = [path.name for path, text in zip(paths, data)
               if path.suffix not in TYPES or not text]
    if unknown:
        sys.exit(f"embed_files: an ending that is not known, or an empty file: {unknown}")
    text = '/* Made by scripts/embed_files.py. */\n#include "server/page.h"\n\n'
    text += "\n".join(map(array, range(len(data)), data))
    text += "\nconst struct rw_page_file rw_page_files[] = {\n"
    text += "".join(map(entry, range(len(data)), paths, data))
    text += f"}};\nconst size_t rw_n_page_files = {len(data)};\n"
    pathlib.Path(out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
