// SPDX-License-Identifier: Apache-2.0
// What comes from a server or a model: streams in any pieces, and text that means no good.
import assert from "node:assert/strict";
import { test } from "node:test";
import { requestFor } from "../src/api";
import { decodeEntities } from "../src/entities";
import { events } from "../src/events";
import { highlight } from "../src/highlight";
import { safeAddress, tokensOf } from "../src/markdown";
import { readChoices } from "../src/transfer";
import { newTurn } from "../src/tree";

function streamOf(bytes, size) {
    let at = 0;
    return new ReadableStream({
        pull(controller) {
            if (at >= bytes.length)
                controller.close();
            else
                controller.enqueue(bytes.slice(at, at += size));
        },
    });
}

async function all(bytes, size) {
    const found = [];
    for await (const data of events(streamOf(bytes, size)))
        found.push(data);
    return found;
}

test("events in pieces of any size", async () => {
    const text = ": comment\n\ndata: {\"a\":\"ü…🙂\"}\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\ndata: last";
    const bytes = new TextEncoder().encode(text);
    for (let size = 1; size <= bytes.length; size++)
        assert.deepEqual(await all(bytes, size), ['{"a":"ü…🙂"}', "one\ntwo", "last"], `${size}`);
});

test("an event without an end is given up", async () => {
    await assert.rejects(all(new Uint8Array((1 << 24) + 10).fill(120), 1 << 20), /without an end/);
});

test("requests have what was chosen and nothing else", () => {
    const choices = readChoices({ system: "  Be brief. ", sampling: { seed: 7 }, think: "fast" });
    const turns = [newTurn("user", null, "Hi"), newTurn("assistant", "a", ""),
        { ...newTurn("assistant", "a", "Hello"), thought: "secret" }, newTurn("user", "b", "More")];
    assert.deepEqual(requestFor(choices, "m", turns), {
        seed: 7, model: "m", reasoning_effort: "minimal", stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Hi" },
            { role: "assistant", content: "Hello" }, { role: "user", content: "More" }],
    });
    assert.ok(!("model" in requestFor(choices, "", turns)));
});

test("addresses that may be followed", () => {
    assert.equal(safeAddress("https://example.org/a b"), "https://example.org/a%20b");
    assert.equal(safeAddress("mailto:me@example.org"), "mailto:me@example.org");
    for (const href of ["javascript:alert(1)", " JavaScript:alert(1)", "java\tscript:alert(1)",
        "\u0001javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
        "blob:https://example.org/1", "/v1/models", "//example.org", "x", "", "about:blank",
        "view-source:https://example.org", "filesystem:https://example.org/x"])
        assert.equal(safeAddress(href), null, href);
});

test("character references become text, those that are none stay", () => {
    assert.equal(decodeEntities("a &lt;b&gt; &amp;amp; &#65;&#x1F642; &rarr;"), "a <b> &amp; A🙂 →");
    for (const text of ["&unknown;", "&#0;", "&#xD800;", "&#9999999;", "& lt;", "&constructor;"])
        assert.equal(decodeEntities(text), text);
});

test("code keeps its text, coloured or not", () => {
    const textOf = (spans) => spans
        .map((span) => (typeof span === "string" ? span : textOf(span.children))).join("");
    const code = "<script>let a = `${1}`; // <b>\n</script>";
    for (const language of ["javascript", "html", "xml", "none", "__proto__", "constructor", ""])
        assert.equal(textOf(highlight(code, language)), code, language);
    assert.ok(highlight("int a = 1;", "c").length > 1);
});

test("text made to be slow or deep is soon done", () => {
    const kinds = ["> ", "- ", "* a ", "**a ", "[", "![", "`", "<", "_a ", "~~a ", "[a](", "| a ",
        "1. ", "    ", "\\", "&#", "<a ", "a@b.c ", "http://a", "***", "- > ", "> - ", "\t- ", "*a_", "a_"];
    for (const kind of kinds)
        for (const text of [kind.repeat(4000), (kind + "\n").repeat(2000),
            Array.from({ length: 200 }, (_, i) => " ".repeat(i * 2) + kind + i).join("\n")]) {
            const tokens = tokensOf(text);
            assert.ok(tokens === null || tokens.length > 0, kind);
        }
    for (const text of ["1. ".repeat(4000), "*a_".repeat(4000), "> ".repeat(40)]) // plain: these took seconds
        assert.equal(tokensOf(text), null);
    for (const text of ["- a\n  - b\n    - c", "**".repeat(500), "-".repeat(80), "```\n" + "*_".repeat(4000) + "\n```"])
        assert.notEqual(tokensOf(text), null);
});
