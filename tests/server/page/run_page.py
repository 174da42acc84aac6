#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test the chat page, with what npm has for it.

    run_page.py build FOLDER           web/: types, unit tests, and that dist is what src makes
    run_page.py TEST.test.js FOLDER    a file of tests here, in Debian's Chromium

Everything is copied to FOLDER and its packages installed there, once for each lock file. Skipped
where there is no Node, no Chromium, or where the packages cannot be had."""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

import run_clients

HERE = pathlib.Path(__file__).resolve().parent
WEB = HERE.parents[2] / "web"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TEST_TIME = 500_000  # milliseconds for a file


def copy(source, folder):
    """The files of a folder as git has them; what a test made is not among them."""
    for name in ("src", "test", "dist"):
        shutil.rmtree(folder / name, ignore_errors=True)
    skipped = shutil.ignore_patterns("node_modules", "build", "*.py", "__pycache__", "meson.build")
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=skipped)


def prepare(source, folder):
    run_clients.need_node()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests may begin together
        run_clients.install(source, folder)
        copy(source, folder)


def differences(built, committed):
    names = {path.name for folder in (built, committed) for path in folder.iterdir()}
    for name in sorted(names):
        one, other = built / name, committed / name
        if not one.exists() or not other.exists() or one.read_bytes() != other.read_bytes():
            yield f"web/dist/{name} is not what web/src builds to: npm run build, and commit it"


def test_build(folder):
    prepare(WEB, folder)
    for script in ("check", "test", "build"):
        done = subprocess.run(["npm", "run", script], cwd=folder, stdin=subprocess.DEVNULL,
                              check=False)
        if done.returncode != 0:
            sys.exit(f"npm run {script}: exit status {done.returncode}")
    problems = list(differences(folder / "dist", WEB / "dist"))
    print("\n".join(problems) or "web/dist is what web/src builds to")
    return 1 if problems else 0


def test_browser(name, folder):
    browser = os.environ.get("RWKV_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not browser:
        run_clients.skip("chromium is not installed")
    prepare(HERE, folder)
    command = ["node", "--test", f"--test-timeout={TEST_TIME}", name]
    environment = {**os.environ, "RWKV_CHROMIUM": browser}
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          check=False).returncode


def main():
    what, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    return test_build(folder) if what == "build" else test_browser(what, folder)


if __name__ == "__main__":
    sys.exit(main())
