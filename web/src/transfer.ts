// SPDX-License-Identifier: Apache-2.0
// Conversations to a file and back. A file may come from anyone: every value is checked and copied
// into objects made here, and ids are made anew, so that nothing is overwritten.
import { newId } from "./tree";
import { finishes, thinkModes } from "./types";
import type { Choices, Conversation, Sampling, Turn, Usage } from "./types";

const FORMAT = "rwkv-chat";
const VERSION = 1;
export const MAX_FILE = 64 << 20; // bytes
const MAX_CONVERSATIONS = 10000;
const MAX_TURNS = 10000;
const MAX_TEXT = 4 << 20; // characters of a turn
const MAX_TITLE = 200;

/** The numbers of Sampling, and their ranges: those that the server takes. */
export const ranges = {
    temperature: [0, 100], top_p: [0, 1], top_k: [0, 65536], min_p: [0, 1], typical_p: [0, 1],
    alpha_presence: [-100, 100], alpha_frequency: [-100, 100], alpha_decay: [0, 1],
    seed: [0, 2 ** 53 - 1], max_tokens: [1, 1 << 20],
} as const;
export type RangeName = keyof typeof ranges;
export const rangeNames = Object.keys(ranges) as RangeName[];
const whole: readonly string[] = ["top_k", "seed", "max_tokens"];
const MAX_STOPS = 15;
const MAX_STOP = 64; // characters, at most 256 bytes

/** Whether a number may be sent by this name. */
export function isInRange(name: RangeName, value: unknown): value is number {
    const [least, most] = ranges[name];
    return typeof value === "number" && value >= least && value <= most
        && (!whole.includes(name) || Number.isInteger(value));
}

/** Stop sequences from lines; those that are too long or too many are left out. */
export function readStops(values: unknown[]): string[] {
    return values.filter((value): value is string => typeof value === "string" && value !== ""
        && value.length <= MAX_STOP).slice(0, MAX_STOPS);
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown): Fields {
    return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function textOf(value: unknown, most: number): string {
    return typeof value === "string" ? value.slice(0, most) : "";
}

function countOf(value: unknown): number {
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

function oneOf<T extends string>(list: readonly T[], value: unknown, otherwise: T): T {
    return list.find((item) => item === value) ?? otherwise;
}

function readSampling(value: unknown): Sampling {
    const from = fieldsOf(value);
    const sampling: Sampling = {};
    for (const name of rangeNames) {
        const number = from[name];
        if (isInRange(name, number))
            sampling[name] = number;
    }
    const stop = Array.isArray(from["stop"]) ? readStops(from["stop"]) : [];
    return stop.length > 0 ? { ...sampling, stop } : sampling;
}

export function readChoices(value: unknown): Choices {
    const from = fieldsOf(value);
    return {
        model: textOf(from["model"], 128), system: textOf(from["system"], MAX_TEXT),
        think: oneOf(thinkModes, from["think"], "off"), sampling: readSampling(from["sampling"]),
    };
}

function readUsage(value: unknown): Usage | null {
    const from = fieldsOf(value);
    return value === null || value === undefined ? null : {
        prompt: countOf(from["prompt"]), cached: countOf(from["cached"]),
        generated: countOf(from["generated"]), seconds: countOf(from["seconds"]),
    };
}

/** A turn with a new id; `ids` leads from the file's ids to ours. */
function readTurn(value: unknown, ids: Map<unknown, string>): Turn {
    const from = fieldsOf(value);
    const role = from["role"];
    const parent = from["parent"] === null ? null : ids.get(from["parent"]);
    if (role !== "user" && role !== "assistant")
        throw new Error("a turn of neither user nor assistant");
    if (parent === undefined)
        throw new Error("a turn that follows none before it");
    if (typeof from["id"] !== "string" || ids.has(from["id"]))
        throw new Error("two turns with one id");
    if (typeof from["text"] !== "string" || from["text"].length > MAX_TEXT)
        throw new Error("a turn without text, or with too much");
    const id = newId();
    ids.set(from["id"], id);
    return {
        id, parent, role, text: from["text"], thought: textOf(from["thought"], MAX_TEXT),
        created: countOf(from["created"]), model: textOf(from["model"], 128),
        finish: oneOf(finishes, from["finish"], "cut"), problem: textOf(from["problem"], 1000),
        usage: readUsage(from["usage"]),
    };
}

function readConversation(value: unknown): Conversation {
    const from = fieldsOf(value);
    const ids = new Map<unknown, string>();
    const list = from["turns"];
    if (!Array.isArray(list) || list.length === 0 || list.length > MAX_TURNS)
        throw new Error("a conversation without turns, or with too many");
    const turns = list.map((turn) => readTurn(turn, ids));
    return {
        id: newId(), title: textOf(from["title"], MAX_TITLE), created: countOf(from["created"]),
        changed: countOf(from["changed"]), choices: readChoices(from["choices"]), turns,
        leaf: ids.get(from["leaf"]) ?? turns[turns.length - 1]?.id ?? null,
    };
}

/** The conversations in the text of a file; throws an Error that says what is wrong with it. */
export function readFile(text: string): Conversation[] {
    let file: unknown;
    try {
        file = JSON.parse(text);
    } catch {
        throw new Error("this is no JSON");
    }
    const from = fieldsOf(file);
    const list = from["conversations"];
    if (from["format"] !== FORMAT || !Array.isArray(list))
        throw new Error("these are no conversations of this page");
    if (from["version"] !== VERSION)
        throw new Error(`version ${VERSION} wanted, found ${String(from["version"]).slice(0, 20)}`);
    if (list.length > MAX_CONVERSATIONS)
        throw new Error(`more than ${MAX_CONVERSATIONS} conversations`);
    return list.map(readConversation);
}

export function writeFile(conversations: Conversation[]): string {
    return JSON.stringify({
        format: FORMAT, version: VERSION, exported: new Date().toISOString(), conversations,
    }, null, 1);
}
