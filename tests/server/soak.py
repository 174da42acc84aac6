#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server under clients that behave, leave, stall and lie, all at once, for as long as asked.

    soak.py [--seconds N] [--clients N] [--seed N] [--any-memory]

Every answer is compared with that of the same request alone; refusals are those that there may be.
At the end nothing is at work, no descriptor is left open, and memory is what it was after the
first part of the time. --any-memory leaves that out, for programs built with sanitizers. Without
options it takes half an hour; the tests run it for some seconds."""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import socket
import sys
import tempfile
import threading
import time

import serving

OPTIONS = ["--parallel", "6", "--max-queue", "24", "--state-cache", "3M", "--mark-every", "32",
           "--head-timeout", "1", "--body-timeout", "1", "--stall-timeout", "1", "--log", "off"]
NO_END = {"logit_bias": {"0": -100}}
GARBAGE = (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n",
           b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
           b"Content-Length: 6\r\n\r\n{}", b"G" * 70000, b"POST /v1/completions HTTP/1.1\r\nHost: "
           b"localhost\r\nContent-Length: 99\r\n\r\n{", b"PUT /v1/states/x HTTP/1.1\r\nHost: "
           b"localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
           b"{\"prompt\":")
WRONG = ({"prompt": 5}, {"prompt": [9999]}, {"prompt": "a", "n": 0}, {"prompt": "a", "model": "x"},
         {"prompt": "a", "grammar": "root ::= ("}, {"prompt": "a", "state": "none"}, [])


def make_requests(random_, n):
    """(path, body) of answers that are known by their seeds."""
    schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}
    for i in range(n):
        words = " ".join(random_.choice(["one", "two", "Hello", "é", "\n\n"])
                         for _ in range(random_.randrange(1, 60)))
        common = {"seed": i, "max_tokens": random_.randrange(1, 60), **NO_END}
        kind = i % 13
        ask = {"messages": [{"role": "user", "content": words}]}
        options = {"seed": i, "num_predict": common["max_tokens"], "temperature": 0.7}
        if kind == 0:
            yield "/v1/completions", {**common, "prompt": words, "n": 1 + i % 3, "logprobs": 1}
        elif kind == 1:
            yield "/v1/completions", {**common, "prompt": words, "echo": True, "logprobs": 0}
        elif kind == 2:
            yield "/v1/embeddings", {"input": [words, words[:9] + "x"]}
        elif kind == 3:
            yield "/v1/chat/completions", {**common, **ask, "max_tokens": 300, "response_format": {
                "type": "json_schema", "json_schema": {"schema": schema}}}
        elif kind == 4:
            yield "/v1/chat/completions", {**common, **ask, "stop": ["a", "xy"]}
        elif kind == 5:
            yield "/v1/completions", {**common, "prompt": [words, "b"], "no_cache": True}
        elif kind == 6:
            yield "/v1/rerank", {"query": words, "documents": ["one", words, "é"]}
        elif kind == 7:
            yield "/v1/chat/completions", {**common, **ask, "max_tokens": 300, "tools": [
                {"type": "function", "function": {"name": "f", "parameters": schema}}],
                                           "tool_choice": "required"}
        elif kind == 8:
            yield "/api/generate", {"prompt": words, "options": options, "stream": False}
        elif kind == 9:
            yield "/api/chat", {**ask, "options": options, "stream": False, "think": i % 2 == 0}
        elif kind == 10:
            yield "/api/chat", {**ask, "options": {**options, "num_predict": 300}, "stream": False,
                                "format": schema}
        elif kind == 11:
            yield "/api/embed", {"input": [words, "x"], "options": {}}
        else:  # parsed and turned to tokens beside the loop
            yield "/v1/completions", {**common, "prompt": words, "user": "u",
                                      "metadata": ["x" * 100] * 1000}


def essence(reply):
    """What of a reply has to be the same: not times, nor names that are drawn."""
    for choice in reply.get("choices", []):
        for call in choice.get("message", {}).get("tool_calls") or []:
            del call["id"]
    if "done" in reply:
        names = ("response", "message", "done_reason", "eval_count", "prompt_eval_count")
        return {name: reply[name] for name in names if name in reply}
    names = ("choices", "data", "results", "embeddings")
    return next(reply[name] for name in names if name in reply)


class Soak:
    def __init__(self, server, options):
        self.server = server
        self.random = random.Random(options.seed)
        self.requests = list(make_requests(self.random, 60))
        self.wanted = [essence(server.post(path, {**body, "no_cache": True}).json)
                       for path, body in self.requests]
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.counts = {}
        self.failures = []

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def fail(self, what):
        with self.lock:
            self.failures.append(what)
        self.stop.set()

    def behave(self, random_):
        """Ask, whole or streamed; the answer is the known one, or that there is no room."""
        i = random_.randrange(len(self.requests))
        path, body = self.requests[i]
        stream = random_.random() < 0.4 and (
            "completions" in path and "tools" not in body or path in ("/api/generate", "/api/chat"))
        reply = self.server.post(path, {**body, "stream": stream})
        if reply.status == 429:
            self.count("refused")
            return
        if reply.status != 200:
            self.fail(f"{path} {body}: {reply.status} {reply.body[:300]}")
            return
        if stream and path.startswith("/api/"):
            same = self.same_lines(reply.lines, self.wanted[i])
        elif stream:
            same = self.same_stream(reply.chunks, self.wanted[i])
        else:
            same = essence(reply.json) == self.wanted[i]
        if not same:
            self.fail(f"{path} {body}: {reply.body[:2000]}, wanted {self.wanted[i]}")
        self.count("answered")

    @staticmethod
    def same_stream(chunks, wanted):
        for choice in wanted:
            mine = [c["choices"][0] for c in chunks if c["choices"]
                    and c["choices"][0]["index"] == choice["index"]]
            text = "".join(c.get("text") or c.get("delta", {}).get("content") or "" for c in mine)
            whole = choice["text"] if "text" in choice else choice["message"]["content"]
            if text != whole or mine[-1]["finish_reason"] != choice["finish_reason"]:
                return False
        return True

    @staticmethod
    def same_lines(lines, wanted):
        whole = {name: lines[-1][name] for name in wanted if name in lines[-1]}
        if "response" in wanted:
            whole["response"] = "".join(line["response"] for line in lines)
        else:
            messages = [line["message"] for line in lines]
            whole["message"] = {"role": "assistant", **{
                name: "".join(message.get(name, "") for message in messages)
                for name in wanted["message"] if name != "role"}}
        return whole == wanted

    def leave(self, random_):
        """Go away: before the answer, or in the middle of it."""
        connection = self.server.connect()
        try:
            self.server.send(connection, "POST", "/v1/completions", {
                "prompt": "leave" * random_.randrange(1, 200), "max_tokens": 100000,
                "stream": random_.random() < 0.7, **NO_END})
            if random_.random() < 0.5:
                connection.sock.settimeout(random_.random())
                connection.getresponse().read(random_.randrange(1, 3000))
        except TimeoutError:
            pass
        finally:
            connection.close()
        self.count("left")

    def stall(self, random_):
        """Begin a long answer and take nothing of it; the server gives up on us."""
        connection = self.server.connect()
        try:
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.server.send(connection, "POST", "/v1/completions", {
                "prompt": "stall", "max_tokens": 3000, "stream": True, "logprobs": 20, **NO_END})
            self.stop.wait(random_.random() * 3)
        finally:
            connection.close()
        self.count("stalled")

    def lie(self, random_):
        """Send what is no request, or a wrong one, or one that never gets whole."""
        if random_.random() < 0.5:
            reply = self.server.post("/v1/completions", random_.choice(WRONG))
            if reply.status not in (400, 404):
                self.fail(f"a wrong request: {reply.status} {reply.body[:300]}")
        else:
            with contextlib.closing(self.server.connect()) as connection:
                connection.connect()
                connection.sock.sendall(random_.choice(GARBAGE))
                if random_.random() < 0.5:
                    connection.sock.settimeout(3)
                    with contextlib.suppress(OSError):
                        connection.sock.recv(1000)
        self.count("lied")

    def look(self, _):
        if self.server.ask("GET", "/health").status != 200:
            self.fail("/health")
        self.server.ask("GET", "/metrics")
        time.sleep(0.02)
        self.count("looked")

    def keep_states(self, random_):
        """Make a state, go on from it, remove it."""
        name = f"soak-{threading.get_ident()}"
        made = self.server.post("/v1/states", {"id": name, "prompt": "Once upon"})
        if made.status == 200:
            path, body = "/v1/completions", {"prompt": " a time", "seed": 5, "max_tokens": 9,
                                             **NO_END}
            one = self.server.post(path, {**body, "state": name})
            two = self.server.post(path, {**body, "prompt": "Once upon a time"})
            file = self.server.ask("GET", f"/v1/states/{name}").body
            sent = self.server.ask("PUT", f"/v1/states/{name}-sent", file)
            forked = self.server.post(f"/v1/states/{name}-sent/fork", {"id": f"{name}-fork"})
            for reply in (sent, forked):
                if reply.status != 200:
                    self.fail(f"a state cannot be sent or forked: {reply.status} {reply.body}")
            three = self.server.post(path, {**body, "state": f"{name}-fork"})
            for reply in (one, three):
                if reply.status == two.status == 200:
                    if reply.json["choices"] != two.json["choices"]:
                        self.fail(f"from a state: {reply.body}, wanted {two.body}")
            for each in (name, f"{name}-sent", f"{name}-fork"):
                removed = self.server.ask("DELETE", f"/v1/states/{each}")
                if removed.status != 200:
                    self.fail(f"a state cannot be removed: {removed.body}")
        self.count("states")

    def run_client(self, number):
        random_ = random.Random(self.random.random() + number)
        acts = [self.behave] * 8 + [self.leave, self.leave, self.stall, self.lie, self.keep_states]
        while not self.stop.is_set():
            act = self.look if number == 0 else random_.choice(acts)
            try:
                act(random_)
            except (OSError, http.client.HTTPException, AssertionError, ValueError,
                    KeyError) as wrong:
                self.fail(f"{act.__name__}: {wrong!r}")

    def used(self):
        """Descriptors and resident kilobytes of the server."""
        process = pathlib.Path(f"/proc/{self.server.process.pid}")
        status = (process / "status").read_text(encoding="utf-8")
        resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return len(os.listdir(process / "fd")), int(resident)

    def descriptors(self):
        folder = pathlib.Path(f"/proc/{self.server.process.pid}/fd")
        return sorted(os.readlink(each) for each in folder.iterdir())

    def settle(self):
        """Wait until nothing is at work and nobody is connected; what is used then."""
        serving.wait_for(lambda: all(self.server.metric(name) == 0 for name in
                                     ("sequences_working", "sequences_waiting"))
                         and self.server.metric("connections") == 1)
        return self.used()

    def part(self, seconds, clients):
        self.stop.clear()
        threads = [threading.Thread(target=self.run_client, args=(i,)) for i in range(clients)]
        for thread in threads:
            thread.start()
        self.stop.wait(seconds)
        self.stop.set()
        for thread in threads:
            thread.join(serving.PATIENCE)
            if thread.is_alive():
                self.fail("a client got no answer")
        return self.settle()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--any-memory", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder, \
            serving.Server(*OPTIONS, "--state-dir", folder) as server:
        soak = Soak(server, options)
        before = soak.part(options.seconds / 3, options.clients)
        after = before if soak.failures else soak.part(options.seconds * 2 / 3, options.clients)
        print(json.dumps(soak.counts), f"descriptors {before[0]}, {after[0]}; resident "
              f"{before[1]}, {after[1]} kB")
        if after[0] > before[0] + 4:  # the store's index opens its files when it needs them
            soak.fail(f"descriptors are left open: {soak.descriptors()}")
        if after[1] > before[1] * 1.2 + 10000 and not options.any_memory:
            soak.fail("memory grows")
        if server.stop() != 0:
            soak.fail(f"the server ended with {server.process.returncode}: {server.said()[-3000:]}")
    print("\n".join(soak.failures[:5]))
    return 1 if soak.failures or not soak.counts.get("answered") else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        serving.remove_folder()
