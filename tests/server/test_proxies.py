#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two servers behind nginx and HAProxy, with the settings that docs/serving.md has for them; where
those are installed: installing them would start them."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import serving

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATHS = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
ENDLESS = {"prompt": "a", "max_tokens": 1000000, "stream": True, "logit_bias": {"0": -100}}
NGINX = """daemon off;
error_log stderr;
pid nginx.pid;
events {}
http {
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
%s
}
"""


def settings(kind):
    """The block of this kind in the page."""
    page = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    return re.search(f"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1)


def replaced(text, pairs):
    for old, new in pairs:
        if old not in text:
            raise AssertionError(f"{old} is not in the page's settings")
        text = text.replace(old, new)
    return text


class Proxy:
    """What stands before the servers: `ask` and the like go through it."""

    def __init__(self, kind, folder, servers):
        self.socket = f"{folder}/socket"
        pairs = [(f"127.0.0.1:808{i + 1}", server.url.removeprefix("http://"))
                 for i, server in enumerate(servers)]
        path = pathlib.Path(folder, "settings")
        if kind == "nginx":
            text = replaced(settings(kind), [*pairs, ("listen 8080", f"listen unix:{self.socket}")])
            # Its workers write to the test's folder, which is this user's.
            user = "" if os.geteuid() else "user root;\n"
            path.write_text(user + NGINX % text, encoding="utf-8")
            command = ["nginx", "-p", folder, "-c", path]
        else:
            text = replaced(settings(kind), [*pairs, ("bind :8080", f"bind unix@{self.socket}")])
            path.write_text(text, encoding="utf-8")
            command = ["haproxy", "-db", "-f", path]
        program = shutil.which(command[0], path=PATHS)
        subprocess.run([program, *command[1:], "-t" if kind == "nginx" else "-c"], check=True)
        self.process = subprocess.Popen([program, *command[1:]], stdin=subprocess.DEVNULL)
        serving.wait_for(self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the proxy has ended")
        with contextlib.suppress(OSError):
            return self.ask("GET", "/health").status == 200
        return False

    def connect(self):
        return serving.UnixConnection(self.socket)

    send, ask, post, begin = (serving.Server.send, serving.Server.ask, serving.Server.post,
                              serving.Server.begin)

    def end(self):
        self.process.terminate()
        self.process.wait(serving.PATIENCE)


class Nginx(unittest.TestCase):
    kind = "nginx"
    longest = 100000

    def setUp(self):
        if not shutil.which(self.kind, path=PATHS):
            self.skipTest(f"{self.kind} is not installed")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.servers = [self.enterContext(serving.Server("--state-dir", f"{folder}/states",
                                                         "--share-states")) for _ in range(2)]
        self.proxy = Proxy(self.kind, folder, self.servers)
        self.addCleanup(self.proxy.end)

    def test_answers_are_the_servers(self):
        body = {"prompt": "Hi", "max_tokens": 20}
        wanted = self.servers[0].post("/v1/completions", body).json["choices"]
        self.assertEqual(self.proxy.post("/v1/completions", body).json["choices"], wanted)
        streamed = self.proxy.post("/v1/completions", {**body, "stream": True}).chunks
        self.assertEqual("".join(c["choices"][0]["text"] for c in streamed if c["choices"]),
                         wanted[0]["text"])

    def test_streams_flow_and_leaving_is_passed_on(self):
        connection, response = self.proxy.begin("/v1/completions", ENDLESS)
        self.assertTrue(response.readline().startswith(b"data: {"))
        working = [server.metric("sequences_working") for server in self.servers]
        self.assertEqual(sum(working), 1)
        response.close()
        connection.close()
        serving.wait_for(lambda: not any(server.metric("sequences_working")
                                         for server in self.servers))

    def test_states_are_passed_on(self):
        self.assertEqual(self.proxy.post("/v1/states", {"id": "one", "prompt": "Hi"}).status, 200)
        file = self.proxy.ask("GET", "/v1/states/one").body
        self.assertEqual(self.proxy.ask("PUT", "/v1/states/two", file).status, 200)
        self.assertEqual(self.proxy.ask("PUT", "/v1/states/bad", b"x" * (3 << 20)).status, 400)

    def test_a_server_that_ends_loses_nothing(self):
        """While the other one goes on."""
        statuses = []
        body = {"prompt": "a", "max_tokens": 30, "metadata": ["x" * self.longest]}
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                reply = self.proxy.post("/v1/completions", body)
                statuses.append((reply.status, reply.body[:200] if reply.status != 200 else None))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            serving.wait_for(lambda: len(statuses) > 20)
            # The one that has this client's requests, where the proxy keeps to one.
            busy = max(self.servers, key=lambda server: server.metric("prompt_tokens_total"))
            self.assertEqual(busy.stop(), 0)
            enough = len(statuses) + 40
            serving.wait_for(lambda: len(statuses) > enough)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(set(statuses), {(200, None)})


class HAProxy(Nginx):
    kind = "haproxy"
    longest = 10000


if __name__ == "__main__":
    if not any(shutil.which(kind, path=PATHS) for kind in (Nginx.kind, HAProxy.kind)):
        print("neither nginx nor haproxy is installed")
        sys.exit(77)
    serving.main()
