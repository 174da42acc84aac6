#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OpenAI's API byte by byte: frames of streams, characters and stop strings whole, exact usage."""
import math

import serving
from serving import token


def literal(text):
    """A grammar of this one text."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'root ::= "{quoted}"'


def completion(text, **more):
    return {"prompt": "a", "grammar": literal(text), "max_tokens": 200, **more}


class Streams(serving.Case):
    def chat(self, **more):
        return {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 200, **more}

    def test_frames_of_a_chat(self):
        reply = self.server.post("/v1/chat/completions", self.chat(
            grammar=literal("Hello!"), logit_bias={str(token("Hello")): 100}, stream=True,
            stream_options={"include_usage": True}))
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.headers["Content-Type"].startswith("text/event-stream"))
        chunks = reply.chunks
        self.assertEqual({c["object"] for c in chunks}, {"chat.completion.chunk"})
        self.assertEqual(len({(c["id"], c["created"], c["model"]) for c in chunks}), 1)
        first, *middle, last, usage = chunks
        self.assertEqual(first["choices"], [{
            "index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None,
            "finish_reason": None}])
        self.assertEqual([c["choices"][0]["delta"] for c in middle],
                         [{"content": "Hello"}, {"content": "!"}])
        self.assertEqual({c["choices"][0]["finish_reason"] for c in middle}, {None})
        self.assertEqual(last["choices"], [{
            "index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
        self.assertEqual([c["usage"] for c in chunks[:-1]], [None] * (len(chunks) - 1))
        self.assertEqual(usage["choices"], [])
        self.assertEqual(usage["usage"]["completion_tokens"], 2)
        self.assertEqual(usage["usage"]["prompt_tokens_details"], {"cached_tokens": 0})

    def test_no_usage_unless_asked(self):
        chunks = self.server.post("/v1/chat/completions", self.chat(
            max_tokens=2, seed=1, stream=True)).chunks
        self.assertTrue(all("usage" not in c and c["choices"] for c in chunks))

    def test_frames_of_a_completion(self):
        chunks = self.server.post("/v1/completions", completion("Hi.", stream=True)).chunks
        self.assertEqual([c["choices"][0]["text"] for c in chunks], ["H", "i", ".", ""])
        self.assertEqual([c["choices"][0]["finish_reason"] for c in chunks],
                         [None, None, None, "stop"])
        self.assertEqual({c["object"] for c in chunks}, {"text_completion"})

    def test_a_character_is_never_cut(self):
        text = "é€😀\u0300中"
        chunks = self.server.post("/v1/completions", completion(text, stream=True)).chunks
        pieces = [c["choices"][0]["text"] for c in chunks]
        self.assertEqual("".join(pieces), text)
        self.assertEqual([p for p in pieces if p], list(text))
        usage = self.post("/v1/completions", completion(text))["usage"]
        self.assertEqual(usage["completion_tokens"], len(text.encode()))

    def test_what_is_cut_inside_a_character_is_one_replacement(self):
        reply = self.post("/v1/completions", completion("é😀", max_tokens=4))
        self.assertEqual(reply["choices"][0]["text"], "é\ufffd")
        self.assertEqual(reply["choices"][0]["finish_reason"], "length")

    def test_a_stop_string_never_leaks(self):
        for stop in ("STOP", ["xyz", "STOP"], ["T", "STOP"], "é"):
            text = "one ST two STOé three"
            stops = [stop] if isinstance(stop, str) else stop
            end = min(text.find(s) if s in text else len(text) for s in stops)
            with self.subTest(stop=stop):
                chunks = self.server.post("/v1/completions", completion(
                    text, stop=stop, stream=True)).chunks
                pieces = [c["choices"][0]["text"] for c in chunks]
                self.assertEqual("".join(pieces), text[:end])
                self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")
                whole = self.post("/v1/completions", completion(text, stop=stop))
                self.assertEqual(whole["choices"][0]["text"], text[:end])

    def test_what_only_began_like_a_stop_string_comes_out(self):
        text = "a STO"
        for stream in (False, True):
            reply = self.server.post("/v1/completions", completion(text, stop="STOP",
                                                                   stream=stream))
            shown = ("".join(c["choices"][0]["text"] for c in reply.chunks) if stream
                     else reply.json["choices"][0]["text"])
            self.assertEqual(shown, text)

    def test_no_log_probability_of_a_stop_string(self):
        for prefix in ("ab", "\u00e9", ""):
            body = completion(prefix + "STOPzz", stop="STOP", logprobs=0)
            whole = self.post("/v1/completions", body)["choices"][0]
            self.assertEqual(whole["text"], prefix)
            self.assertEqual(len(whole["logprobs"]["tokens"]), len(prefix.encode()))
            chunks = self.server.post("/v1/completions", {**body, "stream": True}).chunks
            tokens = [t for c in chunks for t in c["choices"][0]["logprobs"]["tokens"]]
            self.assertEqual(tokens, whole["logprobs"]["tokens"])

    def test_no_log_probability_of_a_stop_string_behind_bytes_that_are_no_text(self):
        # Three bytes that are no UTF-8 are nine bytes of U+FFFD: counting one as the other leaks.
        bias = {str(255 + 1): 100}
        body = {"prompt": "a", "logit_bias": bias, "temperature": 0, "max_tokens": 6,
                "logprobs": 0}
        plain = self.post("/v1/completions", body)["choices"][0]
        self.assertEqual(plain["text"], "\ufffd" * 6)
        self.assertEqual(plain["logprobs"]["tokens"], ["bytes:\\xff"] * 6)
        # The second is known to be none only when what may begin the stop string has come.
        for odd in ([0xff, 0xfe], [0xff, 0xe2]):
            body = {"prompt": "a", "logprobs": 0, "stop": "STOP",
                    **serving.forced(*(byte + 1 for byte in odd), *map(token, "STOP"))}
            wanted = [f"bytes:\\x{byte:02x}" for byte in odd]
            choice = self.post("/v1/completions", body)["choices"][0]
            self.assertEqual(choice["text"], "\ufffd\ufffd")
            self.assertEqual(choice["logprobs"]["tokens"], wanted)
            chunks = self.server.post("/v1/completions", {**body, "stream": True}).chunks
            tokens = [c["choices"][0]["logprobs"]["tokens"] for c in chunks]
            self.assertEqual(sum(tokens, []), wanted)
            cut = {**body, "stop": "STOPS", "max_tokens": 5, "stream": True}
            for chunk in self.server.post("/v1/completions", cut).chunks:
                choice = chunk["choices"][0]
                self.assertEqual(len(choice["logprobs"]["tokens"]), len(choice["text"]), chunk)

    def test_usage_is_exact(self):
        prompt = "Hello world\u00e9"  # two tokens and two bytes
        body = {"prompt": prompt, "max_tokens": 7, "seed": 3, "n": 3,
                "logit_bias": {"0": -100}}
        usage = self.post("/v1/completions", {**body, "no_cache": True})["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"],
                          usage["total_tokens"]), (4, 21, 25))
        self.assertEqual(usage["prompt_tokens_details"]["cached_tokens"], 0)

    def test_cached_tokens_are_those_of_the_turn_before(self):
        messages = [{"role": "user", "content": "Tell me something"}]
        body = {"messages": messages, "max_tokens": 8, "grammar": literal("Sure, yes.")}
        first = self.post("/v1/chat/completions", {**body, "max_tokens": 99})
        messages += [{"role": "assistant", "content": "Sure, yes."},
                     {"role": "user", "content": "And more"}]
        second = self.post("/v1/chat/completions", body)
        cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.assertGreaterEqual(cached, first["usage"]["prompt_tokens"])
        self.assertLess(cached, second["usage"]["prompt_tokens"])
        third = self.post("/v1/chat/completions", body)
        self.assertEqual(third["usage"]["prompt_tokens_details"]["cached_tokens"],
                         third["usage"]["prompt_tokens"])
        none = self.post("/v1/chat/completions", {**body, "no_cache": True})
        self.assertEqual(none["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(none["choices"], third["choices"])

    def test_the_blank_line_alone_is_no_end_and_a_question_is(self):
        text = "One.\n\nTwo.\nUser: three"
        reply = self.post("/v1/chat/completions", self.chat(grammar=literal(text)))
        self.assertEqual(reply["choices"][0]["message"]["content"], "One.\n\nTwo.")
        self.assertEqual(reply["choices"][0]["finish_reason"], "stop")

    def test_token_zero_ends(self):
        reply = self.post("/v1/completions", {"prompt": "a", "logit_bias": {"0": 100}})
        self.assertEqual(reply["choices"][0]["text"], "")
        self.assertEqual(reply["choices"][0]["finish_reason"], "stop")
        self.assertEqual(reply["usage"]["completion_tokens"], 0)

    def test_thoughts_are_apart(self):
        text = ">\nhm\n</think>\nYes"
        body = self.chat(grammar=literal(text), reasoning_effort="medium")
        message = self.post("/v1/chat/completions", body)["choices"][0]["message"]
        self.assertEqual((message["reasoning_content"], message["content"]), ("hm", "Yes"))
        chunks = self.server.post("/v1/chat/completions", {**body, "stream": True}).chunks
        deltas = [c["choices"][0]["delta"] for c in chunks]
        self.assertEqual("".join(d.get("reasoning_content", "") for d in deltas), "hm")
        self.assertEqual("".join(d.get("content", "") for d in deltas), "Yes")


class Sampling(serving.Case):
    """Each field of a request reaches the sampler: with it the text is another."""
    free = {"prompt": "tell", "max_tokens": 30, "seed": 1, "temperature": 1, "top_p": 1,
            "alpha_presence": 0, "alpha_frequency": 0}
    # Without a penalty this is "a" for ever.
    repeated = {"prompt": "tell", "max_tokens": 8, "temperature": 0,
                "logit_bias": {str(token("a")): 90, str(token("b")): 89}}

    def text(self, body, **more):
        return self.post("/v1/completions", {**body, **more})["choices"][0]["text"]

    def ollama(self, **options):
        """With the members that Ollama's clients put into `options`."""
        body = {"prompt": "tell", "raw": True, "stream": False}
        base = {name: value for name, value in self.free.items()
                if name not in ("prompt", "max_tokens")}
        return self.post("/api/generate", {**body, "options": {
            **base, "num_predict": 30, **options}})["response"]

    def test_what_leaves_one_token_is_greedy(self):
        greedy = self.text(self.free, temperature=0)
        self.assertNotEqual(self.text(self.free), greedy)
        self.assertNotEqual(self.ollama(), greedy)
        for only in ({"temperature": 0}, {"temperature": 1e-4}, {"top_k": 1}, {"min_p": 1},
                     {"top_p": 1e-6}, {"top_p": 0}):
            with self.subTest(**only):
                self.assertEqual(self.text(self.free, **only), greedy)
                self.assertEqual(self.ollama(**only), greedy)

    def test_what_leaves_some_changes_the_text(self):
        self.assertEqual(self.text(self.free), self.text(self.free))
        self.assertEqual(self.ollama(), self.ollama())
        for one in ({"seed": 2}, {"temperature": 3}, {"top_k": 9}, {"min_p": 0.6},
                    {"top_p": 0.1}, {"typical_p": 0.1}):
            with self.subTest(**one):
                self.assertNotEqual(self.text(self.free, **one), self.text(self.free))
                self.assertNotEqual(self.ollama(**one), self.ollama())

    def test_penalties_end_a_repetition(self):
        self.assertEqual(self.text(self.repeated), "a" * 8)
        for penalty in ({"presence_penalty": 2}, {"frequency_penalty": 2},
                        {"alpha_presence": 50}, {"alpha_frequency": 50}):
            with self.subTest(**penalty):
                self.assertEqual(self.text(self.repeated, **penalty)[:2], "ab")

    def test_what_is_forgotten_comes_back(self):
        bias = {str(token("a")): 90, str(token("b")): 88}
        body = {**self.repeated, "logit_bias": bias, "alpha_frequency": 2}
        self.assertNotEqual(self.text(body, alpha_decay=1), self.text(body, alpha_decay=0.1))


class LogProbabilities(serving.Case):
    def test_scoring_as_lm_eval_does(self):
        ids = [token("a"), token("Hello"), 256, 255, token("b")]
        reply = self.post("/v1/completions", {
            "prompt": ids, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0,
            "seed": 1234, "logit_bias": {"0": -100}})
        probabilities = reply["choices"][0]["logprobs"]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            self.assertEqual(len(probabilities[name]), len(ids) + 1, name)
        self.assertIsNone(probabilities["token_logprobs"][0])
        self.assertIsNone(probabilities["top_logprobs"][0])
        self.assertEqual(probabilities["tokens"][:5],
                         ["a", "Hello", "bytes:\\xff", "bytes:\\xfe", "b"])
        for logprob, top in zip(probabilities["token_logprobs"][1:],
                                probabilities["top_logprobs"][1:]):
            self.assertLess(logprob, 0)
            self.assertIn(logprob, top.values())
            self.assertLessEqual(logprob, max(top.values()))
        last = probabilities["tokens"][-1], probabilities["token_logprobs"][-1]
        self.assertEqual(probabilities["top_logprobs"][-1][last[0]], last[1])
        self.assertEqual(max(probabilities["top_logprobs"][-1].values()), last[1])

    def test_the_greedy_token_has_the_largest_of_all(self):
        probabilities = self.post("/v1/completions", {
            "prompt": "a", "max_tokens": 300, "logprobs": 1, "temperature": 0,
            "alpha_presence": 3, "logit_bias": {"0": -100}})["choices"][0]["logprobs"]
        bare = self.post("/v1/completions", {
            "prompt": "a", "max_tokens": 300, "logprobs": 0, "temperature": 0,
            "alpha_presence": 3, "logit_bias": {"0": -100}})["choices"][0]["logprobs"]
        self.assertEqual(probabilities["token_logprobs"], bare["token_logprobs"])
        greedy = 0
        for text, logprob, top in zip(probabilities["tokens"], probabilities["token_logprobs"],
                                      probabilities["top_logprobs"]):
            self.assertEqual(top[text], logprob)
            greedy += len(top) == 1
        self.assertGreater(greedy, 10)

    def test_scores_do_not_depend_on_where_the_prompt_is_cut(self):
        ids = [1 + i * 7 % 256 for i in range(300)]
        body = {"max_tokens": 0, "echo": True, "logprobs": 0}
        whole = self.post("/v1/completions", {"prompt": ids, **body})["choices"][0]["logprobs"]
        for n in (1, 31, 32, 33, 64, 299):
            part = self.post("/v1/completions", {"prompt": ids[:n], **body})
            part = part["choices"][0]["logprobs"]
            self.assertEqual(part["token_logprobs"], whole["token_logprobs"][:n])

    def test_all_of_a_distribution_is_one(self):
        reply = self.post("/v1/completions", {"prompt": "a", "max_tokens": 1, "logprobs": 20,
                                              "logit_bias": {"0": -100}})
        top = reply["choices"][0]["logprobs"]["top_logprobs"][0]
        self.assertIn(len(top), (20, 21))
        self.assertLess(sum(math.exp(p) for p in top.values()), 1.0001)

    def test_keys_of_tokens_that_are_no_text_differ(self):
        grammar = 'root ::= "é"'
        reply = self.post("/v1/completions", {"prompt": "a", "grammar": grammar, "logprobs": 20})
        for top in reply["choices"][0]["logprobs"]["top_logprobs"]:
            self.assertGreaterEqual(len(top), 20)
        self.assertEqual(reply["choices"][0]["logprobs"]["tokens"],
                         ["bytes:\\xc3", "bytes:\\xa9"])

    def test_of_a_chat(self):
        body = {"messages": [{"role": "user", "content": "Hi"}], "logprobs": True,
                "top_logprobs": 2, "grammar": 'root ::= "a€"'}
        content = self.post("/v1/chat/completions", body)["choices"][0]["logprobs"]["content"]
        self.assertEqual([t["bytes"] for t in content], [[97], [0xe2], [0x82], [0xac]])
        self.assertEqual([t["token"] for t in content],
                         ["a", "bytes:\\xe2", "bytes:\\x82", "bytes:\\xac"])
        self.assertEqual({len(t["top_logprobs"]) for t in content}, {2})
        chunks = self.server.post("/v1/chat/completions", {**body, "stream": True}).chunks
        streamed = [t for c in chunks for t in (c["choices"][0]["logprobs"] or {"content": []})
                    ["content"]]
        self.assertEqual(streamed, content)

    def test_several_prompts_and_choices_are_in_order(self):
        body = {"max_tokens": 4, "logit_bias": {"0": -100}, "echo": True}
        reply = self.post("/v1/completions", {
            "prompt": ["one", "two"], "n": 2, "seed": 5, **body})
        choices = reply["choices"]
        self.assertEqual([c["index"] for c in choices], [0, 1, 2, 3])
        self.assertEqual([c["text"][:3] for c in choices], ["one", "one", "two", "two"])
        alone = [self.post("/v1/completions", {"prompt": p, "seed": s, **body})["choices"][0]
                 ["text"] for p in ("one", "two") for s in (5, 6)]
        self.assertEqual([c["text"] for c in choices], alone)
        bare = self.post("/v1/completions", {"prompt": ["one", "two"], "n": 2, "seed": 5, **body,
                                             "echo": False})["choices"]
        self.assertEqual([c["text"] for c in choices],
                         [p + c["text"] for p, c in zip(("one", "one", "two", "two"), bare)])
        ids = [[token("o"), token("n"), token("e")], [token("t"), token("w"), token("o")]]
        self.assertEqual(self.post("/v1/completions", {"prompt": ids, "n": 2, "seed": 5, **body})
                         ["choices"], choices)

    def test_nothing_to_generate(self):
        for n in (1, 3):
            for stream in (False, True):
                reply = self.server.post("/v1/completions", {
                    "prompt": "abc", "max_tokens": 0, "n": n, "stream": stream})
                self.assertEqual(reply.status, 200)
                chunks = reply.chunks if stream else [reply.json]
                ends = [(c["index"], c["finish_reason"]) for chunk in chunks
                        for c in chunk["choices"] if c["finish_reason"]]
                self.assertEqual(sorted(ends), [(i, "length") for i in range(n)])


class Tokens(serving.Case):
    def test_there_and_back(self):
        for text in ("", "Hello world", "é€😀", "\n\n\nUser:", "a\u0000b"[:1]):
            ids = self.post("/tokenize", {"content": text})
            self.assertEqual(ids, self.post("/tokenize", {"prompt": text,
                                                          "add_special_tokens": True}))
            self.assertEqual(ids["count"], len(ids["tokens"]))
            back = self.post("/detokenize", {"tokens": ids["tokens"]})
            self.assertEqual(back, {"content": text, "prompt": text})

    def test_the_end_of_a_text_is_token_zero(self):
        self.assertEqual(self.post("/tokenize", {"content": "<|endoftext|>"})["tokens"], [0])
        self.assertEqual(self.post("/tokenize", {"prompt": "a<|endoftext|>Hello"})["tokens"],
                         [token("a"), 0, token("Hello")])

    def test_what_the_tokenizer_is(self):
        info = self.ask("GET", "/tokenizer_info").json
        self.assertEqual((info["eos_token"], info["eos_token_id"]), ("<|endoftext|>", 0))
        self.assertEqual(info["vocab_size"], 288)

    def test_ids_out_of_range(self):
        for ids in ([-1], [288], [1.5], ["a"], [2 ** 40]):
            self.assert_error(self.server.post("/detokenize", {"tokens": ids}), 400, "tokens")


class Models(serving.Case):
    def test_list_and_retrieve(self):
        listed = self.ask("GET", "/v1/models").json
        self.assertEqual(listed["object"], "list")
        self.assertEqual([m["id"] for m in listed["data"]], ["small"])
        self.assertEqual(self.ask("GET", "/v1/models/small").json, listed["data"][0])
        self.assert_error(self.ask("GET", "/v1/models/none"), 404, code="model_not_found")


class Messages(serving.Case):
    def answer(self, *messages):
        reply = self.post("/v1/chat/completions", {"messages": messages, "max_tokens": 20,
                                                   "logit_bias": {"0": -100}, "temperature": 1})
        return reply["choices"][0]["message"]["content"], reply["usage"]["prompt_tokens"]

    def test_content_in_parts_is_their_text(self):
        def parts(*texts):
            return [{"type": "text", "text": text} for text in texts]
        whole = self.answer({"role": "system", "content": "Be brief"},
                            {"role": "user", "content": "one,\ntwo"})
        self.assertEqual(self.answer({"role": "system", "content": parts("Be brief")},
                                     {"role": "user", "content": parts("one,", "two")}), whole)
        self.assertNotEqual(self.answer({"role": "system", "content": "Be brief"},
                                        {"role": "user", "content": "one, three"}), whole)

    def test_developers_are_what_systems_were(self):
        ask = {"role": "user", "content": "Hi"}
        system, developer = ({"role": role, "content": "Be brief"}
                             for role in ("system", "developer"))
        self.assertEqual(self.answer(developer, ask), self.answer(system, ask))
        self.assertNotEqual(self.answer(system, ask), self.answer(ask))


if __name__ == "__main__":
    serving.main()
