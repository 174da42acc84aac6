# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: skipping, running the program, a run of training."""
import importlib
import pathlib
import subprocess
import sys

SKIPPED = 77
SOURCE = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = ["--layers", "2", "--embd", "32", "--head-size", "16", "--ctx", "16", "--batch", "2",
            "--order", "shuffled", "--vocab", "bytes", "--cpu", "ref"]


def need(module):
    """The module, or an end of the test that says what is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        print(f"skipped: {sys.executable} has no {module}")
        sys.exit(SKIPPED)


class Rwkv:
    """The program under test, in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.program = pathlib.Path(sys.argv[1]).resolve()

    def __call__(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], cwd=self.folder, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"rwkv {' '.join(map(str, arguments))}: {done.returncode}: {done.stderr}")
        return done.stdout

    def build_data(self):
        text = "".join(f"one two three {i} {chr(97 + i % 26)} " for i in range(60))
        (self.folder / "text.txt").write_text(text, encoding="utf-8")
        self("data", "build", "-q", "--vocab", "bytes", "text", "text.txt")

    def train(self, *options):
        self.build_data()
        self("train", "-q", "--out", "run", "--data", "text", *SETTINGS, *options)


def check(right, message):
    if not right:
        sys.exit("wrong: " + message)
