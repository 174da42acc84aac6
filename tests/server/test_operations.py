#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a server is run: what it gives up, signals, systemd, what it says at start."""
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest
from unittest import mock

import serving

OFF = "this build has none"  # of the sandbox, in builds with sanitizers
PROMPT = {"prompt": "abc", "max_tokens": 4, "temperature": 0}


class Folder(unittest.TestCase):
    """Each test has a folder with a model of its own name in it."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.models = self.folder / "models"
        self.models.mkdir()
        self.add_model(self.models / "first.gguf")

    def add_model(self, path):
        shutil.copyfile(serving.folder() / "small.gguf", path)

    def start(self, *options, **more):
        vocabulary = serving.folder() / "vocabulary.txt"
        server = serving.Server("--models", self.models, "--vocab", vocabulary, *options,
                                model=False, **more)
        self.addCleanup(server.__exit__)
        self.assertTrue(server.listening, server.said())
        return server

    def complete(self, server, **more):
        return server.post("/v1/completions", {**PROMPT, **more})


def thread_states(server, name):
    """The values of a line of /proc/PID/status, of every thread."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
    return {line.split()[1] for task in tasks for line in (task / "status").read_text().split("\n")
            if line.startswith(name + ":")}


class Sandbox(Folder):
    def start(self, *options, need_files=False, **more):
        server = super().start(*options, **more)
        if OFF in server.said() or (need_files and "files are not limited" in server.said()):
            self.skipTest("no sandbox here")
        return server

    def test_every_thread_is_in_it(self):
        server = self.start()
        self.assertEqual(self.complete(server).status, 200)
        self.assertIn("system calls are limited", server.said())
        self.assertEqual(thread_states(server, "Seccomp"), {"2"})
        self.assertEqual(thread_states(server, "NoNewPrivs"), {"1"})

    def test_it_can_be_left_out(self):
        server = self.start("--no-sandbox")
        self.assertIn("sandbox: off", server.said())
        self.assertEqual(thread_states(server, "Seccomp"), {"0"})

    def test_everything_works_in_it(self):
        options = ("--state-dir", self.folder / "states", "--keep-alive", "0",
                   "--unix", self.folder / "socket")
        server = self.start(*options)
        self.add_model(self.models / "second.gguf")
        for model in ("first", "second", "first"):  # closed and opened anew
            self.assertEqual(self.complete(server, model=model).status, 200)
        made = server.post("/v1/states", {"prompt": "abc", "id": "kept", "model": "first"})
        self.assertEqual(made.status, 200, made.body)
        state = server.ask("GET", "/v1/states/kept?model=first")
        self.assertEqual(server.ask("PUT", "/v1/states/again?model=first", state.body).status, 200)
        self.assertEqual(server.post("/v1/states/kept/fork", {"id": "fork"}).status, 200)
        self.assertEqual(server.ask("DELETE", "/v1/states/kept").status, 200)
        self.assertEqual(server.stop(), 0)
        self.assertFalse((self.folder / "socket").exists())
        again = self.start(*options)
        self.assertEqual([s["id"] for s in again.ask("GET", "/v1/states").json["data"]],
                         ["again", "fork"])

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_tls_works_in_it(self):
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", cert], check=True,
                       capture_output=True)
        server = self.start("--tls-cert", cert, "--tls-key", key, ready=False)
        port = int(server.url.rsplit(":", 1)[1])
        trust = ssl.create_default_context(cafile=cert)
        trust.check_hostname = False
        for _ in range(2):
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust,
                                                     timeout=serving.PATIENCE)
            with contextlib.closing(connection):
                server.send(connection, "POST", "/tokenize", {"content": "a"})
                self.assertEqual(connection.getresponse().status, 200)

    def test_models_elsewhere_are_out_of_reach(self):
        outside = self.folder / "outside.gguf"
        self.add_model(outside)
        (self.models / "early.gguf").symlink_to(outside)
        server = self.start(need_files=True)
        self.assertEqual(self.complete(server, model="early").status, 200)
        other = self.folder / "other.gguf"
        self.add_model(other)
        (self.models / "late.gguf").symlink_to(other)
        refused = self.complete(server, model="late")
        self.assertEqual(refused.status, 500)
        self.assertIn("Permission denied", refused.json["error"]["message"])
        free = self.start("--no-sandbox")
        self.assertEqual(self.complete(free, model="late").status, 200)


class Listed(Folder):
    def test_digests_tell_files_apart(self):
        self.add_model(self.models / "second.gguf")
        server = self.start()

        def digests():
            models = server.ask("GET", "/api/tags").json["models"]
            self.assertEqual([m["details"]["format"] for m in models], ["gguf"] * len(models))
            return [m["digest"] for m in models]

        before = digests()
        self.assertEqual([re.fullmatch("[0-9a-f]{64}", d) is not None for d in before],
                         [True, True])
        self.assertNotEqual(*before)
        self.assertEqual(digests(), before)
        os.utime(self.models / "first.gguf", (1e9, 1e9))
        after = digests()
        self.assertNotEqual(after[0], before[0])
        self.assertEqual(after[1], before[1])
        show = server.post("/api/show", {"model": "first"}).json
        self.assertEqual(show["modified_at"], "2001-09-09T01:46:40.000000000Z")
        self.assertIn("User: ", show["template"])


class Signals(Folder):
    def ask_with(self, server, key):
        return server.ask("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"}).status

    def test_keys_are_read_anew(self):
        keys, log = self.folder / "keys", self.folder / "log"
        keys.write_text("alice first-key\n")
        server = self.start("--api-key-file", keys, "--log-file", log)
        self.assertEqual(self.ask_with(server, "first-key"), 200)
        fresh = self.folder / "fresh"
        fresh.write_text("alice second-key\nbob third-key\n")
        fresh.rename(keys)
        server.signal(signal.SIGHUP)
        serving.wait_for(lambda: "there are 2 keys" in log.read_text())
        self.assertEqual([self.ask_with(server, key + "-key")
                          for key in ("first", "second", "third")], [401, 200, 200])
        keys.write_text("short\n")
        server.signal(signal.SIGHUP)
        serving.wait_for(lambda: "stay as they were" in log.read_text())
        self.assertEqual(self.ask_with(server, "second-key"), 200)
        self.assertEqual(server.stop(), 0)

    def test_the_log_is_opened_anew(self):
        log, old = self.folder / "log", self.folder / "old"
        server = self.start("--log-file", log)
        log.rename(old)
        line = '"POST /v1/completions"'
        self.complete(server)
        serving.wait_for(lambda: line in old.read_text())
        server.signal(signal.SIGHUP)
        serving.wait_for(log.exists)
        self.complete(server)
        serving.wait_for(lambda: line in log.read_text())
        self.assertEqual(old.read_text().count(line), 1)

    def test_a_log_that_cannot_be_opened(self):
        logs = self.folder / "logs"
        logs.mkdir()
        server = self.start("--log-file", logs / "log")
        logs.rename(self.folder / "moved")
        server.signal(signal.SIGHUP)
        moved = self.folder / "moved" / "log"
        serving.wait_for(lambda: "SIGHUP: reloaded" in moved.read_text())
        self.assertIn("goes on where it was", moved.read_text())

    def test_nothing_to_reload_is_the_end(self):
        server = self.start()
        server.signal(signal.SIGHUP)
        self.assertEqual(server.process.wait(serving.PATIENCE), 0)
        self.assertIn("SIGHUP: finishing", server.said())


class Manager(Folder):
    """A service manager that listens."""

    def check(self, address, name):
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
            manager.bind(address)
            manager.settimeout(serving.PATIENCE)
            with mock.patch.dict(os.environ, NOTIFY_SOCKET=name, WATCHDOG_USEC="20000"):
                server = self.start(ready=False)

            def expect(start):
                while True:  # it says that it is alive in between
                    said = manager.recv(4096).decode()
                    if said.startswith(start):
                        return said
                    self.assertEqual(said, "WATCHDOG=1")

            self.assertIn(f"STATUS=listening on {server.url}", expect("READY=1\n"))
            self.assertEqual(server.ask("GET", "/health").status, 200)
            expect("WATCHDOG=1")
            server.signal(signal.SIGHUP)
            expect("RELOADING=1")
            expect("READY=1")
            server.signal(signal.SIGTERM)
            expect("STOPPING=1")
            self.assertEqual(server.process.wait(serving.PATIENCE), 0)

    def test_socket_in_a_folder(self):
        path = str(self.folder / "notify")
        self.check(path, path)

    def test_socket_without_a_file(self):
        name = f"rwkv-test-{os.getpid()}-{self.folder.name}"
        self.check("\0" + name, "@" + name)

    def test_nobody_listens(self):
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=str(self.folder / "nobody")):
            server = serving.Server("--models", self.models, model=False)
        self.addCleanup(server.__exit__)
        self.assertFalse(server.listening)
        self.assertIn("NOTIFY_SOCKET: ", server.said())


class Start(Folder):
    def test_what_is_said(self):
        said = self.start("--state-cache", "3M", "--state-dir", self.folder / "states",
                          "--state-disk", "5G", "--models-memory", "7G").said()
        for line in ("models: first (", ", in at most 7.00 GiB\n",
                     f"states: in 3.00 MiB of memory and 5.00 GiB of {self.folder}/states\n",
                     "access: from this machine, without a key\n"):
            self.assertIn(line, said)

    def test_keys_that_all_can_read(self):
        keys = self.folder / "keys"
        keys.write_text("some-secret\n")
        for mode, warned in ((0o644, True), (0o640, False)):
            keys.chmod(mode)
            said = self.start("--api-key-file", keys).said()
            self.assertIn("access: with the key\n", said)
            self.assertEqual("warning: every user of this machine" in said, warned, said)

    def test_seed_and_bias_of_the_server(self):
        request = {"prompt": "abc", "max_tokens": 24}
        seeded = self.start("--seed", "7", "--temp", "1", "--top-p", "1")
        texts = {seeded.post("/v1/completions", request).json["choices"][0]["text"]
                 for _ in range(3)}
        self.assertEqual(len(texts), 1)
        biased = self.start("--logit-bias", f"{serving.token('x')}=100")
        self.assertEqual(biased.post("/v1/completions", {**request, "temperature": 0,
                                     "presence_penalty": 0}).json["choices"][0]["text"], "x" * 24)


if __name__ == "__main__":
    serving.main()
