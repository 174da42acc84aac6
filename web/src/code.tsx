// SPDX-License-Identifier: Apache-2.0
// A block of code, with its language and a button that copies it.
import type { ComponentChildren, VNode } from "preact";
import { useMemo } from "preact/hooks";
import { CopyButton } from "./buttons";
import { highlight } from "./highlight";
import type { Span } from "./highlight";

function spans(list: readonly (Span | string)[]): ComponentChildren {
    return list.map((item) => (typeof item === "string" ? item
        : <span class={item.classes}>{spans(item.children)}</span>));
}

export function CodeBlock({ code, language }: { code: string; language: string }): VNode {
    const coloured = useMemo(() => highlight(code, language.toLowerCase()), [code, language]);
    const name = language.slice(0, 30);
    return <div class="code">
        <div class="code-head"><span>{name || "text"}</span>
            <CopyButton text={code} label="Copy code" /></div>
        <pre tabIndex={0} role="group" aria-label={name ? `Code, ${name}` : "Code"}>
            <code>{spans(coloured)}</code></pre>
    </div>;
}
