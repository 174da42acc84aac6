#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""States that users hold: made, listed, fetched, sent elsewhere, branched, continued, removed."""
import json
import tempfile
import unittest

import serving

NO_END = {"logit_bias": {"0": -100}}


def follow(server, state, seed=1, prompt="next", **more):
    """What is generated from a state."""
    body = {"state": state, "prompt": prompt, "seed": seed, "max_tokens": 20, **NO_END, **more}
    reply = server.post("/v1/completions", body)
    if reply.status != 200:
        raise AssertionError(reply.body)
    return reply.json["choices"][0]["text"]


def from_start(server, prompt, seed=1):
    body = {"prompt": prompt, "seed": seed, "max_tokens": 20, "no_cache": True, **NO_END}
    return server.post("/v1/completions", body).json["choices"][0]["text"]


class States(serving.Case):
    def make(self, name, prompt="Once upon", **more):
        return self.post("/v1/states", {"id": name, "prompt": prompt, **more})

    def test_made_from_a_prompt(self):
        made = self.make("first")
        self.assertEqual((made["id"], made["object"]), ("first", "state"))
        self.assertEqual(made["usage"]["prompt_tokens"], 9)
        self.assertEqual(follow(self.server, "first"), from_start(self.server, "Once uponnext"))
        listed = self.ask("GET", "/v1/states").json["data"]
        entry = next(s for s in listed if s["id"] == "first")
        self.assertEqual(entry["tokens"], 9)
        self.assertEqual(entry["model_fingerprint"], made["model_fingerprint"])
        self.assertEqual(self.ask("GET", "/v1/states/first?info").json, entry)

    def test_made_from_messages(self):
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
        made = self.post("/v1/states", {"messages": messages})
        self.assertRegex(made["id"], "^state-")
        body = {"messages": messages, "seed": 2, "max_tokens": 10, **NO_END}
        self.assertEqual(made["usage"]["prompt_tokens"],
                         self.post("/v1/chat/completions", body)["usage"]["prompt_tokens"])
        wanted = self.post("/v1/completions", {
            "prompt": "System: Be kind.\n\nUser: Hi\n\nAssistant:x", "seed": 3, "max_tokens": 20,
            **NO_END})["choices"][0]["text"]
        self.assertEqual(follow(self.server, made["id"], 3, "x"), wanted)

    def test_one_continues_another(self):
        self.make("a-1", "Once ")
        self.make("a-2", "upon", state="a-1")
        self.assertEqual(follow(self.server, "a-2"), from_start(self.server, "Once uponnext"))

    def test_return_state_continues_exactly(self):
        body = {"prompt": "tell", "seed": 4, "max_tokens": 12, **NO_END}
        for how in ({}, {"stream": True}):
            reply = self.server.post("/v1/completions", {**body, **how, "return_state": True})
            state = reply.chunks[-1]["state"] if how else reply.json["state"]
            text = self.post("/v1/completions", body)["choices"][0]["text"]
            ids = self.post("/v1/completions", {**body, "logprobs": 0})["choices"][0]["logprobs"]
            self.assertEqual(self.ask("GET", f"/v1/states/{state}?info").json["tokens"],
                             4 + len(ids["tokens"]))
            if "\ufffd" not in text:
                self.assertEqual(follow(self.server, state, 8),
                                 from_start(self.server, "tell" + text + "next", 8))
            self.assertEqual(follow(self.server, state), follow(self.server, state))

    def test_return_state_of_forced_text_continues_exactly(self):
        reply = self.post("/v1/completions", {"prompt": "tell", "grammar": 'root ::= " more."',
                                              "return_state": True})
        self.assertEqual(follow(self.server, reply["state"], 8),
                         from_start(self.server, "tell more.next", 8))

    def test_of_a_chat_and_of_ollama(self):
        body = {"messages": [{"role": "user", "content": "Hi"}], "return_state": True,
                "grammar": 'root ::= " Yes."'}
        for path in ("/v1/chat/completions", "/api/chat"):
            body = {**body, "stream": False}
            if path == "/api/chat":
                body["options"] = {"num_predict": 3, "seed": 1}
            state = self.post(path, body)["state"]
            self.assertGreater(self.ask("GET", f"/v1/states/{state}?info").json["tokens"], 10)

    def test_forks_part(self):
        self.make("trunk")
        fork = self.post("/v1/states/trunk/fork", {"id": "branch"})
        self.assertEqual(fork["id"], "branch")
        self.assertEqual(follow(self.server, "branch"), follow(self.server, "trunk"))
        self.make("branch", "more", state="branch")
        self.assertEqual(self.ask("GET", "/v1/states/trunk?info").json["tokens"], 9)
        self.assertNotEqual(follow(self.server, "branch"), follow(self.server, "trunk"))
        again = self.server.post("/v1/states/trunk/fork", {"id": "branch"})
        self.assert_error(again, 409, code="state_exists")
        self.assert_error(self.server.post("/v1/states/none/fork", {}), 404,
                          code="state_not_found")

    def test_deleted_is_gone(self):
        self.make("gone")
        reply = self.ask("DELETE", "/v1/states/gone")
        self.assertEqual(reply.json, {"id": "gone", "object": "state", "deleted": True})
        for method in ("DELETE", "GET"):
            self.assert_error(self.ask(method, "/v1/states/gone"), 404, code="state_not_found")
        self.assert_error(self.server.post("/v1/completions", {"prompt": "a", "state": "gone"}),
                          404, code="state_not_found")

    def test_time_to_live(self):
        self.make("short", ttl=1)
        info = self.ask("GET", "/v1/states/short?info").json
        self.assertEqual(info["expires"] - info["created"], 1)
        self.assertIsNone(self.make("long") and self.ask("GET", "/v1/states/long?info")
                          .json["expires"])
        serving.wait_for(lambda: self.ask("GET", "/v1/states/short?info").status == 404)
        self.assertNotIn("short", [s["id"] for s in self.ask("GET", "/v1/states").json["data"]])

    def test_sent_to_another_server(self):
        self.make("travel")
        wanted = follow(self.server, "travel")
        down = self.ask("GET", "/v1/states/travel")
        self.assertEqual(down.headers["Content-Type"], "application/octet-stream")
        with serving.Server() as other:
            reply = other.ask("PUT", "/v1/states/landed?ttl=1000", down.body)
            self.assertEqual(reply.status, 200, reply.body)
            self.assertEqual(reply.json["tokens"], 9)
            self.assertEqual(reply.json["expires"] - reply.json["created"], 1000)
            self.assertEqual(follow(other, "landed"), wanted)
            self.assertEqual(other.ask("GET", "/v1/states/landed").body, down.body)
            self.assert_error(other.ask("PUT", "/v1/states/x?ttl=soon", down.body), 400, "ttl")

    def test_foreign_and_damaged_ones_are_refused(self):
        self.make("sound")
        good = self.ask("GET", "/v1/states/sound").body
        for bad in (b"", b"x", good[:-1], good + b"x", good[:100], b"\0" * len(good),
                    *(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:]
                      for i in (0, 9, 20, len(good) // 2, len(good) - 1))):
            reply = self.ask("PUT", "/v1/states/bad", bad)
            self.assert_error(reply, 400)
        self.assert_error(self.ask("GET", "/v1/states/bad?info"), 404, code="state_not_found")
        foreign = serving.folder() / "foreign.gguf"
        if not foreign.exists():
            serving.make_model(foreign, "2,64,288,f16")
        with serving.Server("-m", foreign, "--vocab", serving.folder() / "vocabulary.txt",
                            model=False) as other:
            reply = other.ask("PUT", "/v1/states/bad", good)
            self.assert_error(reply, 400)
            self.assertIn("model", reply.json["error"]["message"])

    def test_names(self):
        for name in ("..", ".x", "a%2fb", "a%20b", "x" * 129, "%00"):
            self.assertIn(self.ask("GET", f"/v1/states/{name}?info").status, (400, 404), name)
        self.assert_error(self.server.post("/v1/states", {"id": "a b", "prompt": "x"}), 400, "id")
        self.assert_error(self.server.post("/v1/states", {"id": "a"}), 400, "prompt")
        self.make("plain_1.x-y")
        for name in ("a/b", "a:b", ".a", "x" * 129):
            for path, member in (("/v1/states", "id"), ("/v1/states/plain_1.x-y/fork", "id"),
                                 ("/v1/states", "state"), ("/v1/completions", "state"),
                                 ("/v1/chat/completions", "state")):
                with self.subTest(name=name, path=path, member=member):
                    body = {member: name, "max_tokens": 1}
                    if "chat" in path:
                        body["messages"] = [{"role": "user", "content": "a"}]
                    else:
                        body["prompt"] = "a"
                    self.assert_error(self.server.post(path, body), 400, member)
            reply = self.server.post("/api/generate", {"prompt": "a", "state": name})
            self.assertEqual(reply.status, 400, reply.body)
        for more in ({"n": 2}, {"prompt": ["a", "b"]}):
            self.assert_error(self.server.post("/v1/completions", {
                "prompt": "a", "return_state": True, **more}), 400, "state")


def has_written(server):
    """Is written what is to be? A thread of its own does that, after the answer."""
    return server.metric("store_leaving_states") == 0


class Kept(unittest.TestCase):
    def test_a_killed_server_loses_no_named_state(self):
        with tempfile.TemporaryDirectory() as folder:
            answers = {}
            for round in range(3):
                with serving.Server("--state-dir", folder) as server:
                    for name, answer in answers.items():
                        self.assertEqual(follow(server, name), answer)
                    for i in range(4):
                        name = f"kept-{round}-{i}"
                        server.post("/v1/states", {"id": name, "prompt": name * 5})
                        answers[name] = follow(server, name)
                    server.post("/v1/states", {"id": "last", "prompt": f"round {round}"})
                    server.kill()
            with serving.Server("--state-dir", folder) as server:
                self.assertEqual(follow(server, "last"), from_start(server, "round 2next"))

    def test_two_servers_share_a_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--state-dir", folder, "--share-states", "--mark-every", "32"]
            with serving.Server(*options) as one, serving.Server(*options) as two:
                asked = {"messages": [{"role": "user", "content": "tell " * 60}], "max_tokens": 9,
                         **NO_END}
                first = one.post("/v1/chat/completions", asked).json
                self.assertEqual(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
                serving.wait_for(has_written, one)
                again = two.post("/v1/chat/completions", asked).json
                self.assertGreater(again["usage"]["prompt_tokens_details"]["cached_tokens"], 200)
                self.assertEqual(again["choices"], first["choices"])
                for maker, user, name in ((one, two, "made-by-one"), (two, one, "made-by-two")):
                    self.assertEqual(maker.post("/v1/states", {"id": name, "prompt": name}).status,
                                     200)
                    self.assertEqual(follow(user, name), follow(maker, name))
                self.assertEqual(two.ask("DELETE", "/v1/states/made-by-one").status, 200)
                reply = one.post("/v1/completions", {"state": "made-by-one", "prompt": "a"})
                self.assertEqual(reply.status, 404)
                self.assertEqual((one.stop(), two.stop()), (0, 0))

    def test_an_error_after_a_stream_began_is_its_last_frame(self):
        """The state, which there is no room for, is saved when all of the answer has been sent."""
        with tempfile.TemporaryDirectory() as folder:
            with serving.Server("--state-dir", folder, "--state-disk", "1K") as server:
                more = {"stream": True, "return_state": True}
                for path, body in (
                        ("/v1/completions", {"prompt": "a", "max_tokens": 3, **NO_END}),
                        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}],
                                                  "max_tokens": 3, **NO_END})):
                    reply = server.post(path, {**body, **more})
                    self.assertEqual(reply.status, 200)
                    *chunks, last = [json.loads(frame) for frame in reply.frames]
                    self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "length")
                    self.assertEqual(list(last), ["error"])
                    self.assertEqual(sorted(last["error"]), ["code", "message", "param", "type"])
                for path, body in (
                        ("/api/generate", {"prompt": "a"}),
                        ("/api/chat", {"messages": [{"role": "user", "content": "a"}]})):
                    reply = server.post(path, {**body, **more, "options": {"num_predict": 3},
                                               "format": {"type": "string", "minLength": 100}})
                    self.assertEqual(reply.status, 200)
                    *lines, last = reply.lines
                    self.assertEqual({line["done"] for line in lines}, {False})
                    self.assertEqual(list(last), ["error"])
                    self.assertIsInstance(last["error"], str)

    def test_keys_do_not_see_each_others(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("ann key-of-ann-1\nbob key-of-bob-1\n")
            keys.flush()
            with serving.Server("--api-key-file", keys.name) as server:
                def ask(key, method, path, body=None):
                    return server.ask(method, path, body, {"X-Api-Key": f"key-of-{key}-1"})
                made = ask("ann", "POST", "/v1/states", {"id": "mine", "prompt": "ann's"})
                self.assertEqual(made.status, 200)
                for method, path, body in (("GET", "/v1/states/mine", None),
                                           ("GET", "/v1/states/mine?info", None),
                                           ("DELETE", "/v1/states/mine", None),
                                           ("POST", "/v1/states/mine/fork", {}),
                                           ("POST", "/v1/completions", {"state": "mine",
                                                                        "prompt": "a"})):
                    self.assertEqual(ask("bob", method, path, body).status, 404, path)
                self.assertEqual(ask("bob", "GET", "/v1/states").json["data"], [])
                ask("bob", "POST", "/v1/states", {"id": "mine", "prompt": "bob's own"})
                saved = [ask(k, "GET", "/v1/states/mine") for k in ("ann", "bob")]
                self.assertEqual([reply.status for reply in saved], [200, 200])
                self.assertNotEqual(saved[0].body, saved[1].body)
                self.assertEqual([ask(k, "GET", "/v1/states/mine?info").json["tokens"]
                                  for k in ("ann", "bob")], [5, 9])

    def test_a_server_without_a_store_says_so(self):
        with serving.Server("--no-state-cache") as server:
            for method, path, body in (("GET", "/v1/states", None), ("GET", "/v1/states/x", None),
                                       ("PUT", "/v1/states/x", b"x"),
                                       ("POST", "/v1/states/x/fork", {})):
                self.assertEqual(server.ask(method, path, body).status, 501)
            self.assertEqual(server.post("/v1/states", {"prompt": "a"}).status, 400)


if __name__ == "__main__":
    serving.main()
