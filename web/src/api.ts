// SPDX-License-Identifier: Apache-2.0
// The server's API. Addresses are relative to the page, so it may live below a proxy's path.
import { events } from "./events";
import { settings } from "./settings";
import type { Choices, Model, Think, Turn, Usage } from "./types";

/** What went wrong, in words for people. */
export class Problem extends Error {
    constructor(message: string, readonly status: number, readonly code = "",
        readonly retryAfter = 0) {
        super(message);
    }

    /** Whether trying again soon may help by itself. */
    get passes(): boolean {
        return (this.status === 429 || this.status === 503)
            && !["shutting_down", "deadline_exceeded"].includes(this.code);
    }
}

const efforts: Record<Think, string> = {
    off: "none", fast: "minimal", short: "low", on: "medium", long: "high",
};

const kindly: Record<number, string> = {
    0: "The answer broke off",
    401: "This server wants an API key",
    403: "The server does not let this page ask",
    413: "This conversation is too long for the server",
    429: "The server has too much to do right now",
    503: "The server is not ready right now",
};

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null;
}

function textOf(value: unknown): string {
    return typeof value === "string" ? value : "";
}

function countOf(value: unknown): number {
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

/** The problem in a body {"error": {"message", "code"}}. */
function problemIn(body: unknown, status: number, retryAfter: number): Problem {
    const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
    const said = textOf(error["message"]).slice(0, 500);
    const known = kindly[status] ?? `The server answered with status ${status}`;
    return new Problem(said ? `${known} (${said}).` : `${known}.`, status,
        textOf(error["code"]), retryAfter);
}

async function ask(path: string, signal: AbortSignal | null, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = {};
    const key = settings.value.key;
    if (key)
        headers["Authorization"] = `Bearer ${key}`;
    if (body !== undefined)
        headers["Content-Type"] = "application/json";
    let response: Response;
    try {
        response = await fetch(path, {
            method: body === undefined ? "GET" : "POST", headers, signal,
            body: body === undefined ? null : JSON.stringify(body), cache: "no-store",
            credentials: "same-origin", referrerPolicy: "no-referrer",
        });
    } catch (error) {
        if (signal?.aborted)
            throw error;
        throw new Problem("The server cannot be reached.", 0);
    }
    if (!response.ok) {
        const said: unknown = await response.json().catch(() => null);
        const wait = Number(response.headers.get("Retry-After"));
        throw problemIn(said, response.status, Number.isFinite(wait) ? wait : 0);
    }
    return response;
}

export async function listModels(): Promise<Model[]> {
    const body: unknown = await (await ask("v1/models", null)).json();
    const list = isObject(body) && Array.isArray(body["data"]) ? body["data"] : [];
    return list.filter(isObject).filter((model) => textOf(model["id"]) !== "")
        .map((model) => ({ id: textOf(model["id"]), loaded: model["loaded"] === true }));
}

/** Something of an answer: text, thought, its end, what it took. */
export interface Piece {
    text: string;
    thought: string;
    finish: string;
    usage: Omit<Usage, "seconds"> | null;
}

function usageIn(value: unknown): Piece["usage"] {
    if (!isObject(value))
        return null;
    const details = isObject(value["prompt_tokens_details"]) ? value["prompt_tokens_details"] : {};
    return {
        prompt: countOf(value["prompt_tokens"]), cached: countOf(details["cached_tokens"]),
        generated: countOf(value["completion_tokens"]),
    };
}

function pieceIn(data: string): Piece {
    let chunk: unknown;
    try {
        chunk = JSON.parse(data);
    } catch {
        throw new Problem("The server sent something that cannot be understood.", 0);
    }
    if (!isObject(chunk) || isObject(chunk["error"]))
        throw problemIn(chunk, 0, 0);
    const choice: unknown = Array.isArray(chunk["choices"]) ? chunk["choices"][0] : null;
    const delta = isObject(choice) && isObject(choice["delta"]) ? choice["delta"] : {};
    return {
        text: textOf(delta["content"]), thought: textOf(delta["reasoning_content"]),
        finish: isObject(choice) ? textOf(choice["finish_reason"]) : "",
        usage: usageIn(chunk["usage"]),
    };
}

export function requestFor(choices: Choices, model: string, turns: Turn[]): unknown {
    const system = choices.system.trim();
    const messages = turns.filter((turn) => turn.role === "user" || turn.text !== "")
        .map((turn) => ({ role: turn.role, content: turn.text }));
    return {
        ...choices.sampling,
        ...(model ? { model } : {}),
        messages: system ? [{ role: "system", content: system }, ...messages] : messages,
        reasoning_effort: efforts[choices.think], stream: true,
        stream_options: { include_usage: true },
    };
}

/** An answer, as it comes. Throws a Problem where it breaks off. */
export async function* chat(body: unknown, signal: AbortSignal): AsyncGenerator<Piece> {
    const response = await ask("v1/chat/completions", signal, body);
    if (!response.body)
        throw new Problem("The server sent nothing.", 0);
    try {
        for await (const data of events(response.body)) {
            if (data === "[DONE]")
                return;
            yield pieceIn(data);
        }
    } catch (error) {
        if (signal.aborted || error instanceof Problem)
            throw error;
        throw new Problem("The connection to the server broke off.", 0);
    }
    throw new Problem("The connection ended before the answer did.", 0);
}
