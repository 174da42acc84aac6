#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the code in a header's first comment to a file: example.py HEADER OUTPUT."""
import re
import sys


def main():
    header, output = sys.argv[1:]
    with open(header, encoding="utf-8") as file:
        comment = re.search(r"^/\*$(.*?)^ \*/$", file.read(), re.MULTILINE | re.DOTALL).group(1)
    code = [line[len(" *     "):] for line in comment.splitlines()
            if line.startswith(" *     ") or line == " *"]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(code) + "\n")


if __name__ == "__main__":
    main()
