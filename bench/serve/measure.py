#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure `rwkv serve` next to the engine: measure.py BUILD [OPTION]...

BUILD is a build folder. For each number of streams a server answers so many requests at once
(serve_load); before and after, `rwkv bench` generates for as many sessions without a server.
Machines are shared and their speed drifts, so what counts is the ratio of the rates measured in
turn: its median over the rounds. Then a conversation of many tokens goes on for a second turn."""
import argparse
import contextlib
import http.client
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

WORDS = "the sun was low and long grass moved in the wind while she walked home again".split()


def arguments():
    parser = argparse.ArgumentParser(description="Measure rwkv serve next to the engine.")
    parser.add_argument("build", type=pathlib.Path, help="a build folder")
    parser.add_argument("-m", "--model", help="the default is the built-in one")
    parser.add_argument("--vocab", help="its vocabulary, where its file has none")
    parser.add_argument("--streams", default="1,8,32", help="how many; default %(default)s")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer; default %(default)s")
    parser.add_argument("--idle", type=int, default=1000,
                        help="connections that do nothing; default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--turn", type=int, default=4000,
                        help="tokens of the conversation; default %(default)s, 0: none")
    parser.add_argument("--peaked", action="store_true",
                        help="favour 32 tokens, as trained models do: random weights find all "
                        "tokens about as likely, and a draw from such takes longest")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


@contextlib.contextmanager
def serving(args):
    """A server; gives its port."""
    command = [args.build / "programs/rwkv/rwkv", "serve", "--port", "0", "--log", "off",
               "--pack", "on"]  # at once, instead of while the first answers are generated
    command += ["-m", args.model] if args.model else []
    command += ["--vocab", args.vocab] if args.vocab else []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = ""
            while not (found := re.search(r"listening on http://\S+:(\d+)", said)):
                line = server.stderr.readline()
                said += line
                if not line:
                    sys.exit(f"the server ended: {said.strip()}")
            yield int(found.group(1))
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate()


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, path, json.dumps(body) if body else None,
                       {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, text


def wait_until_ready(port):
    while ask(port, "GET", "/health")[0] == 503:
        time.sleep(0.05)


def engine_rate(args, batch):
    """Tokens a second of all sessions together, without a server: like the server's rate, of all
    the time, whatever disturbed it."""
    command = [args.build / "programs/rwkv/rwkv", "bench", "--prompt", "0", "--decode", "0",
               "--batch", str(batch), "--json", "--quiet", "--pack", "on"]
    command += [args.model] if args.model else []
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)["runs"][0]["rows"][0]["mean_tokens_per_second"]


def load(args, port, streams):
    bias = {0: -100}  # no answer ends early
    bias |= {300 + i: 20 - i / 4 for i in range(32)} if args.peaked else {}
    command = [args.build / "bench/serve/serve_load", port, streams, args.tokens, args.idle,
               json.dumps(bias)]
    result = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                            text=True)
    return json.loads(result.stdout)


def rounds(args, port, streams):
    """The rows of a number of streams, each with the engine's rate on both sides of it."""
    rows = []
    before = engine_rate(args, streams)
    for _ in range(args.rounds):
        row = load(args, port, streams)
        after = engine_rate(args, streams)
        row["engine_rate"] = (before + after) / 2
        row["of_engine"] = row["rate"] / row["engine_rate"]
        before = after
        rows.append(row)
    return rows


def median(rows, *path):
    def value(row):
        for name in path:
            row = row[name]
        return row
    return statistics.median(value(row) for row in rows)


def second_turn(args, port):
    """A long conversation, one answer, and a question more: what the second turn evaluates."""
    text, tokens = "", 0
    while tokens < args.turn:
        text += " ".join(WORDS) + ". "
        _, body = ask(port, "POST", "/tokenize", {"content": text})
        tokens = len(json.loads(body)["tokens"])
    messages = [{"role": "user", "content": text}]
    turns = []
    for question in ("And then?", None):
        start = time.monotonic()
        _, body = ask(port, "POST", "/v1/chat/completions",
                      {"messages": messages, "max_tokens": 16, "seed": 1,
                       "logit_bias": {"0": -100}})
        reply = json.loads(body)
        usage = reply["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        turns.append({"prompt_tokens": usage["prompt_tokens"], "cached_tokens": cached,
                      "evaluated_tokens": usage["prompt_tokens"] - cached,
                      "seconds": time.monotonic() - start})
        messages.append(reply["choices"][0]["message"])
        messages.append({"role": "user", "content": question})
    return turns


def show(results):
    print("| streams | tokens/s | of the engine's | first token p50, p99 ms | "
          "between tokens p50, p95, p99 ms | /health p99, max ms |")
    print("|---|---|---|---|---|---|")
    for rows in results["streams"]:
        def ms(*path, rows=rows):
            return f"{1e3 * median(rows, *path):.1f}"
        share = median(rows, "of_engine")
        print(f"| {rows[0]['streams']} | {median(rows, 'rate'):.1f} | {100 * share:.0f} % | "
              f"{ms('first_token', 'p50')}, {ms('first_token', 'p99')} | "
              f"{ms('between_tokens', 'p50')}, {ms('between_tokens', 'p95')}, "
              f"{ms('between_tokens', 'p99')} | {ms('health', 'p99')}, {ms('health', 'max')} |")
    for number, turn in enumerate(results["turns"], 1):
        print(f"turn {number}: {turn['prompt_tokens']} tokens, {turn['cached_tokens']} remembered, "
              f"{turn['evaluated_tokens']} evaluated, {turn['seconds']:.2f} s with 16 new ones")


def main():
    args = arguments()
    with serving(args) as port:
        wait_until_ready(port)
        results = {"streams": [rounds(args, port, int(n)) for n in args.streams.split(",")],
                   "turns": second_turn(args, port) if args.turn else []}
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        show(results)


if __name__ == "__main__":
    main()
