// SPDX-License-Identifier: Apache-2.0
// Colours for code: a tree of spans, never HTML.
import { createLowlight } from "lowlight";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const lowlight = createLowlight({
    bash, c, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml,
});

const LONGEST = 50_000; // characters; longer code stays plain

export interface Span {
    classes: string; // "" for plain text
    children: readonly (Span | string)[];
}

type Node = ReturnType<typeof lowlight.highlight>["children"][number];

function spanOf(node: Node): Span | string {
    if (node.type === "text")
        return node.value;
    if (node.type !== "element")
        return "";
    const names = node.properties["className"];
    return {
        classes: Array.isArray(names) ? names.join(" ") : "",
        children: (node.children as Node[]).map(spanOf),
    };
}

/** Code in a language that is known, or as it is. */
export function highlight(code: string, language: string): readonly (Span | string)[] {
    if (code.length > LONGEST || !lowlight.registered(language))
        return [code];
    try {
        return lowlight.highlight(language, code).children.map(spanOf);
    } catch {
        return [code];
    }
}
