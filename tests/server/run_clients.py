#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run conversations of clients from npm with `rwkv serve`: run_clients.py SOURCE FOLDER TEST.js.

SOURCE has the tests and what they need (package.json, package-lock.json); the packages are
installed in FOLDER, once for each lock file. Skipped where there is no Node of a version that they
know, or where the packages cannot be had."""
import fcntl
import pathlib
import shutil
import subprocess
import sys

NODE = 20           # the oldest version that the packages know
INSTALL_TIME = 240  # seconds
TEST_TIME = 60000   # milliseconds for each test


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def need_node():
    for name in ("node", "npm"):
        if not shutil.which(name):
            skip(f"{name} is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").split(".")[0]) < NODE:
        skip(f"the clients need Node {NODE}, found {version.stdout.strip()}")


def install(source, folder):
    """The packages of the lock file, unless they are there already."""
    lock = (source / "package-lock.json").read_bytes()
    installed = folder / "installed.json"
    if installed.exists() and installed.read_bytes() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=True,
                       timeout=INSTALL_TIME)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        skip(f"the clients could not be installed: {error}")
    installed.write_bytes(lock)


def main():
    source, folder = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    need_node()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of several clients may begin together
        install(source, folder)
        for file in source.glob("*.js"):
            shutil.copy(file, folder)
    command = ["node", "--test", f"--test-timeout={TEST_TIME}", sys.argv[3]]
    return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
