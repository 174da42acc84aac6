#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same request gives the same bytes: alone, among others, with states remembered or not, after
a restart, from the disk."""
import concurrent.futures
import pathlib
import subprocess
import tempfile
import unittest

import serving

NO_END = {"logit_bias": {"0": -100}}


def choices(reply):
    """What of a reply has to be the same."""
    return [(c["index"], c.get("text") or c.get("message"), c["finish_reason"], c["logprobs"])
            for c in reply["choices"]]


def requests(n):
    """Different ones of different lengths."""
    for i in range(n):
        prompt = "".join(chr(97 + (i * 7 + k * k) % 26) for k in range(1 + i * 37 % 300))
        yield {"prompt": prompt, "max_tokens": 5 + i * 11 % 60, "seed": i, "logprobs": 2,
               "temperature": 0.5 + i % 3, **NO_END}


class Together(serving.Case):
    options = ["--no-state-cache", "--parallel", "32"]

    def test_alone_and_among_31_others(self):
        bodies = list(requests(32))
        alone = [choices(self.post("/v1/completions", body)) for body in bodies]
        with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
            for _ in range(2):
                together = pool.map(lambda body: self.post("/v1/completions", body), bodies)
                self.assertEqual([choices(reply) for reply in together], alone)

    def test_choices_are_those_of_seeds_one_after_the_other(self):
        body = {"prompt": "once", "max_tokens": 20, **NO_END}
        several = self.post("/v1/completions", {**body, "n": 8, "seed": 100})["choices"]
        alone = [self.post("/v1/completions", {**body, "seed": 100 + i})["choices"][0]["text"]
                 for i in range(8)]
        self.assertEqual([c["text"] for c in several], alone)
        self.assertEqual(len(set(alone)), 8)

    def test_without_a_seed_answers_differ(self):
        body = {"prompt": "once", "max_tokens": 20, "seed": None, **NO_END}
        texts = {self.post("/v1/completions", body)["choices"][0]["text"] for _ in range(4)}
        self.assertEqual(len(texts), 4)

    def test_a_stream_says_what_a_whole_reply_does(self):
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 60, "seed": 9,
                "n": 3, **NO_END}
        whole = self.post("/v1/chat/completions", body)["choices"]
        chunks = self.server.post("/v1/chat/completions", {**body, "stream": True}).chunks
        for choice in whole:
            mine = [c["choices"][0] for c in chunks if c["choices"][0]["index"] ==
                    choice["index"]]
            self.assertEqual("".join(c["delta"].get("content", "") for c in mine),
                             choice["message"]["content"])
            self.assertEqual(mine[-1]["finish_reason"], choice["finish_reason"])


class Remembered(unittest.TestCase):
    def setUp(self):
        self.bodies = []
        for body in requests(6):
            self.bodies.append(body)
            longer = {**body, "prompt": body["prompt"] + " and so on", "seed": body["seed"] + 50}
            self.bodies += [longer, body]

    def answers(self, server):
        """Of all requests, one after the other; and how many tokens were remembered."""
        replies = [server.post("/v1/completions", body).json for body in self.bodies]
        return ([choices(reply) for reply in replies],
                sum(r["usage"]["prompt_tokens_details"]["cached_tokens"] for r in replies))

    def test_with_and_without_and_after_a_restart(self):
        with serving.Server("--no-state-cache") as server:
            wanted, cached = self.answers(server)
            self.assertEqual(cached, 0)
        with tempfile.TemporaryDirectory() as folder:
            for restart in range(3):
                with serving.Server("--state-dir", folder, "--mark-every", "16") as server:
                    answers, cached = self.answers(server)
                    self.assertEqual(answers, wanted)
                    if restart > 0:  # everything is known from before
                        self.assertEqual(cached, sum(len(b["prompt"]) for b in self.bodies))
                    self.assertGreater(cached, 0)
                    self.assertEqual(server.stop(), 0)

    def test_from_the_disk_where_memory_is_short(self):
        with serving.Server("--no-state-cache") as server:
            wanted, _ = self.answers(server)
        with tempfile.TemporaryDirectory() as folder, \
                serving.Server("--state-dir", folder, "--state-cache", "150K", "--mark-every",
                               "16") as server:
            for _ in range(2):
                answers, cached = self.answers(server)
                self.assertEqual(answers, wanted)
            self.assertGreater(cached, 0)
            self.assertGreater(server.metric("store_evictions_total"), 0)
            self.assertTrue(any(pathlib.Path(folder).rglob("*")))

    def test_going_on_from_an_answer(self):
        answer = [serving.token(c) for c in "answer"[:3]]
        with serving.Server() as server:
            server.post("/v1/completions", {"prompt": [5, 6, 7], **serving.forced(*answer)})
            for more in ([9], [9, 10, 11]):
                body = {"prompt": [5, 6, 7, *answer, *more], "seed": 3, "max_tokens": 20,
                        "logprobs": 1}
                reply = server.post("/v1/completions", body).json
                self.assertEqual(reply["usage"]["prompt_tokens_details"]["cached_tokens"],
                                 6 + (len(more) - 1) // 2)
                alone = server.post("/v1/completions", {**body, "no_cache": True}).json
                self.assertEqual(choices(reply), choices(alone))

    def test_no_cache_leaves_nothing(self):
        with serving.Server() as server:
            body = {**self.bodies[3], "no_cache": True}
            for _ in range(2):
                usage = server.post("/v1/completions", body).json["usage"]
                self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 0)
            usage = server.post("/v1/completions", self.bodies[3]).json["usage"]
            self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 0)


class BuiltIn(unittest.TestCase):
    def test_its_story_is_that_of_the_command_line(self):
        prompt = "Once upon a time"
        told = subprocess.run([serving.program(), "run", "--greedy", "-n", "60", prompt],
                              check=True, stdin=subprocess.DEVNULL, capture_output=True)
        with serving.Server("--parallel", "4", model=False) as server:
            body = {"prompt": prompt, "max_tokens": 60, "temperature": 0}
            for more in ({}, {}, {"stream": True}, {"no_cache": True}):
                reply = server.post("/v1/completions", {**body, **more})
                chunks = reply.chunks if "stream" in more else [reply.json]
                text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
                self.assertEqual(text, told.stdout.decode())
            options = {"num_predict": 60, "temperature": 0}
            reply = server.post("/api/generate", {"prompt": prompt, "raw": True,
                                                  "stream": False, "options": options})
            self.assertEqual(reply.json["response"], told.stdout.decode())


class Apart(unittest.TestCase):
    def test_between_keys_nothing_is_remembered(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("ann key-of-ann-1\nbob key-of-bob-1\n")
            keys.flush()
            with serving.Server("--api-key-file", keys.name) as server:
                def cached(key):
                    reply = server.ask("POST", "/v1/completions", {"prompt": "a" * 50, "seed": 1},
                                       {"Authorization": f"Bearer key-of-{key}-1"})
                    self.assertEqual(reply.status, 200)
                    return reply.json["usage"]["prompt_tokens_details"]["cached_tokens"]
                self.assertEqual([cached(k) for k in ("ann", "ann", "bob", "bob")],
                                 [0, 50, 0, 50])


if __name__ == "__main__":
    serving.main()
