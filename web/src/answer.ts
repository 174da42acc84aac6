// SPDX-License-Identifier: Apache-2.0
// Asking, answering again, changing what was said: all that makes turns.
import { batch } from "@preact/signals";
import { announce, Speaker } from "./announce";
import { chat, Problem, requestFor } from "./api";
import * as state from "./state";
import type { Running } from "./state";
import * as tree from "./tree";
import type { Conversation, Finish, Turn, Usage } from "./types";

const PATIENCE = 120; // seconds in all of waiting for a server that is busy or loading
const LONGEST_WAIT = 15; // seconds between two tries
const REST = 3; // times as long as showing an answer took, until it is shown again

function setRunning(id: string, changes: Partial<Running> | null): void {
    const map = new Map(state.running.peek());
    const now = map.get(id);
    if (changes === null)
        map.delete(id);
    else if (now)
        map.set(id, { ...now, ...changes });
    state.running.value = map;
}

/** What has come of an answer. It is shown at most once in a frame, and long texts, which take time to
 *  lay out, so rarely that most of the time is left for whoever uses the page. */
class Draft {
    text = "";
    thought = "";
    finish = "";
    usage: Usage | null = null;
    pieces = 0;
    private begun = 0;
    private last = 0;
    private timer = 0; // until it is shown again
    private frame = 0;
    private showing = false; // from the plan to the end of its layout
    private changed = false; // since it was shown
    private rest = 0; // ms to wait before it is shown again
    private ended = false;
    private readonly speaker = new Speaker();

    constructor(private readonly conversation: string, private readonly turn: string) {}

    async read(request: unknown, signal: AbortSignal): Promise<void> {
        for await (const piece of chat(request, signal)) {
            this.finish = piece.finish || this.finish;
            if (piece.usage)
                this.usage = { ...piece.usage, seconds: (this.last - this.begun) / 1000 };
            if (piece.text === "" && piece.thought === "")
                continue;
            this.last = performance.now();
            this.begun ||= this.last;
            this.pieces++;
            this.text += piece.text;
            this.thought += piece.thought;
            this.speaker.hear(piece.text);
            this.changed = true;
            this.plan();
        }
    }

    private plan(): void {
        if (this.showing || !this.changed || this.ended)
            return;
        this.showing = true;
        this.timer = window.setTimeout(() => {
            this.frame = requestAnimationFrame(() => this.show());
        }, this.rest);
    }

    private show(): void {
        const c = state.get(this.conversation);
        if (!c)
            return;
        const start = performance.now();
        this.changed = false;
        window.setTimeout(() => { // after layout
            this.rest = REST * (performance.now() - start);
            this.showing = false;
            this.plan();
        });
        batch(() => {
            state.replaceSoon(tree.update(c, this.turn, { text: this.text, thought: this.thought }));
            setRunning(this.conversation, { pieces: this.pieces, begun: this.begun, waiting: "" });
        });
    }

    /** Where it ended before the server could say what it took: what is known here. */
    private counted(): Usage | null {
        const seconds = (this.last - this.begun) / 1000;
        return this.pieces > 0 ? { prompt: 0, cached: 0, generated: this.pieces, seconds } : null;
    }

    async end(finish: Finish, problem: string): Promise<void> {
        this.ended = true;
        window.clearTimeout(this.timer);
        cancelAnimationFrame(this.frame);
        this.speaker.end();
        const c = state.get(this.conversation);
        setRunning(this.conversation, null);
        if (c)
            await state.replace(tree.update(c, this.turn, {
                text: this.text.trim(), thought: this.thought.trim(), finish, problem,
                usage: this.usage ?? this.counted(),
            }));
    }
}

/** Wait, or be told to stop. */
function pause(seconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const timer = window.setTimeout(resolve, seconds * 1000);
        signal.addEventListener("abort", () => {
            window.clearTimeout(timer);
            reject(signal.reason);
        }, { once: true });
    });
}

/** Read the answer; a server that is busy is asked again, as it says. */
async function readPatiently(draft: Draft, id: string, request: unknown,
    signal: AbortSignal): Promise<void> {
    for (let waited = 0; ;) {
        try {
            await draft.read(request, signal);
            return;
        } catch (error) {
            if (!(error instanceof Problem) || !error.passes || draft.pieces > 0
                || waited >= PATIENCE)
                throw error;
            const seconds = Math.min(LONGEST_WAIT, Math.max(1, error.retryAfter, waited / 2));
            const waiting = `${error.message} Trying again in ${Math.ceil(seconds)} s.`;
            waited += seconds;
            setRunning(id, { waiting });
            announce(waiting);
            await pause(seconds, signal);
        }
    }
}

/** Let the model answer the question `parent`. */
async function answer(conversation: Conversation, parent: Turn): Promise<void> {
    const { id } = conversation;
    const model = state.modelFor(conversation.choices.model);
    const turn = { ...tree.newTurn("assistant", parent.id, ""), model };
    const controller = new AbortController();
    const entry = { turn: turn.id, controller, waiting: "", pieces: 0, begun: 0 };
    const draft = new Draft(id, turn.id);
    state.running.value = new Map(state.running.peek()).set(id, entry);
    void state.replace(tree.add(conversation, turn));
    const request = requestFor(conversation.choices, model, tree.pathTo(conversation, parent.id));
    try {
        await readPatiently(draft, id, request, controller.signal);
        await draft.end(draft.finish === "length" ? "length" : "stop", "");
    } catch (error) {
        if (controller.signal.aborted) {
            await draft.end("stopped", "");
            announce("Stopped.");
            return;
        }
        const problem = error instanceof Error ? error.message : String(error);
        await draft.end("failed", problem);
        announce(problem);
        if (error instanceof Problem && error.status === 401)
            state.wantsKey.value = true;
    }
}

export function isRunning(): boolean {
    return state.running.peek().has(state.openId.peek());
}

export function send(text: string): void {
    const c = state.ensureOpen();
    const question = tree.newTurn("user", c.leaf, text);
    void answer(tree.add(c, question), question);
}

export function stop(): void {
    state.running.peek().get(state.openId.peek())?.controller.abort();
}

/** Another answer in the place of this one. One that failed before it began is not kept. */
export function regenerate(turn: Turn): void {
    const c = state.current.peek();
    const question = c && tree.find(c, turn.parent);
    if (!c || !question || isRunning())
        return;
    const empty = turn.text === "" && turn.thought === "" && tree.leafUnder(c, turn.id) === turn.id;
    void answer(empty ? tree.dropLeaf(c, turn) : c, question);
}

/** Another question in the place of this one, and its answer; or another answer, as written. */
export function edit(turn: Turn, text: string): void {
    const c = state.current.peek();
    if (!c || isRunning() || text === turn.text)
        return;
    const changed = tree.newTurn(turn.role, turn.parent, text);
    if (turn.role === "user")
        void answer(tree.add(c, changed), changed);
    else
        void state.replace(tree.add(c, { ...changed, model: turn.model, finish: "edited" }));
}

/** Show another branch: the sibling before or after this turn. */
export function step(turn: Turn, by: number): void {
    const c = state.current.peek();
    if (!c)
        return;
    const all = tree.siblings(c, turn);
    const next = all[all.findIndex((other) => other.id === turn.id) + by];
    if (next)
        void state.replace({ ...c, leaf: tree.leafUnder(c, next.id) });
}

/** Ask again where a key was missing, now that there is one. */
export function tryAgain(): void {
    const c = state.current.peek();
    const last = c && tree.find(c, c.leaf);
    if (last?.finish === "failed")
        regenerate(last);
}
