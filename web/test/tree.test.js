// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tree from "../src/tree";
import { readChoices } from "../src/transfer";

/** Turns "id<parent" in this order; those with a capital are questions. */
function conversation(...turns) {
    const c = tree.newConversation(readChoices(null));
    return turns.reduce((all, text) => {
        const [id, parent] = text.split("<");
        const role = id === id.toUpperCase() ? "user" : "assistant";
        return tree.add(all, { ...tree.newTurn(role, parent || null, id), id });
    }, c);
}

const ids = (turns) => turns.map((turn) => turn.id).join(" ");

test("ids are long, and never the same", () => {
    const all = Array.from({ length: 1000 }, tree.newId);
    assert.equal(new Set(all).size, 1000);
    assert.ok(all.every((id) => /^[a-z0-9]{22}$/.test(id)));
});

test("paths, siblings and the newest end of a branch", () => {
    const c = conversation("A<", "a<A", "b<A", "B<a", "c<B", "C<", "d<C", "e<B", "D<a");
    assert.equal(c.leaf, "D");
    assert.equal(ids(tree.pathTo(c, "e")), "A a B e");
    assert.equal(ids(tree.pathTo(c, null)), "");
    assert.equal(ids(tree.pathTo(c, "unknown")), "");
    assert.equal(ids(tree.siblings(c, tree.find(c, "a"))), "a b");
    assert.equal(ids(tree.siblings(c, tree.find(c, "A"))), "A C");
    assert.equal(tree.leafUnder(c, "B"), "e");
    assert.equal(tree.leafUnder(c, "A"), "b");
    assert.equal(tree.leafUnder(c, "a"), "D");
    assert.equal(tree.leafUnder(c, "C"), "d");
});

test("changes leave what was there as it was", () => {
    const c = conversation("A<", "a<A");
    const before = JSON.stringify(c);
    assert.equal(tree.find(tree.update(c, "a", { text: "new" }), "a").text, "new");
    const dropped = tree.dropLeaf(c, tree.find(c, "a"));
    assert.equal(ids(dropped.turns), "A");
    assert.equal(dropped.leaf, "A");
    assert.equal(JSON.stringify(c), before);
});

test("titles", () => {
    const titled = (text) => tree.titleOf(tree.add(conversation(), tree.newTurn("user", null, text)));
    assert.equal(titled("  One\ntwo"), "One");
    assert.equal(titled("x".repeat(61)), "x".repeat(59) + "…");
    assert.equal(tree.titleOf(conversation()), "New conversation");
});
