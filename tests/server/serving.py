# SPDX-License-Identifier: Apache-2.0
"""What the tests of `rwkv serve` share: a small model, servers that are started for a test and
ended after it, and a client on http.client that sees every byte.

    class Tests(serving.Case):
        options = ["--max-queue", "2"]          # of the server that the class has

        def test_health(self):
            self.assertEqual(self.ask("GET", "/health").status, 200)

    if __name__ == "__main__":
        serving.main()

RWKV_PROGRAM is the program under test. The model has random weights, so its answers are nonsense,
but depend on all that came before. Its vocabulary has every byte as a token (id = byte + 1), a few
longer tokens, and 0 for the end of a text."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PATIENCE = 120  # seconds for anything that has to happen
LONGER = ["\n\n", "\nUser:", "```", "json", "```json", "```json\n", "Hello", " world", "{\"",
          "</think>", "```json\n{\"", "<think>", "null", "{\"name\":\"", "look", "```js", "on\n["]


def token(text):
    """The id of a token of the test's vocabulary, by its text."""
    return 257 + LONGER.index(text) if text in LONGER else text.encode()[0] + 1


def forced(*ids):
    """Members of a request that make its answer these tokens, none of them twice, and no more:
    each is likelier than the next one, but not once it has been there."""
    step = 90 / len(ids)
    return {"logit_bias": {str(id): 100 - i * step for i, id in enumerate(ids)},
            "max_tokens": len(ids), "temperature": 0, "alpha_presence": 100, "alpha_frequency": 0}


def seeded(path, body):
    """The body with a seed, where it asks for text and has none: no test depends on chance."""
    if not isinstance(body, dict) or not {"prompt", "messages"} & set(body):
        return body
    if not path.startswith("/api/"):
        return {"seed": 1, **body}
    options = body.get("options", {})
    return {**body, "options": {"seed": 1, **options}} if isinstance(options, dict) else body


def write_vocabulary(path):
    lines = [f"{byte + 1} {bytes([byte])!r} 1" for byte in range(256)]
    lines += [f"{257 + i} {text!r} {len(text)}" for i, text in enumerate(LONGER)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def program():
    return str(pathlib.Path(os.environ["RWKV_PROGRAM"]).resolve())


def run(*arguments):
    subprocess.run([program(), *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)


def wait_for(what, *arguments):
    """Call until it is true; return that."""
    end = time.monotonic() + PATIENCE
    while not (found := what(*arguments)):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is not true after {PATIENCE} seconds")
        time.sleep(0.01)
    return found


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def frames(self):
        """The events of a stream, without "data: " and the blank line behind."""
        parts = self.body.split(b"\n\n")
        if parts.pop() != b"":
            raise AssertionError(f"the stream is cut off: {self.body[-200:]}")
        for part in parts:
            if not part.startswith(b"data: ") or b"\n" in part:
                raise AssertionError(f"no event of one line: {part}")
        return [part[6:].decode() for part in parts]

    @property
    def chunks(self):
        """The JSON of a stream's events, of which the last one is [DONE]."""
        frames = self.frames
        if frames.pop() != "[DONE]":
            raise AssertionError(f"the stream does not end with [DONE]: {self.body[-200:]}")
        return [json.loads(frame) for frame in frames]

    @property
    def lines(self):
        if not self.body.endswith(b"\n"):
            raise AssertionError(f"the last line is cut off: {self.body[-200:]}")
        return [json.loads(line) for line in self.body.splitlines()]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Server:
    """A running server; `listening` is false where it refused to start (see `said`)."""

    def __init__(self, *options, model=True, ready=True):
        self.log = tempfile.NamedTemporaryFile(prefix="rwkv-serve-", suffix=".log")
        models = model_options() if model else []
        where = [] if "--unix" in options or "--port" in options else ["--port", "0"]
        command = [program(), "serve", *where, *models, "-t", "1", *map(str, options)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        self.url = None
        wait_for(self._looked)
        self.listening = self.url is not None
        if self.listening and ready:
            wait_for(lambda: self.ask("GET", "/health").status == 200)

    def _looked(self):
        for line in self.said().splitlines():
            if line.startswith("rwkv: listening on "):
                self.url = line.removeprefix("rwkv: listening on ")
        return self.url is not None or self.process.poll() is not None

    def said(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def connect(self):
        if self.url.startswith("unix:"):
            return UnixConnection(self.url.removeprefix("unix:"))
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=PATIENCE)

    def send(self, connection, method, path, body=None, headers=None):
        body = seeded(path, body)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, path, body, headers or {})

    def ask(self, method, path, body=None, headers=None):
        with contextlib.closing(self.connect()) as connection:
            self.send(connection, method, path, body, headers)
            return Reply(connection.getresponse())

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, headers)

    def begin(self, path, body, headers=None):
        """Ask, and come back when the reply has begun: (connection, response), to be closed."""
        connection = self.connect()
        self.send(connection, "POST", path, body, headers)
        return connection, connection.getresponse()

    def metric(self, name):
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(f"rwkv_{name} "):
                return float(line.split()[1])
        raise KeyError(name)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """End it in good order; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        elif self.process.returncode not in (0, 1, 2):
            print(f"the server ended with {self.process.returncode}: {self.said()[-5000:]}",
                  file=sys.stderr)
        self.log.close()


_folder = None


def folder():
    """A temporary folder with the model and its vocabulary, made once."""
    global _folder
    if _folder is None:
        _folder = pathlib.Path(tempfile.mkdtemp(prefix="rwkv-serving-"))
        write_vocabulary(_folder / "vocabulary.txt")
        make_model(_folder / "small.gguf", "2,64,288,f32")
    return _folder


def make_model(path, shape):
    run("bench", "--make", shape, "--keep", path, "--prompt", 0, "--decode", 0)


def model_options():
    return ["-m", f"{folder()}/small.gguf", "--vocab", f"{folder()}/vocabulary.txt"]


class Case(unittest.TestCase):
    options = []
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)
        cls.addClassCleanup(cls.server.__exit__)
        if not cls.server.listening:
            raise AssertionError(cls.server.said())

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        if status != 0:
            raise AssertionError(f"exit status {status}: {cls.server.said()[-3000:]}")

    def ask(self, method, path, body=None, headers=None):
        return self.server.ask(method, path, body, headers)

    def post(self, path, body, status=200):
        """The JSON of the reply, which has this status."""
        reply = self.server.ask("POST", path, body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def assert_error(self, reply, status, param=None, code=None, kind=None):
        """An error in OpenAI's form."""
        self.assertEqual(reply.status, status, reply.body)
        error = reply.json["error"]
        self.assertEqual(sorted(error), ["code", "message", "param", "type"])
        self.assertNotIn("\n", error["message"])
        self.assertEqual((error["param"], error["code"]), (param, code), error)
        self.assertEqual(error["type"], kind or
                         ("server_error" if status >= 500 else "invalid_request_error"))


def remove_folder():
    if _folder is not None:
        shutil.rmtree(_folder)


def main():
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=1)
    finally:
        remove_folder()
