// SPDX-License-Identifier: Apache-2.0
// The turns of the branch that is shown.
import type { VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import * as answer from "./answer";
import { CopyButton, IconButton } from "./buttons";
import { focusLater, focusMessage } from "./focus";
import { Markdown } from "./markdown";
import * as state from "./state";
import type { Running } from "./state";
import { pathTo, siblings } from "./tree";
import type { Conversation, Turn, Usage } from "./types";

const NEAR_END = 80; // pixels: who is so near the end wants to see what comes

/** Tokens a second; between the first and the last there is one step less than tokens. What came all
 * at once has no rate. */
function rate(tokens: number, seconds: number): string {
    return tokens > 1 && seconds >= 0.1 ? `${((tokens - 1) / seconds).toFixed(1)} tokens/s` : "";
}

function describe(usage: Usage): string {
    const count = `${usage.generated} ${usage.generated === 1 ? "token" : "tokens"}`;
    const cached = usage.cached > 0 ? ` (${usage.cached} cached)` : "";
    const prompt = usage.prompt > 0 ? `prompt ${usage.prompt}${cached}` : "";
    return [count, rate(usage.generated, usage.seconds), prompt].filter(Boolean).join(" · ");
}

function Thought({ turn, live }: { turn: Turn; live: boolean }): VNode | null {
    if (turn.thought === "")
        return null;
    const thinking = live && turn.text === "";
    return <details class="thought">
        <summary>{thinking ? "Thinking…" : "Thought"}</summary>
        <Markdown text={turn.thought} />
    </details>;
}

function Branches({ conversation, turn }: { conversation: Conversation; turn: Turn }): VNode | null {
    const all = siblings(conversation, turn);
    const at = all.findIndex((other) => other.id === turn.id);
    if (all.length < 2)
        return null;
    return <span class="branches" role="group" aria-label="Versions">
        <IconButton icon="before" label="Version before" disabled={at === 0}
            onClick={() => answer.step(turn, -1)} />
        <span>{at + 1}<span aria-hidden="true">/</span><span class="unseen"> of </span>
            {all.length}</span>
        <IconButton icon="after" label="Version after" disabled={at === all.length - 1}
            onClick={() => answer.step(turn, 1)} />
    </span>;
}

interface EditorProps {
    turn: Turn;
    onKeep: () => void;
    onCancel: () => void;
}

function Editor({ turn, onKeep, onCancel }: EditorProps): VNode {
    const field = useRef<HTMLTextAreaElement>(null);
    const asks = turn.role === "user";
    useLayoutEffect(() => {
        field.current?.focus();
        field.current?.setSelectionRange(turn.text.length, turn.text.length);
    }, []);
    const keep = (): void => {
        const text = field.current?.value.trim() ?? "";
        if (text === "")
            return;
        answer.edit(turn, text);
        onKeep();
    };
    return <form class="editor" onSubmit={(event) => { event.preventDefault(); keep(); }}>
        <textarea ref={field} defaultValue={turn.text} rows={4}
            aria-label={asks ? "Change your message" : "Change the answer"}
            onKeyDown={(event) => {
                if (event.key === "Escape") {
                    event.stopPropagation();
                    onCancel();
                } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
                    keep();
                }
            }} />
        <div class="row">
            <button type="button" onClick={onCancel}>Cancel</button>
            <button type="submit" class="primary">{asks ? "Send" : "Keep"}</button>
        </div>
    </form>;
}

const endings: Partial<Record<string, string>> = {
    length: "The limit of tokens was reached.",
    stopped: "Stopped.",
    edited: "Edited.",
    cut: "The page was closed before the answer ended.",
};

function Ending({ turn, busy }: { turn: Turn; busy: boolean }): VNode | null {
    if (turn.problem)
        return <div class="problem"><p>{turn.problem}</p>
            <button type="button" disabled={busy} onClick={() => answer.regenerate(turn)}>
                Try again</button></div>;
    const silent = turn.finish === "stop" && turn.text === "" ? "The model said nothing." : undefined;
    const said = turn.finish === null ? undefined : endings[turn.finish] ?? silent;
    return said ? <p class="ending">{said}</p> : null;
}

function Progress({ running }: { running: Running }): VNode {
    const seconds = (performance.now() - running.begun) / 1000;
    const words = running.waiting || (running.pieces === 0 ? "Reading…"
        : [`${running.pieces} tokens`, rate(running.pieces, seconds)].filter(Boolean).join(" · "));
    return <p class="usage"><span class="busy" /> {words}</p>;
}

interface MessageProps {
    conversation: Conversation;
    turn: Turn;
    running: Running | undefined; // whatever is under way in this conversation
}

function Message({ conversation, turn, running }: MessageProps): VNode {
    const [editing, setEditing] = useState(false);
    const live = running?.turn === turn.id;
    const asks = turn.role === "user";
    const busy = running !== undefined;
    const keep = (): void => {
        setEditing(false);
        focusMessage();
    };
    const cancel = (): void => {
        setEditing(false);
        focusLater(`edit-${turn.id}`);
    };
    return <li class={`message ${turn.role}`}>
        <h2 class="unseen">{asks ? "You" : "Answer"}</h2>
        {editing ? <Editor turn={turn} onKeep={keep} onCancel={cancel} />
            : <div class="body">
                <Thought turn={turn} live={live} />
                {asks ? <p class="raw">{turn.text}</p> : <Markdown text={turn.text} />}
                {live ? <Progress running={running} /> : <Ending turn={turn} busy={busy} />}
            </div>}
        {!live && !editing && <div class="actions">
            <Branches conversation={conversation} turn={turn} />
            <CopyButton text={turn.text} label={asks ? "Copy message" : "Copy answer"} />
            <IconButton icon="edit" id={`edit-${turn.id}`} disabled={busy}
                label={asks ? "Edit message" : "Edit answer"} onClick={() => setEditing(true)} />
            {!asks && <IconButton icon="again" label="Answer again" disabled={busy}
                onClick={() => answer.regenerate(turn)} />}
            {turn.usage && <span class="usage">{describe(turn.usage)}</span>}
        </div>}
    </li>;
}

function Empty(): VNode {
    return <div class="empty">
        <h2>What would you like to talk about?</h2>
        <p>Conversations stay in this browser. What you write goes to this server and nowhere else.</p>
    </div>;
}

export function Messages(): VNode {
    const region = useRef<HTMLDivElement>(null);
    const follows = useRef(true);
    const [atEnd, setAtEnd] = useState(true);
    const conversation = state.current.value;
    const path = conversation ? pathTo(conversation, conversation.leaf) : [];
    const running = conversation ? state.running.value.get(conversation.id) : undefined;
    const toEnd = (): void => region.current?.scrollTo({ top: region.current.scrollHeight });
    useLayoutEffect(() => {
        follows.current = true;
    }, [conversation?.id, conversation?.leaf]);
    useLayoutEffect(() => {
        if (follows.current)
            toEnd();
    });
    const watch = (): void => {
        const box = region.current;
        if (box) {
            follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
            setAtEnd(follows.current);
        }
    };
    return <div class="messages" ref={region} onScroll={watch} tabIndex={0} role="region"
        aria-label="Messages">
        {path.length === 0 ? <Empty /> : <ol>{conversation && path.map((turn) =>
            <Message key={turn.id} conversation={conversation} turn={turn} running={running} />)}
        </ol>}
        {!atEnd && <IconButton class="to-end" icon="down" label="To the end" onClick={() => {
            toEnd();
            focusMessage();
        }} />}
    </div>;
}
