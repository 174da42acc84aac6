#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run every example command of README.md and docs/cli: each must succeed and print something.

    check_examples.py RWKV MODEL.gguf

The examples of a page run in order in a folder of their own, where model.gguf, model.pth,
model.safetensors, a vocabulary and ids.txt lie. Lines of a fence that begin with none of STARTS are
not run."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import project

STARTS = ("rwkv ", "printf ", "echo ")
TIMEOUT = 100  # seconds an example


def examples(path):
    """The commands in the fences of a page, without those that only show a synopsis."""
    fenced, command = False, ""
    heading = ""
    for line in project.read(path).split("\n"):
        if line.startswith("```"):
            fenced = not fenced
        elif line.startswith("## "):
            heading = line
        elif fenced and (heading or path.name == "README.md"):
            command += line
            if command.endswith("\\"):
                command = command[:-1]
                continue
            if command.startswith(STARTS):
                yield command
            command = ""


def prepare(folder, environment, model):
    """Give the examples the files they name."""
    shutil.copyfile(model, folder / "model.gguf")
    info = subprocess.run(["rwkv", "info", "--json"], env=environment, check=True,
                          capture_output=True).stdout
    n_vocab = json.loads(info)["vocabulary_size"]
    vocabulary = "".join(f"{i + 1} {bytes([i])!r} 1\n" for i in range(min(256, n_vocab - 1)))
    (folder / "rwkv_vocab_v20230424.txt").write_text(vocabulary, encoding="utf-8")
    (folder / "ids.txt").write_text("1 2 3\n", encoding="utf-8")
    for name in ("model.pth", "model.safetensors"):
        subprocess.run(["rwkv", "convert", "model.gguf", name], cwd=folder, env=environment,
                       check=True, capture_output=True)


def run_example(command, folder, environment):
    """None if all is well, else what went wrong."""
    words = command.split()
    if words[:2] == ["rwkv", "convert"]:  # refuses to overwrite, and rightly so
        (folder / words[3]).unlink(missing_ok=True)
    before = set(folder.iterdir())
    try:
        done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
                              check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {TIMEOUT} seconds"
    if done.returncode:
        return f"exit status {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
    # What a model of random weights writes may be nothing at all.
    if not done.stdout and set(folder.iterdir()) == before and words[1] not in ("run", "chat"):
        return "printed and made nothing"
    return None


def main(program, model):
    problems = []
    count = 0
    pages = project.sources(".md", folders=("docs/cli",))
    pages = [page for page in pages if page.name != "README.md"]
    if (project.ROOT / "README.md").is_file():
        pages.append(project.pathlib.Path("README.md"))
    for page in pages:
        with tempfile.TemporaryDirectory(prefix="rwkv-examples-") as name:
            folder = pathlib.Path(name)
            tools = folder / ".bin"
            tools.mkdir()
            (tools / "rwkv").symlink_to(pathlib.Path(program).resolve())
            environment = dict(os.environ, HOME=name, PATH=f"{tools}:{os.environ['PATH']}")
            prepare(folder, environment, model)
            for command in examples(page):
                count += 1
                problem = run_example(command, folder, environment)
                if problem:
                    problems.append(f"{page}: {command}: {problem}")
    return project.report(problems, f"{count} examples on {len(pages)} pages")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
