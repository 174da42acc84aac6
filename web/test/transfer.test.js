// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { isInRange, readChoices, readFile, readStops, writeFile } from "../src/transfer";
import * as tree from "../src/tree";

function sample() {
    const question = tree.newTurn("user", null, "Hi");
    const answer = { ...tree.newTurn("assistant", question.id, "Hello"), thought: "hm", model: "m",
        finish: "length", usage: { prompt: 3, cached: 2, generated: 1, seconds: 0.5 } };
    const choices = { model: "m", system: "s", think: "long", sampling: { top_k: 3, stop: ["x"] } };
    return tree.add(tree.add({ ...tree.newConversation(choices), title: "T" }, question), answer);
}

/** What a conversation is, whatever its ids are. */
function plain({ id, leaf, turns, ...rest }) {
    const at = (wanted) => turns.findIndex((turn) => turn.id === wanted);
    return { ...rest, leaf: at(leaf),
        turns: turns.map((turn) => ({ ...turn, id: 0, parent: at(turn.parent) })) };
}

test("what was written is read, with other ids", () => {
    const written = sample();
    const [read] = readFile(writeFile([written]));
    assert.deepEqual(plain(read), plain(written));
    assert.notEqual(read.id, written.id);
    assert.notEqual(read.turns[0].id, written.turns[0].id);
});

test("wrong values of what matters refuse the file", () => {
    const wrongs = [
        [(c) => { c.turns = []; }, /without turns/],
        [(c) => { c.turns[0].role = "system"; }, /neither user nor assistant/],
        [(c) => { c.turns[0].parent = c.turns[1].id; }, /follows none before it/],
        [(c) => { c.turns[1].parent = c.turns[1].id; }, /follows none before it/],
        [(c) => { c.turns[1].id = c.turns[0].id; }, /two turns with one id/],
        [(c) => { c.turns[0].text = null; }, /without text/],
        [(c) => { c.turns[0].text = "x".repeat((4 << 20) + 1); }, /too much/],
    ];
    for (const [spoil, said] of wrongs) {
        const c = sample();
        spoil(c);
        assert.throws(() => readFile(writeFile([c])), said);
    }
    assert.throws(() => readFile("{"), /no JSON/);
    assert.throws(() => readFile('{"format":"other","conversations":[]}'), /no conversations/);
    assert.throws(() => readFile(writeFile([]).replace('"version": 1', '"version": 9')), /found 9/);
});

test("wrong values of the rest are left out", () => {
    const c = sample();
    Object.assign(c.turns[1], { thought: 5, finish: "exploded", usage: "much", created: -1, more: {} });
    c.choices = { model: [], think: "deeply", sampling: { seed: 1.5, top_p: 2, temperature: "1" } };
    c.leaf = "nowhere";
    const [read] = readFile(writeFile([c]));
    assert.deepEqual(read.choices, { model: "", system: "", think: "off", sampling: {} });
    const { thought, finish, usage, created } = read.turns[1];
    assert.deepEqual({ thought, finish, created }, { thought: "", finish: "cut", created: 0 });
    assert.deepEqual(usage, { prompt: 0, cached: 0, generated: 0, seconds: 0 });
    assert.ok(!("more" in read.turns[1]));
    assert.equal(read.leaf, read.turns[1].id);
});

test("objects of a file bring no prototypes", () => {
    const text = writeFile([sample()]).replace('"title"', '"__proto__": {"hacked": 1}, "title"');
    const [read] = readFile(text);
    assert.equal(read.hacked, undefined);
    assert.equal({}.hacked, undefined);
});

test("numbers that the server would refuse", () => {
    for (const [name, value] of [["top_p", 1.1], ["seed", 0.5], ["max_tokens", 0], ["top_k", -1],
        ["temperature", NaN], ["alpha_presence", Infinity], ["seed", 2 ** 60]])
        assert.ok(!isInRange(name, value), `${name} ${value}`);
    for (const [name, value] of [["top_p", 1], ["seed", 0], ["alpha_presence", -100]])
        assert.ok(isInRange(name, value), `${name} ${value}`);
    assert.deepEqual(readStops(["", "a", 5, "x".repeat(65)]), ["a"]);
    assert.equal(readStops(Array.from({ length: 40 }, String)).length, 15);
    assert.deepEqual(readChoices(undefined).sampling, {});
});
