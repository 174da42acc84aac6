#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""JSON, schemas, grammars and calls of tools: valid whatever the model (whose weights are random
here), or said to be cut."""
import json

import serving
from serving import token

SCHEMA = {"type": "object", "properties": {
    "n": {"type": "integer", "minimum": 1, "maximum": 12},
    "color": {"enum": ["red", "green"]}, "tags": {"type": "array", "maxItems": 2,
                                                  "items": {"type": "string", "maxLength": 4}}},
    "required": ["n", "color", "tags"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}},
         {"type": "function", "function": {"name": "rest"}}]
ASK = {"messages": [{"role": "user", "content": "Do"}], "max_tokens": 400}


def fits(value):
    return (isinstance(value, dict) and set(value) == {"n", "color", "tags"}
            and isinstance(value["n"], int) and 1 <= value["n"] <= 12
            and value["color"] in ("red", "green") and len(value["tags"]) <= 2
            and all(isinstance(t, str) and len(t) <= 4 for t in value["tags"]))


class Structured(serving.Case):
    def chat(self, **more):
        return self.post("/v1/chat/completions", {**ASK, **more})["choices"][0]

    def test_any_object(self):
        whole = 0
        for seed in range(12):
            choice = self.chat(seed=seed, response_format={"type": "json_object"})
            if choice["finish_reason"] == "stop":
                self.assertIsInstance(json.loads(choice["message"]["content"]), dict)
                whole += 1
            else:
                self.assertEqual(choice["finish_reason"], "length")
        self.assertGreater(whole, 0)

    def test_a_schema(self):
        form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True,
                                                       "schema": SCHEMA}}
        for seed in range(12):
            for stops in ({}, {"temperature": 3}, {"logit_bias": {str(token("}")): -100}}):
                choice = self.chat(seed=seed, response_format=form, **stops)
                self.assertEqual(choice["finish_reason"], "stop")
                self.assertTrue(fits(json.loads(choice["message"]["content"])))
            for n in (1, 5, 9):
                self.assertEqual(self.chat(seed=seed, response_format=form, max_tokens=n)
                                 ["finish_reason"], "length")

    def test_a_schema_of_ollama(self):
        for seed in range(4):
            for path, name in (("/api/chat", "message"), ("/api/generate", "response")):
                reply = self.post(path, {**ASK, "prompt": "Do", "format": SCHEMA, "stream": False,
                                         "options": {"seed": seed, "num_predict": 400}})
                text = reply[name] if name == "response" else reply[name]["content"]
                self.assertTrue(fits(json.loads(text)), text)
                self.assertEqual(reply["done_reason"], "stop")

    def test_a_grammar(self):
        for seed in range(6):
            reply = self.post("/v1/completions", {
                "prompt": "a", "seed": seed, "max_tokens": 100,
                "grammar": 'root ::= ("yes" | "no") ("é" | "ü"){2,3} "."'})
            self.assertRegex(reply["choices"][0]["text"], r"^(yes|no)[éü]{2,3}\.$")

    def check_calls(self, choice, several=True):
        self.assertEqual(choice["finish_reason"], "tool_calls", choice)
        calls = choice["message"]["tool_calls"]
        self.assertTrue(len(calls) == 1 or several)
        for call in calls:
            arguments = json.loads(call["function"]["arguments"])
            if call["function"]["name"] == "look":
                self.assertTrue(fits(arguments), arguments)
            else:
                self.assertEqual((call["function"]["name"], arguments), ("rest", {}))
        self.assertEqual(len({call["id"] for call in calls}), len(calls))
        return {call["function"]["name"] for call in calls}

    def test_calls_that_have_to_be(self):
        names = set()
        for seed in range(10):
            names |= self.check_calls(self.chat(
                seed=seed, tools=TOOLS, tool_choice="required", temperature=5, top_p=1,
                parallel_tool_calls=False), several=False)
            named = {"type": "function", "function": {"name": "rest"}}
            self.assertEqual(self.check_calls(self.chat(seed=seed, tools=TOOLS,
                                                        tool_choice=named,
                                                        parallel_tool_calls=False)), {"rest"})
        self.assertEqual(names, {"look", "rest"})

    def test_calls_that_the_model_makes_by_itself(self):
        for fence in ("```json", "```json\n", "```json\n{\""):
            # The fence once, and not again.
            bias = {"logit_bias": {str(token(fence)): 100, "0": -100}, "alpha_presence": 100,
                    "alpha_frequency": 0, "temperature": 0.7}
            for seed in range(6):
                for effort in ("none", "minimal"):
                    choice = self.chat(seed=seed, tools=TOOLS, parallel_tool_calls=False,
                                       reasoning_effort=effort, **bias)
                    self.check_calls(choice, several=False)
            chunks = self.server.post("/v1/chat/completions", {
                **ASK, "tools": TOOLS, "seed": 1, "stream": True, **bias}).chunks
            deltas = [c["choices"][0]["delta"] for c in chunks]
            calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
            self.assertEqual(calls[0]["type"], "function")
            self.assertEqual([set(c["function"]) for c in calls[1:] if c["index"] == 0
                              and "id" not in c], [{"arguments"}] * sum(
                                  c["index"] == 0 for c in calls[1:]))
            self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "tool_calls")

    def test_the_fence_in_two_tokens(self):
        bias = {"logit_bias": {str(token("```js")): 100, str(token("on\n[")): 80, "0": -100},
                "alpha_presence": 100, "alpha_frequency": 0}
        choice = self.chat(seed=3, tools=TOOLS, **bias)
        self.check_calls(choice)
        self.assertIsNone(choice["message"]["content"])

    def test_a_fence_is_no_call_without_tools_or_inside_a_thought(self):
        banned = {str(t): -100 for t in (0, token("\nUser:"), token("</think>"))}
        bias = {"logit_bias": {str(token("```json")): 100, **banned}, "alpha_presence": 100,
                "alpha_frequency": 0, "seed": 1, "max_tokens": 30}
        for more in ({}, {"tools": TOOLS, "tool_choice": "none"}, {"tools": []},
                     {"tools": TOOLS, "reasoning_effort": "medium"}):
            choice = self.chat(**bias, **more)
            self.assertEqual(choice["finish_reason"], "length")
            self.assertNotIn("tool_calls", choice["message"])
            text = choice["message"].get("reasoning_content") or choice["message"]["content"]
            self.assertIn("```json", text)

    def test_a_call_that_is_cut_is_said_to_be(self):
        for n in (1, 3, 8):
            choice = self.chat(seed=2, tools=TOOLS, tool_choice="required", max_tokens=n)
            self.assertEqual(choice["finish_reason"], "length")

    def test_what_cannot_be_understood(self):
        odd = [{"type": "function", "function": {"name": "odd", "parameters": {
            "type": "object", "not": {"required": ["a"]}}}}]
        reply = self.server.post("/v1/chat/completions", {**ASK, "tools": odd,
                                                          "tool_choice": "required"})
        self.assert_error(reply, 400, "tools")
        self.chat(tools=odd, max_tokens=1)

    def test_two_constraints_at_once(self):
        reply = self.server.post("/v1/chat/completions", {
            **ASK, "grammar": 'root ::= "a"', "response_format": {"type": "json_object"}})
        self.assert_error(reply, 400, "grammar")
        choice = self.chat(tools=TOOLS, grammar='root ::= "a"')
        self.assertEqual(choice["message"]["content"], "a")

    def test_a_conversation_with_results(self):
        call = {"id": "call_1", "type": "function",
                "function": {"name": "look", "arguments": "{\"n\":1}"}}
        messages = ASK["messages"] + [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "42"}]
        self.chat(messages=messages, tools=TOOLS, max_tokens=2)


class OllamasCalls(serving.Case):
    """Calls that the model makes by itself, as Ollama's clients get them."""
    options = ["--logit-bias", f"{token('```json')}=100", "--logit-bias", "0=-100",
               "--presence", "100", "--frequency", "0"]

    def calls(self, message):
        for call in message["tool_calls"]:
            self.assertEqual(list(call), ["function"])
            self.assertEqual(sorted(call["function"]), ["arguments", "name"])
            self.assertIsInstance(call["function"]["arguments"], dict)
            if call["function"]["name"] == "look":
                self.assertTrue(fits(call["function"]["arguments"]))
            else:
                self.assertEqual(call["function"], {"name": "rest", "arguments": {}})
        return message["tool_calls"]

    def test_calls(self):
        body = {"messages": ASK["messages"], "tools": TOOLS, "think": False}
        for seed in range(6):
            asked = {**body, "options": {"num_predict": 1000, "seed": seed}}
            whole = self.post("/api/chat", {**asked, "stream": False})
            self.assertEqual(whole["done_reason"], "stop")
            calls = self.calls(whole["message"])
            *lines, last = self.server.post("/api/chat", asked).lines
            streamed = [call for line in lines if "tool_calls" in line["message"]
                        for call in self.calls(line["message"])]
            self.assertEqual(streamed, calls)
            self.assertTrue(last["done"])
            self.assertEqual(last["eval_count"], whole["eval_count"])
            text = "".join(line["message"]["content"] for line in lines)
            self.assertEqual(text, whole["message"]["content"])
            self.assertNotIn("```json", text)

    def test_the_result_of_a_call(self):
        messages = [*ASK["messages"],
                    {"role": "assistant", "content": "", "tool_calls": [
                        {"function": {"name": "look", "arguments": {"n": 1}}}]},
                    {"role": "tool", "tool_name": "look", "content": "42"}]
        reply = self.post("/api/chat", {"messages": messages, "stream": False,
                                        "options": {"num_predict": 2}})
        self.assertEqual(reply["eval_count"], 2)


if __name__ == "__main__":
    serving.main()
