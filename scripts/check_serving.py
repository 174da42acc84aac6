#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check docs/serving.md against the server.

    check_serving.py RWKV MODEL.gguf

Its endpoints are those of api.c, its fields those that the sources read, its limits those of
fields.h, its settings those of `rwkv serve --check` and docs/cli/serve.md. Its examples are run:
those of curl all, those in Python and JavaScript where their packages are installed; what is not
run is compiled."""
import contextlib
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import gen_help
import project

PAGE = "docs/serving.md"
SERVER = "programs/rwkv/server"
ADDRESS = "http://127.0.0.1:8080"  # of the page's server
PATIENCE = 120  # seconds
# Functions that read a member of a request, by its name in quotes.
READS = re.compile(r"\b(?:rw_fields?_\w+|rw_http_query|json_object_get|read_float|read|"
                   r"rw_embed_read_inputs|rw_gen_read_stops)\([^;\"]*?\"([a-z][a-z_]*)\"")
WORDS = re.compile(r"`([^`]*)`")


def sections(text):
    """The lines under each heading."""
    found, heading = {}, ""
    for line in text.split("\n"):
        if line.startswith("#") and not line.startswith("#!"):
            heading = line.lstrip("# ")
        found.setdefault(heading, []).append(line)
    return found


def rows(lines):
    """The cells of the tables in these lines, without their heads."""
    table = [line for line in lines if line.startswith("|")]
    rules = [i for i, line in enumerate(table) if re.fullmatch(r"[|-]+", line)]
    heads = {i for rule in rules for i in (rule - 1, rule)}
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            for i, line in enumerate(table) if i not in heads]


def compare(what, documented, true):
    """Problems where two lists differ."""
    for entry in documented:
        if entry not in true:
            yield f"{PAGE}: {what}: {entry} is not true"
    for entry in true:
        if entry not in documented:
            yield f"{PAGE}: {what}: {entry} is missing"


def check_endpoints(page):
    routes = re.findall(r"\{\"([A-Z]+)\", \"(/[^\"]*)\"", project.read(f"{SERVER}/api.c"))
    shown = [(row[0], row[1].strip("`")) for row in rows(page["Endpoints"])]
    return compare("endpoints", shown, routes)


def check_fields(page):
    read = set()
    for path in project.sources(".c", folders=(SERVER,)):
        read |= set(READS.findall(project.read(path)))
    shown = set()
    for heading in ("Of all that generate", "Conversations", "Texts", "Embeddings and rerank",
                    "Ollama's", "Tokens and states"):
        for row in rows(page[heading]):
            for name in WORDS.findall(row[0]):
                shown |= set(re.findall(r"[a-z][a-z_]*", name))
    text = "\n".join(line for lines in page.values() for line in lines)
    named = set(re.findall(r"\"([a-z_]+)\"", text)) | shown
    return ([f"{PAGE}: fields: {name} is not read" for name in sorted(shown - read)]
            + [f"{PAGE}: fields: {name} is read, and missing" for name in sorted(read - named)])


def check_limits(page):
    listed = re.findall(r"X\(RW_MAX_\w+, ([^,]+), \"([^\"]+)\"\)",
                        project.read(f"{SERVER}/fields.h"))
    true = []
    for value, what in listed:
        number, _, shift = value.replace("u", "").partition(" << ")
        true.append([what, f"{int(number) << int(shift or 0):,}"])
    return compare("limits", rows(page["Limits"]), true)


def option_names():
    """Those of the page of the command, in its order, as they are spelled in full."""
    page = gen_help.Page(project.ROOT / "docs/cli/serve.md")
    terms = [block[1] for heading, blocks in page.sections if heading == "Options"
             for block in blocks if block[0] == "term"]
    names = [name for term in terms for name in re.findall(r"`--([a-z-]+)", term)]
    return [name for name in names if name not in ("check", "help")]


def shown_value(text):
    """A default as the table has it: bytes in units where they are whole ones."""
    if text is None:
        return ""
    text = text.strip('"')
    if text.isdigit() and int(text) > 0 and int(text) % (1 << 30) == 0:
        text = f"{int(text) >> 30}G"
    return f"`{text}`"


def check_settings(program, page):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("RWKV_SERVE_")}
    printed = subprocess.run([program, "serve", "--check"], env=environment, check=True,
                             capture_output=True, text=True).stdout
    defaults = dict(re.findall(r"^([a-z-]+) = (.*)$", printed, re.MULTILINE))
    true = [[f"`{name}`", f"`RWKV_SERVE_{name.upper().replace('-', '_')}`",
             shown_value(defaults.get(name))] for name in option_names()]
    unknown = [name for name in defaults if name not in option_names()]
    return (list(compare("settings", rows(page["Settings"]), true))
            + [f"docs/cli/serve.md: {name} is missing" for name in unknown])


# --- examples ---------------------------------------------------------------------------------


def fences(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """The commands of shell fences; between two there is an empty line."""
    for fence in fences(text, "sh"):
        yield from (part.strip() for part in fence.split("\n\n"))


@contextlib.contextmanager
def running(program, folder):
    """The page's server, on a free port; yields where it listens."""
    log = folder / "log"
    with open(log, "wb") as to, subprocess.Popen(
            [program, "serve", "-m", "rwkv=model.gguf", "--state-dir", "states", "--port", "0"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=to, stderr=to) as server:
        try:
            end = time.monotonic() + PATIENCE
            while not (found := re.search(r"listening on (\S+)[\s\S]* opened in", log.read_text())):
                if time.monotonic() > end or server.poll() is not None:
                    raise RuntimeError(f"the server does not start: {log.read_text()}")
                time.sleep(0.02)
            yield found.group(1)
        finally:
            server.terminate()


def run(command, folder, environment=None):
    """None, or what went wrong."""
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode == 0:
        return None
    return (done.stderr + done.stdout).decode(errors="replace").strip()


def run_curl(text, url, folder):
    """A curl that fails where the status says so stands before the real one."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "curl").write_text(
        f'#!/bin/sh\nexec {shutil.which("curl")} -sS --fail-with-body "$@"\n', encoding="utf-8")
    (tools / "curl").chmod(0o755)
    environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", no_proxy="*")
    for command in commands(text):
        problem = run(["sh", "-c", command.replace(ADDRESS, url)], folder, environment)
        if problem:
            yield f"{PAGE}: {command}: {problem}"


def run_python(text, url, folder):
    for fence in fences(text, "python"):
        compile(fence, PAGE, "exec")
        packages = re.findall(r"^from (\w+) import", fence, re.MULTILINE)
        if all(importlib.util.find_spec(package) for package in packages):
            problem = run([sys.executable, "-c", fence.replace(ADDRESS, url)], folder)
            if problem:
                yield f"{PAGE}: example in Python: {problem}"


def run_javascript(text, url, folder):
    """Run what NODE_PATH has the packages for."""
    modules = pathlib.Path(os.environ.get("NODE_PATH", folder / "none"))
    if not shutil.which("node"):
        return
    if modules.is_dir():
        (folder / "node_modules").symlink_to(modules)
    for fence in fences(text, "js"):
        script = folder / "example.mjs"
        script.write_text(fence.replace(ADDRESS, url), encoding="utf-8")
        packages = re.findall(r"from \"([^\"]+)\"", fence)
        there = all((modules / package).is_dir() for package in packages)
        problem = run(["node", *([] if there else ["--check"]), str(script)], folder)
        if problem:
            yield f"{PAGE}: example in JavaScript: {problem}"


def check_examples(program, model, text):
    with tempfile.TemporaryDirectory(prefix="rwkv-serving-") as name:
        folder = pathlib.Path(name)
        shutil.copyfile(model, folder / "model.gguf")
        with running(program, folder) as url:
            return [problem for check in (run_curl, run_python, run_javascript)
                    for problem in check(text, url, folder)]


def main(program, model):
    project.need_tool("curl")
    program = str(pathlib.Path(program).resolve())
    text = project.read(PAGE)
    page = sections(text)
    problems = [*check_endpoints(page), *check_fields(page), *check_limits(page),
                *check_settings(program, page), *check_examples(program, model, text)]
    return project.report(problems, f"{PAGE}, {len(list(commands(text)))} examples of curl")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
