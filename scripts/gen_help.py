#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn docs/cli/*.md into the program's help texts and man pages.

    gen_help.py c OUT.c PAGE.md...            the array of programs/rwkv/help.h
    gen_help.py man VERSION OUT.1 PAGE.md     one man page
    gen_help.py text PAGE.md                  the help text of one page, to look at

docs/cli/README.md has the form of a page. Anything outside it is an error naming file and line.
"""
import pathlib
import re
import sys
import textwrap

WIDTH = 80
TERM_COLUMN = 26  # where explanations begin in help texts


class PageError(Exception):
    pass


class Page:
    """A parsed page: title, summary, synopsis lines, and sections of blocks.

    A section is (heading, blocks); the description is the section with heading ''. A block is
    ('text', str), ('code', [str]), ('item', str) or ('term', term, str)."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.lines = self.path.read_text(encoding="utf-8").split("\n")
        self.command = self.path.stem
        self.name = "rwkv" if self.command == "rwkv" else "rwkv-" + self.command
        self.at = 0
        self.sections = [("", [])]
        self.parse()

    def fail(self, message):
        raise PageError(f"{self.path}:{self.at + 1}: {message}")

    def line(self):
        return self.lines[self.at] if self.at < len(self.lines) else None

    def skip_blank(self):
        while self.line() is not None and not self.line().strip():
            self.at += 1

    def parse(self):
        if self.line() != f"# {self.name}":
            self.fail(f"expected the title '# {self.name}', found '{self.line()}'")
        self.at += 1
        self.skip_blank()
        self.summary = self.paragraph()
        if not re.fullmatch(r"[A-Z0-9].*[^.]\.", self.summary) or ". " in self.summary:
            self.fail(f"expected a summary of one sentence, found '{self.summary}'")
        self.summary = self.summary[:-1]
        self.skip_blank()
        if not (self.line() or "").startswith("```"):
            self.fail(f"expected the synopsis in a fence, found '{self.line()}'")
        self.synopsis = self.fence()
        self.skip_blank()
        while self.line() is not None:
            self.block()
            self.skip_blank()

    def block(self):
        line = self.line()
        blocks = self.sections[-1][1]
        if line.startswith("## "):
            self.sections.append((line[3:].strip(), []))
            self.at += 1
        elif line.startswith("```"):
            blocks.append(("code", self.fence()))
        elif line.startswith("- "):
            blocks.append(self.item())
        elif re.match(r"#|\||<|>|\s|\d+\. |\* ", line):
            self.fail(f"this form is not known: '{line}'")
        else:
            blocks.append(("text", self.paragraph()))

    def paragraph(self):
        words = []
        while self.line() and self.line().strip() and not re.match(r"```|- |#", self.line()):
            words.append(self.line().strip())
            self.at += 1
        return " ".join(words)

    def fence(self):
        start = self.at
        self.at += 1
        code = []
        while self.line() is not None and self.line() != "```":
            code.append(self.line())
            self.at += 1
        if self.line() is None:
            self.at = start
            self.fail("this fence is not closed")
        self.at += 1
        return code

    def item(self):
        start = self.at
        words = [self.line()[2:].strip()]
        self.at += 1
        while self.line() and self.line().startswith("  ") and self.line().strip():
            words.append(self.line().strip())
            self.at += 1
        text = " ".join(words)
        term = re.match(r"((?:\[?`[^`]+`(?:\]\([^)]*\))?)(?:, `[^`]+`)*): +(\S.*)", text)
        if term:
            return ("term", term.group(1), term.group(2))
        if re.match(r"Options( of \w+)?$", self.sections[-1][0]):
            self.at = start
            self.fail(f"expected '- `--option VALUE`: text', found '{text}'")
        return ("item", text)


def plain(text):
    """Markdown's marks inside a line removed."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"\*([^*]+)\*", r"\1", parts[i])
    return "".join(p.strip("`") if i % 2 else p for i, p in enumerate(parts))


def wrap(text, first, rest):
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)


def term_text(term, text):
    head = "  " + plain(term)
    indent = " " * TERM_COLUMN
    if len(head) > TERM_COLUMN - 2:
        return head + "\n" + wrap(plain(text), indent, indent)
    return wrap(plain(text), head.ljust(TERM_COLUMN), indent)


def help_text(page):
    """The page as a terminal shows it."""
    usage = "\n".join("  " + line for line in page.synopsis)
    chunks = [f"{page.name.replace('-', ' ', 1)}: {page.summary[0].lower()}{page.summary[1:]}",
              f"Usage:\n{usage}"]
    for heading, blocks in page.sections:
        title = heading + ":\n" if heading else ""
        previous = None
        for block in blocks:
            if block[0] == "code":
                text = "\n".join(("  " + line).rstrip() for line in block[1])
            elif block[0] == "term":
                text = term_text(block[1], block[2])
            elif block[0] == "item":
                text = wrap(plain(block[1]), "  - ", "    ")
            else:
                text = wrap(plain(block[1]), "", "")
            if previous == block[0] and block[0] in ("term", "item"):
                chunks[-1] += "\n" + text
            else:
                chunks.append(title + text)
            title = ""
            previous = block[0]
    return "\n\n".join(chunks) + "\n"


def c_string(text):
    lines = []
    for line in text.splitlines(keepends=True):
        raw = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
                      for b in line.encode())
        lines.append(f'        "{raw}"')
    return "\n".join(lines)


def write_c(out, pages):
    pages.sort(key=lambda p: p.command)
    body = "".join(f'    {{"{p.command}",\n{c_string(p.summary)},\n{c_string(help_text(p))}}},\n'
                   for p in pages)
    out.write_text('/* Made by scripts/gen_help.py from docs/cli. */\n#include "help.h"\n\n'
                   f"const struct rw_help rw_help[] = {{\n{body}}};\n"
                   "const size_t rw_help_count = sizeof(rw_help) / sizeof(rw_help[0]);\n",
                   encoding="utf-8")


def roff(text):
    """Text with roff's own characters escaped."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def roff_inline(text):
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`|\*[^*]+\*)", text)
    out = ""
    for part in parts:
        if part.startswith("`"):
            out += "\\fB" + roff(part.strip("`")).removeprefix("\\&") + "\\fR"
        elif part.startswith("*") and len(part) > 2:
            out += "\\fI" + roff(part.strip("*")).removeprefix("\\&") + "\\fR"
        else:
            out += roff(part).removeprefix("\\&")
    return "\\&" + out if out[:1] in (".", "'") else out


def roff_code(lines):
    return ".PP\n.nf\n.RS 4\n" + "\n".join(roff(line) for line in lines) + "\n.RE\n.fi\n"


def roff_block(block):
    if block[0] == "code":
        return roff_code(block[1])
    if block[0] == "term":
        return f".TP\n{roff_inline(block[1])}\n{roff_inline(block[2])}\n"
    if block[0] == "item":
        return f".IP \\(bu 2\n{roff_inline(block[1])}\n"
    return f".PP\n{roff_inline(block[1])}\n"


def man_page(page, version):
    out = (f".TH {page.name.upper()} 1 \"\" \"rwkv {version}\" \"RWKV manual\"\n"
           f".SH NAME\n{page.name} \\- {roff(page.summary[0].lower() + page.summary[1:])}\n"
           ".SH SYNOPSIS\n.nf\n" + "\n".join(roff(line) for line in page.synopsis) + "\n.fi\n")
    for heading, blocks in page.sections:
        if blocks:
            out += f".SH {roff(heading.upper()) if heading else 'DESCRIPTION'}\n"
            out += "".join(roff_block(b) for b in blocks)
    return out


def main(argv):
    if len(argv) >= 4 and argv[1] == "c":
        write_c(pathlib.Path(argv[2]), [Page(p) for p in argv[3:]])
    elif len(argv) == 5 and argv[1] == "man":
        pathlib.Path(argv[3]).write_text(man_page(Page(argv[4]), argv[2]), encoding="utf-8")
    elif len(argv) == 3 and argv[1] == "text":
        sys.stdout.write(help_text(Page(argv[2])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv)
    except (PageError, OSError) as error:
        sys.exit(str(error))
