#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may ask, and from where."""
import os
import pathlib
import tempfile
import unittest

import serving

KEYS = "# two of them\nann secret-key-1\n\nsecret-key-2\n"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Keys(serving.Case):
    @classmethod
    def setUpClass(cls):
        file = tempfile.NamedTemporaryFile("w", suffix=".keys")
        cls.addClassCleanup(file.close)
        file.write(KEYS)
        file.flush()
        cls.options = ["--api-key-file", file.name]
        super().setUpClass()

    def test_every_route_but_two_wants_one(self):
        routes = [("GET", "/v1/models"), ("GET", "/v1/models/small"), ("POST", "/v1/completions"),
                  ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings"),
                  ("POST", "/v1/rerank"), ("POST", "/tokenize"), ("POST", "/detokenize"),
                  ("GET", "/tokenizer_info"), ("GET", "/v1/states"), ("POST", "/v1/states"),
                  ("GET", "/v1/states/x"), ("PUT", "/v1/states/x"), ("DELETE", "/v1/states/x"),
                  ("POST", "/v1/states/x/fork"), ("GET", "/metrics"), ("GET", "/api/version"),
                  ("GET", "/api/tags"), ("GET", "/api/ps"), ("POST", "/api/show"),
                  ("POST", "/api/generate"), ("POST", "/api/chat"), ("POST", "/api/embed"),
                  ("POST", "/api/embeddings")]
        for method, path in routes:
            for headers in ({}, bearer("secret-key-3"), bearer(""), bearer("secret-key-1x"),
                            bearer("secret-key-"), bearer("ann secret-key-1"),
                            {"X-Api-Key": "secret"}, {"Authorization": "Basic secret-key-1"},
                            {"Authorization": "secret-key-1"}):
                reply = self.ask(method, path, b"" if method != "GET" else None, headers)
                self.assertEqual(reply.status, 401, (path, headers))
                self.assertEqual(reply.headers["WWW-Authenticate"], "Bearer")
        for path in ("/health", "/"):
            self.assertEqual(self.ask("GET", path).status, 200)

    def test_it_may_come_in_two_ways(self):
        for headers in (bearer("secret-key-1"), bearer("  secret-key-2"),
                        {"Authorization": "bearer secret-key-1"}, {"X-Api-Key": "secret-key-2"}):
            self.assertEqual(self.ask("GET", "/v1/models", headers=headers).status, 200, headers)

    def test_no_body_is_read_without_one(self):
        reply = self.ask("POST", "/v1/completions", b"x" * (1 << 20))
        self.assert_error(reply, 401, code="invalid_api_key")

    def test_logs_name_keys_and_never_show_them(self):
        self.ask("GET", "/v1/models", headers=bearer("secret-key-1"))
        self.ask("GET", "/v1/models", headers=bearer("secret-key-2"))
        self.ask("GET", "/v1/models?key=secret-key-9", headers=bearer("not-a-key"))
        log = self.server.said()
        self.assertIn(" ann ", log)
        self.assertIn(" key-2 ", log)
        self.assertNotIn("secret", log)
        self.assertNotIn("not-a-key", log)


class Hosts(serving.Case):
    options = ["--allow-host", "Box.Example, other.example", "--cors",
               "https://app.example,https://b.example:8443"]

    def with_host(self, host):
        return self.ask("GET", "/v1/models", headers={"Host": host})

    def test_only_known_names(self):
        for host in ("localhost", "localhost:1234", "127.0.0.1", "[::1]:80", "box.example",
                     "BOX.example:99", "other.example", "192.168.1.7", "[fe80::1]"):
            self.assertEqual(self.with_host(host).status, 200, host)
        for host in ("evil.example", "localhost.evil.example", "box.example.evil", "xbox.example",
                     "example", "127.0.0.1.evil.example", "localhost."):
            self.assert_error(self.with_host(host), 403, code="host_not_allowed")
        self.assertEqual(self.ask("GET", "/health", headers={"Host": "evil.example"}).status, 403)

    def test_only_known_origins(self):
        own = f"http://localhost:{self.server.connect().port}"
        for origin, host in (("https://app.example", "localhost"),
                             ("https://b.example:8443", "localhost"),
                             (own, own.removeprefix("http://"))):
            reply = self.ask("GET", "/v1/models", headers={"Origin": origin, "Host": host})
            self.assertEqual(reply.status, 200, origin)
            self.assertEqual(reply.headers["Access-Control-Allow-Origin"], origin)
            self.assertEqual(reply.headers["Vary"], "Origin")
            self.assertIn("X-Request-Id", reply.headers["Access-Control-Expose-Headers"])
        for origin in ("https://evil.example", "null", "http://app.example",
                       "https://app.example.evil", "https://app.example:444", own + "0"):
            reply = self.ask("POST", "/v1/completions", {"prompt": "a"}, {"Origin": origin})
            self.assert_error(reply, 403, code="origin_not_allowed")
            self.assertNotIn("Access-Control-Allow-Origin", reply.headers)
        self.assertNotIn("Access-Control-Allow-Origin", self.ask("GET", "/health").headers)

    def test_errors_and_streams_may_be_read_too(self):
        page = {"Origin": "https://app.example"}
        for reply in (self.ask("GET", "/none", headers=page),
                      self.ask("DELETE", "/v1/models", headers=page),
                      self.ask("POST", "/v1/completions", {"prompt": 5}, page),
                      self.ask("POST", "/v1/completions", {"prompt": "a", "stream": True}, page),
                      self.ask("POST", "/v1/states", {"prompt": "a", "id": "x"}, page),
                      self.ask("GET", "/v1/states/x", headers=page),
                      self.ask("GET", "/metrics", headers=page),
                      self.ask("GET", "/", headers=page)):
            self.assertEqual(reply.headers.get_all("Access-Control-Allow-Origin"),
                             ["https://app.example"])

    def test_browsers_ask_first(self):
        wanted = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST",
                  "Access-Control-Request-Headers": "authorization,x-stainless-os"}
        reply = self.ask("OPTIONS", "/v1/completions", headers=wanted)
        self.assertEqual(reply.status, 204)
        self.assertEqual(reply.headers.get_all("Access-Control-Allow-Origin"),
                         ["https://app.example"])
        self.assertIn("POST", reply.headers["Access-Control-Allow-Methods"])
        self.assertEqual(reply.headers["Access-Control-Allow-Headers"],
                         "authorization,x-stainless-os")
        reply = self.ask("OPTIONS", "/v1/completions", headers={**wanted,
                                                               "Origin": "https://evil.example"})
        self.assertNotIn("Access-Control-Allow-Origin", reply.headers)
        self.assertNotIn("Access-Control-Allow-Methods", reply.headers)
        evil = {"Host": "evil.example", "Origin": "http://evil.example"}
        for method, path in (("OPTIONS", "/v1/completions"), ("GET", "/none"),
                             ("DELETE", "/v1/models"), ("GET", "/v1/models")):
            reply = self.ask(method, path, headers={**wanted, **evil})
            self.assert_error(reply, 403, code="host_not_allowed")
            for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Allow"):
                self.assertNotIn(name, reply.headers)
            reply = self.ask(method, path, headers={**wanted, "Origin": "https://evil.example"})
            self.assert_error(reply, 403, code="origin_not_allowed")


class Starts(unittest.TestCase):
    def refuses(self, *options):
        with serving.Server(*options) as server:
            self.assertFalse(server.listening, options)
            self.assertNotEqual(server.process.wait(serving.PATIENCE), 0)
            return server.said()

    def test_no_open_door_without_a_key(self):
        for host in ("0.0.0.0", "::", "192.0.2.1"):
            self.assertIn("--api-key-file", self.refuses("--host", host))
        with serving.Server("--host", "0.0.0.0", "--insecure") as server:
            self.assertTrue(server.listening)

    def test_any_page_where_asked(self):
        with serving.Server("--cors", "*", "--allow-host", "*") as server:
            reply = server.ask("GET", "/v1/models", headers={"Origin": "null", "Host": "any"})
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.headers["Access-Control-Allow-Origin"], "null")

    def test_files_of_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            for text, said in (("", "no key"), ("# none\n", "no key"), ("short\n", "line 1"),
                               ("\na b secret-key-1\n", "line 2")):
                path = pathlib.Path(folder) / "keys"
                path.write_text(text, encoding="utf-8")
                self.assertIn(said, self.refuses("--api-key-file", path))
            self.assertIn("none", self.refuses("--api-key-file", f"{folder}/none"))

    def test_a_unix_socket_is_the_users_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            with serving.Server("--unix", path) as server:
                self.assertEqual(server.ask("GET", "/v1/models").status, 200)
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                self.assertEqual(server.stop(), 0)
            self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    serving.main()
