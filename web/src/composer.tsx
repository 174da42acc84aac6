// SPDX-License-Identifier: Apache-2.0
// Where messages are written.
import type { VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import * as answer from "./answer";
import { Icon } from "./buttons";
import * as state from "./state";
import { thinkModes } from "./types";
import type { Think } from "./types";

const thinkNames: Record<Think, string> = {
    off: "No thinking", fast: "Think: skip ahead", short: "Think a bit", on: "Think",
    long: "Think a lot",
};

function ThinkPicker(): VNode {
    return <select id="think" aria-label="Thinking" value={state.choices.value.think}
        onChange={(event) => state.choose({ think: event.currentTarget.value as Think })}>
        {thinkModes.map((mode) => <option value={mode}>{thinkNames[mode]}</option>)}
    </select>;
}

/** With a keyboard Enter sends; on a screen it is the only way to begin a line. */
function sends(event: KeyboardEvent): boolean {
    return event.key === "Enter" && !event.shiftKey && !event.isComposing
        && !window.matchMedia("(pointer: coarse)").matches;
}

export function Composer(): VNode {
    const [text, setText] = useState("");
    const field = useRef<HTMLTextAreaElement>(null);
    const busy = state.running.value.has(state.openId.value);
    useLayoutEffect(() => {
        const box = field.current;
        if (box) {
            box.style.height = "auto";
            box.style.height = `${box.scrollHeight}px`;
        }
    }, [text]);
    const submit = (): void => {
        if (busy || text.trim() === "")
            return;
        answer.send(text.trim());
        setText("");
        field.current?.focus();
    };
    return <form class="composer" onSubmit={(event) => { event.preventDefault(); submit(); }}>
        <label class="unseen" for="message">Message</label>
        <textarea id="message" ref={field} rows={1} value={text} autoFocus
            placeholder="Write a message" aria-describedby="hint"
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
                if (sends(event)) {
                    event.preventDefault();
                    submit();
                }
            }} />
        <div class="row">
            <ThinkPicker />
            <span id="hint">Enter sends, Shift+Enter begins a line, Esc stops the answer</span>
            {busy ? <button type="button" key="stop" class="round" aria-label="Stop" title="Stop"
                onClick={() => { answer.stop(); field.current?.focus(); }}><Icon name="stop" />
            </button>
                : <button type="submit" key="send" class="round" aria-label="Send" title="Send"
                    disabled={text.trim() === ""}><Icon name="send" /></button>}
        </div>
    </form>;
}
