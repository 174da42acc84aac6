#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a request is said, with status and member, before anything else happens."""
import contextlib
import threading

import serving

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
TEXT = {"prompt": "Hi", "max_tokens": 1}


class Requests(serving.Case):
    options = ["--max-state", "100K"]

    def refused(self, path, body, param, status=400, code=None):
        with self.subTest(path=path, body=str(body)[:100]):
            for stream in (False, True):
                reply = self.server.post(path, {**body, "stream": stream})
                self.assert_error(reply, status, param, code)

    def test_wrong_types_and_ranges(self):
        for name, values in {
                "temperature": ["1", -0.1, 101, [], True], "top_p": [-1, 1.1, "x"],
                "top_k": [1.5, -2, "x"], "min_p": [2], "typical_p": [-1],
                "seed": [1.5, "x", {}], "max_tokens": [-1, "1", 1.5, 2 ** 40],
                "max_completion_tokens": [-1], "n": [0, 33, "2"],
                "presence_penalty": [2.5, "x"], "frequency_penalty": [-3],
                "alpha_decay": [1.5], "stop": [5, {"a": 1}, [1], ["a\u0000b"], ["x"] * 17,
                                               "x" * 257],
                "logit_bias": [[], {"x": 1}, {"1": "x"}, {"1": 101}, {"-1": 1}, {"288": 1},
                               {"99999999999": 1}],
                "grammar": [1, "root ::= (", "no root"], "user": [1, "x" * 513],
                "state": [1, "../x", "a b", ""], "return_state": [1], "no_cache": ["x"],
                "model": [1, "../x", "/etc/passwd", "x" * 129]}.items():
            for value in values:
                for path, body in (("/v1/completions", TEXT), ("/v1/chat/completions", CHAT)):
                    self.refused(path, {**body, name: value}, name)

    def test_wrong_members_of_one_endpoint(self):
        for name, value in (("echo", 1), ("logprobs", 21), ("logprobs", -1), ("logprobs", True),
                            ("suffix", "x"), ("prompt", 5), ("prompt", {}), ("prompt", []),
                            ("prompt", [288]), ("prompt", [-1]), ("prompt", [1, "a"]),
                            ("prompt", [[1], "a", [2.5]]), ("prompt", ["a"] * 257),
                            ("prompt", [[]])):
            self.refused("/v1/completions", {**TEXT, name: value}, name)
        for name, value in (("logprobs", 1), ("top_logprobs", 21), ("reasoning_effort", "huge"),
                            ("tool_choice", "x"), ("tools", {}), ("messages", []),
                            ("messages", None), ("messages", "x"), ("parallel_tool_calls", 1)):
            self.refused("/v1/chat/completions", {**CHAT, name: value}, name)

    def test_the_path_of_what_is_wrong(self):
        for messages, param in (
                ([{"role": "user", "content": "a"}, {"role": "x", "content": "a"}],
                 "messages[1].role"),
                ([{"role": "user"}], "messages[0].content"),
                ([{"content": "a"}], "messages[0].role"),
                ([5], "messages[0]"),
                ([{"role": "user", "content": [{"type": "image_url"}]}],
                 "messages[0].content[0].type"),
                ([{"role": "user", "content": 7}], "messages[0].content"),
                ([{"role": "user", "content": "a\u0000b"}], "messages[0].content")):
            self.refused("/v1/chat/completions", {**CHAT, "messages": messages}, param)
        tool = {"type": "function", "function": {"name": "look"}}
        for tools, param in (([{**tool, "type": "x"}], "tools[0].type"),
                             ([tool, {"type": "function"}], "tools[1].function.name"),
                             ([{"function": {"name": "a", "parameters": 5}}],
                              "tools[0].function.parameters")):
            self.refused("/v1/chat/completions", {**CHAT, "tools": tools}, param)
        for form, param in (({"type": "x"}, "response_format.type"),
                            ({"type": "json_schema"}, "response_format.json_schema.schema"),
                            ({"type": "json_schema", "json_schema": {"schema": 5}},
                             "response_format.json_schema.schema"),
                            ({"type": "json_schema",
                              "json_schema": {"schema": {"not": {"type": "string"}}}},
                             "response_format.json_schema.schema")):
            self.refused("/v1/chat/completions", {**CHAT, "response_format": form}, param)

    def test_unknown_members_are_ignored(self):
        self.post("/v1/chat/completions", {**CHAT, "store": True, "metadata": {"a": [1]},
                                           "service_tier": "auto", "temperature": None})

    def test_no_such_model_state_path_or_method(self):
        for path, body in (("/v1/completions", TEXT), ("/v1/chat/completions", CHAT),
                           ("/v1/embeddings", {"input": "a"}), ("/tokenize", {"content": "a"}),
                           ("/v1/rerank", {"query": "a", "documents": ["b"]})):
            reply = self.server.post(path, {**body, "model": "gpt-4o"})
            self.assert_error(reply, 404, code="model_not_found")
        self.assert_error(self.server.post("/v1/completions", {**TEXT, "state": "none"}), 404,
                          code="state_not_found")
        for path in ("/v1/none", "/v1/completions/", "/v2/models", "//", "/v1/states/"):
            self.assert_error(self.ask("GET", path), 404)
        for method, path, allowed in (
                ("GET", "/v1/completions", {"POST"}), ("DELETE", "/v1/models", {"GET", "HEAD"}),
                ("POST", "/v1/states/x", {"GET", "HEAD", "PUT", "DELETE"})):
            reply = self.ask(method, path)
            self.assert_error(reply, 405)
            self.assertEqual(set(reply.headers["Allow"].split(", ")), allowed)

    def test_bodies_that_are_no_json_object(self):
        for body in (b"{", b"[1]", b"5", b'"x"', b"null", b"{}{}", b"\xff", b'{"a":1e999}',
                     b'{"prompt":"\xff"}', b'{"prompt":"\\ud800"}', b"[" * 100000,
                     b'{"a":' * 60 + b"1" + b"}" * 60, b"[" + b"1," * (1 << 20) + b"1]"):
            reply = self.ask("POST", "/v1/completions", body)
            self.assert_error(reply, 400)

    def test_bodies_that_are_too_large(self):
        with contextlib.closing(self.server.connect()) as connection:
            connection.putrequest("POST", "/v1/completions")
            connection.putheader("Content-Length", str((16 << 20) + 1))
            connection.putheader("X-Request-Id", "large-1")
            connection.endheaders()
            reply = serving.Reply(connection.getresponse())
        self.assert_error(reply, 413)
        self.assertEqual(reply.headers["X-Request-Id"], "large-1")
        reply = self.ask("PUT", "/v1/states/x", b"x" * (200 << 10))
        self.assert_error(reply, 413)

    def test_ollamas_errors_are_plain_strings(self):
        for path, body, status in (("/api/chat", {"messages": 5}, 400),
                                   ("/api/generate", {"model": "x", "prompt": "a"}, 404),
                                   ("/api/embed", {}, 400), ("/api/show", {"model": "x"}, 404),
                                   ("/api/chat", {"messages": [], "options": {"top_k": "x"}}, 400),
                                   ("/api/generate", {"prompt": "a", "format": "yaml"}, 400),
                                   ("/api/chat", {"messages": [], "keep_alive": "5x"}, 400)):
            self.assert_plain(self.server.post(path, body), status)

    def assert_plain(self, reply, status):
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(list(reply.json), ["error"])
        self.assertIsInstance(reply.json["error"], str)

    def test_ollamas_errors_of_what_is_no_route(self):
        for method, path, status in (("GET", "/api/none", 404), ("GET", "/api/chat", 405),
                                     ("POST", "/api/pull", 404), ("DELETE", "/api/tags", 405),
                                     ("POST", "/api/none/" + "x" * 100, 404)):
            self.assert_plain(self.ask(method, path), status)
        self.assertEqual(self.ask("GET", "/api/chat").headers["Allow"], "POST")
        self.assert_plain(self.ask("GET", "/api/tags", headers={"Host": "evil.example"}), 403)
        for path in ("/apis/none", "/api", "/none/api/x"):
            self.assert_error(self.ask("GET", path), 404)

    def test_ids_of_requests(self):
        reply = self.ask("GET", "/v1/models")
        self.assertRegex(reply.headers["X-Request-Id"], r"^req-\d+$")
        for given, same in (("abc-123", True), ("0f8fad5b-d9cd-469f-a165-70867728950e", True),
                            ("a b", False), ("x" * 73, False), ("<script>", False)):
            reply = self.ask("GET", "/none", headers={"X-Request-Id": given})
            self.assertEqual(reply.headers["X-Request-Id"] == given, same, given)


class Caps(serving.Case):
    """The limits of docs/serving.md: as much is read, and one more is refused."""

    def cap(self, path, most, make, param, code=None, first=True):
        if first:
            self.assertEqual(self.server.post(path, make(most)).status, 200)
        self.assert_error(self.server.post(path, make(most + 1)), 400, param, code)

    def test_of_a_conversation(self):
        def chat(**more):
            return {**CHAT, **more}
        user = {"role": "user", "content": "a"}
        part = {"type": "text", "text": "a"}
        path = "/v1/chat/completions"
        self.cap(path, 4096, lambda n: chat(messages=[user] * n), "messages")
        self.cap(path, 256, lambda n: chat(messages=[{**user, "content": [part] * n}]),
                 "messages[0].content")
        self.cap(path, 128, lambda n: chat(tools=[
            {"type": "function", "function": {"name": f"f{i}"}} for i in range(n)]), "tools")
        self.cap(path, 128, lambda n: chat(tools=[
            {"type": "function", "function": {"name": "f" * n}}]), "tools[0].function.name")
        self.cap(path, 128 << 10, lambda n: chat(response_format={
            "type": "json_schema", "json_schema": {"schema": {"type": "null", "title": "x" * (
                n - len('{"type":"null","title":""}'))}}}), "response_format.json_schema.schema")

    def test_of_a_completion(self):
        def text(**more):
            return {**TEXT, **more}
        path = "/v1/completions"
        self.cap(path, 1 << 20, lambda n: text(prompt="x" * n), None,
                 "context_length_exceeded", first=False)
        with serving.Server("--request-timeout", "0.5") as server:  # not worth waiting for
            reply = server.post(path, text(prompt="x" * (1 << 20)))
            self.assertIn(reply.status, (200, 503))
        self.cap(path, 1 << 20, lambda n: text(max_tokens=n, stop="", grammar='root ::= "a"'),
                 "max_tokens")
        self.cap(path, 32, lambda n: text(n=n), "n")
        self.cap(path, 16, lambda n: text(stop=["x"] * n), "stop")
        self.cap(path, 256, lambda n: text(stop="x" * n), "stop")
        self.cap(path, 20, lambda n: text(logprobs=n), "logprobs")
        self.cap(path, 512, lambda n: text(user="x" * n), "user")
        self.cap(path, 128 << 10, lambda n: text(
            grammar='root ::= "a" #' + "x" * (n - len('root ::= "a" #'))), "grammar")
        self.cap(path, 128, lambda n: text(model="x" * n), "model", first=False)
        reply = self.server.post(path, text(model="x" * 128))
        self.assert_error(reply, 404, code="model_not_found")

    def test_of_lists_of_texts(self):
        with serving.Server("--max-queue", "300") as server:
            for path, body, name in (("/v1/completions", TEXT, "prompt"),
                                     ("/v1/embeddings", {}, "input"),
                                     ("/v1/rerank", {"query": "a"}, "documents"),
                                     ("/api/embed", {}, "input")):
                most = 255 if name == "documents" else 256
                with self.subTest(path=path):
                    reply = server.post(path, {**body, name: ["a"] * most})
                    self.assertEqual(reply.status, 200, reply.body[:300])
                    self.assertEqual(server.post(path, {**body, name: ["a"] * 257}).status, 400)

    def test_of_any_json(self):
        path = "/v1/completions"
        deep = b'{"prompt":"a","max_tokens":1,"x":%s}'
        for depth, status in ((47, 200), (48, 400)):
            body = deep % (b"[" * depth + b"]" * depth)
            self.assertEqual(self.ask("POST", path, body).status, status, depth)
        # The object, its three values, and the list's own.
        for values, status in (((1 << 20) - 4, 200), ((1 << 20) - 3, 400)):
            body = deep % (b"[" + b"1," * (values - 1) + b"1]")
            self.assertEqual(self.ask("POST", path, body).status, status, values)


class Queue(serving.Case):
    options = ["--parallel", "2", "--max-queue", "1"]

    def test_a_full_queue_says_when_to_come_again(self):
        long = {"prompt": "a", "stream": True, "max_tokens": 1000000, "logit_bias": {"0": -100}}
        held = []
        try:
            for i in range(2):
                held.append(self.server.begin("/v1/completions", long))
            serving.wait_for(lambda: self.server.metric("sequences_working") == 2)
            waits = threading.Thread(target=self.server.post, args=("/v1/completions", TEXT))
            waits.start()
            serving.wait_for(lambda: self.server.metric("sequences_waiting") == 1)
            for path, body in (("/v1/completions", TEXT), ("/v1/chat/completions", CHAT),
                               ("/v1/embeddings", {"input": "a"})):
                reply = self.server.post(path, body)
                self.assert_error(reply, 429, code="queue_full", kind="rate_limit_error")
                self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
            self.assertEqual(self.ask("GET", "/health").status, 200)
        finally:
            for connection, response in held:
                response.close()
                connection.close()
        waits.join(serving.PATIENCE)
        serving.wait_for(lambda: self.server.metric("sequences_working") == 0)
        self.assertEqual(self.server.post("/v1/completions", TEXT).status, 200)

    def test_more_at_once_than_there_are_places(self):
        for path, body, param in (
                ("/v1/completions", {**TEXT, "n": 4}, "n"),
                ("/v1/completions", {**TEXT, "prompt": ["a", "b"], "n": 2}, "n"),
                ("/v1/completions", {**TEXT, "prompt": ["a"] * 4}, "prompt"),
                ("/v1/chat/completions", {**CHAT, "n": 4}, "n"),
                ("/v1/embeddings", {"input": ["a"] * 4}, "input"),
                ("/v1/rerank", {"query": "a", "documents": ["b"] * 3}, "documents")):
            with self.subTest(path=path, param=param):
                reply = self.server.post(path, body)
                self.assert_error(reply, 400, param)  # to come again would not help
                self.assertNotIn("Retry-After", reply.headers)
        self.assertEqual(len(self.post("/v1/completions", {**TEXT, "n": 3})["choices"]), 3)
        self.assertEqual(len(self.post("/v1/embeddings", {"input": ["a"] * 3})["data"]), 3)


if __name__ == "__main__":
    serving.main()
