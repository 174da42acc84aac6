#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Embeddings in every form, ranks, and the rest of Ollama's API."""
import base64
import math
import re
import struct
import time

import serving


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Embeddings(serving.Case):
    options = ["--parallel", "8"]

    def embed(self, text, **more):
        return self.post("/v1/embeddings", {"input": text, **more})

    def vector(self, text, **more):
        return self.embed(text, **more)["data"][0]["embedding"]

    def test_form(self):
        reply = self.embed(["Hello", "abc"])
        self.assertEqual(reply["object"], "list")
        self.assertEqual([(d["object"], d["index"]) for d in reply["data"]],
                         [("embedding", 0), ("embedding", 1)])
        self.assertEqual(reply["usage"], {"prompt_tokens": 4, "total_tokens": 4})
        self.assertEqual(len(reply["data"][0]["embedding"]), 64)

    def test_of_length_one(self):
        for more in ({}, {"pooling": "last"}, {"dimensions": 7}):
            vector = self.vector("some text", **more)
            self.assertAlmostEqual(math.fsum(x * x for x in vector), 1, 5)
        self.assertEqual(len(self.vector("a", dimensions=7)), 7)

    def test_base64_is_the_same(self):
        floats = self.vector("some text")
        text = self.vector("some text", encoding_format="base64")
        self.assertEqual(list(struct.unpack(f"<{len(floats)}f", base64.b64decode(text))),
                         [struct.unpack("<f", struct.pack("<f", x))[0] for x in floats])

    def test_pooling(self):
        self.assertEqual(self.vector("a"), self.vector("a", pooling="last"))
        self.assertNotEqual(self.vector("ab"), self.vector("ab", pooling="last"))

    def test_dimensions_are_the_first_ones(self):
        whole, part = self.vector("text"), self.vector("text", dimensions=8)
        length = math.sqrt(math.fsum(x * x for x in whole[:8]))
        for a, b in zip(part, whole):
            self.assertAlmostEqual(a, b / length, 5)

    def test_alone_and_among_others_and_in_every_form(self):
        texts = ["x" * (1 + i * 61 % 400) for i in range(8)]
        together = [d["embedding"] for d in self.embed(texts)["data"]]
        self.assertEqual([self.vector(t) for t in texts], together)
        ids = [self.post("/tokenize", {"content": t})["tokens"] for t in texts]
        self.assertEqual([d["embedding"] for d in self.embed(ids)["data"]], together)
        self.assertEqual(self.vector(ids[3]), together[3])

    def test_refused(self):
        for body, param in (({"input": ""}, "input"), ({"input": []}, "input"), ({}, "input"),
                            ({"input": 5}, "input"), ({"input": ["a", 5]}, "input"),
                            ({"input": [[1], [288]]}, "input"), ({"input": ["a", ""]}, "input"),
                            ({"input": ["a"] * 257}, "input"), ({"input": [-1]}, "input"),
                            ({"input": "a", "dimensions": 65}, "dimensions"),
                            ({"input": "a", "dimensions": 0}, "dimensions"),
                            ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
                            ({"input": "a", "pooling": "max"}, "pooling")):
            self.assert_error(self.server.post("/v1/embeddings", body), 400, param)

    def test_ranks_are_by_similarity(self):
        query, documents = "the query", ["one", "the query", "two two", "the quer"]
        vectors = [d["embedding"] for d in self.embed([query, *documents])["data"]]
        reply = self.post("/v1/rerank", {"query": query, "documents": documents})
        results = reply["results"]
        self.assertIn("cosine", reply["method"])
        self.assertEqual(results[0]["index"], 1)
        self.assertEqual(sorted(r["index"] for r in results), [0, 1, 2, 3])
        for result in results:
            self.assertAlmostEqual(result["relevance_score"],
                                   dot(vectors[0], vectors[1 + result["index"]]), 5)
        scores = [r["relevance_score"] for r in results]
        self.assertEqual(scores, sorted(scores, reverse=True))
        short = self.post("/v1/rerank", {
            "query": query, "documents": [{"text": d} for d in documents], "top_n": 2,
            "return_documents": True})["results"]
        self.assertEqual([(r["index"], r["document"]["text"]) for r in short],
                         [(r["index"], documents[r["index"]]) for r in results[:2]])
        for body, param in (({"documents": ["a"]}, "query"), ({"query": "a"}, "documents"),
                            ({"query": "a", "documents": []}, "documents"),
                            ({"query": "a", "documents": [5]}, "documents"),
                            ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n")):
            self.assert_error(self.server.post("/v1/rerank", body), 400, param)


class Ollama(serving.Case):
    options = ["--max-tokens", "20"]

    def test_streams_are_lines_by_default(self):
        for path, body in (("/api/generate", {"prompt": "Hi"}),
                           ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]})):
            options = {"num_predict": 6, "seed": 1, "temperature": 1}
            reply = self.server.post(path, {**body, "options": options})
            self.assertEqual(reply.headers["Content-Type"], "application/x-ndjson")
            *lines, last = reply.lines
            self.assertEqual({line["done"] for line in lines}, {False})
            self.assertTrue(last["done"])
            self.assertEqual(last["done_reason"], "length")
            self.assertEqual(last["eval_count"], 6)
            self.assertGreater(last["prompt_eval_count"], 5)
            for name in ("total_duration", "load_duration", "prompt_eval_duration",
                         "eval_duration"):
                self.assertIsInstance(last[name], int)
            self.assertGreaterEqual(last["total_duration"], last["eval_duration"])
            for line in (*lines, last):
                self.assertEqual(line["model"], "small")
                self.assertRegex(line["created_at"],
                                 r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
            whole = self.server.post(path, {**body, "options": options, "stream": False}).json
            text = "".join(line["response"] if "response" in line else line["message"]["content"]
                           for line in lines)
            self.assertEqual(whole.get("response") or whole["message"]["content"], text)
            self.assertTrue(whole["done"])

    def test_durations_are_nanoseconds(self):
        """As a client sees them, whose own share can be large: of three tries one."""
        for _ in range(3):
            start = time.monotonic()
            reply = self.post("/api/generate", {
                "prompt": "a" * 5000, "raw": True, "stream": False,
                "format": {"type": "string", "minLength": 1000}, "options": {"num_predict": 500}})
            seconds = time.monotonic() - start
            self.assertLess(reply["total_duration"] / 1e9, seconds)
            self.assertLessEqual(reply["load_duration"] + reply["prompt_eval_duration"]
                                 + reply["eval_duration"], reply["total_duration"] * 1.001)
            self.assertGreater(reply["prompt_eval_duration"], 0)
            self.assertGreater(reply["eval_duration"], 0)
            if reply["total_duration"] / 1e9 > seconds / 10:
                return
        self.fail(f"{reply['total_duration']} of {seconds} s")

    def test_raw_and_stop_and_penalties(self):
        options = {"num_predict": 30, "seed": 3, "stop": ["\n", "e"], "top_k": 40,
                   "repeat_penalty": 1.1}
        raw = self.post("/api/generate", {"prompt": "abc", "raw": True, "options": options,
                                          "stream": False})
        self.assertEqual(raw["prompt_eval_count"], 3)
        self.assertIsNone(re.search("[\ne]", raw["response"]))

    def test_without_end_is_the_servers_default(self):
        endless = {"type": "string", "minLength": 1000}
        for wanted, tokens in ((0, 20), (-1, 20), (-2, 20), (7, 7), (30, 30)):
            with self.subTest(num_predict=wanted):
                reply = self.post("/api/generate", {
                    "prompt": "a", "format": endless, "stream": False,
                    "options": {"num_predict": wanted, "seed": 1}})
                self.assertEqual((reply["eval_count"], reply["done_reason"]), (tokens, "length"))

    def test_thoughts(self):
        body = {"messages": [{"role": "user", "content": "Hi"}], "think": True, "stream": False,
                "options": {"num_predict": 4, "seed": 1}}
        message = self.post("/api/chat", body)["message"]
        self.assertEqual(message["content"], "")
        self.assertIn("thinking", message)

    def test_about_models(self):
        tags = self.ask("GET", "/api/tags").json["models"]
        self.assertEqual([m["name"] for m in tags], ["small"])
        self.assertEqual([m["name"] for m in self.ask("GET", "/api/ps").json["models"]],
                         ["small"])
        for name in ("model", "name"):
            show = self.post("/api/show", {name: "small:latest"})
            self.assertEqual(show["model_info"]["rwkv7.block_count"], 2)
            self.assertIn("tools", show["capabilities"])
        self.assertIn("version", self.ask("GET", "/api/version").json)
        for method in ("GET", "HEAD"):
            root = self.ask(method, "/")
            self.assertEqual(root.status, 200)

    def test_vectors(self):
        wanted = self.post("/v1/embeddings", {"input": ["a b", "c"]})["data"]
        reply = self.post("/api/embed", {"model": "small", "input": ["a b", "c"]})
        self.assertEqual(reply["embeddings"], [d["embedding"] for d in wanted])
        self.assertEqual(reply["prompt_eval_count"], 4)
        self.assertEqual(self.post("/api/embed", {"input": "c"})["embeddings"],
                         [wanted[1]["embedding"]])
        older = self.post("/api/embeddings", {"prompt": "c"})
        self.assertEqual(older["embedding"], wanted[1]["embedding"])


if __name__ == "__main__":
    serving.main()
