// SPDX-License-Identifier: Apache-2.0
// The tree of turns. Every function returns something new and leaves its arguments as they are.
import type { Choices, Conversation, Role, Turn } from "./types";

/** 22 random characters. crypto.randomUUID is not there on pages without TLS from other hosts. */
export function newId(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("").slice(0, 22);
}

export function newConversation(choices: Choices): Conversation {
    const now = Date.now();
    return { id: newId(), title: "", created: now, changed: now, choices, turns: [], leaf: null };
}

export function newTurn(role: Role, parent: string | null, text: string): Turn {
    return {
        id: newId(), parent, role, text, thought: "", created: Date.now(), model: "",
        finish: role === "user" ? "stop" : null, problem: "", usage: null,
    };
}

export function find(c: Conversation, id: string | null): Turn | undefined {
    return c.turns.find((turn) => turn.id === id);
}

/** The turns from the first to this one. */
export function pathTo(c: Conversation, leaf: string | null): Turn[] {
    const byId = new Map(c.turns.map((turn) => [turn.id, turn]));
    const path: Turn[] = [];
    for (let turn = leaf === null ? undefined : byId.get(leaf); turn;) {
        path.push(turn);
        turn = turn.parent === null ? undefined : byId.get(turn.parent);
    }
    return path.reverse();
}

/** This turn and the others that stand in its place, oldest first. */
export function siblings(c: Conversation, turn: Turn): Turn[] {
    return c.turns.filter((other) => other.parent === turn.parent && other.role === turn.role);
}

/** Where a branch ends that goes on with the newest turn each time. */
export function leafUnder(c: Conversation, id: string): string {
    const newest = new Map(c.turns.map((turn) => [turn.parent, turn.id]));
    let leaf = id;
    for (let next = newest.get(leaf); next !== undefined; next = newest.get(leaf))
        leaf = next;
    return leaf;
}

/** With one turn more, which is shown. */
export function add(c: Conversation, turn: Turn): Conversation {
    return { ...c, turns: [...c.turns, turn], leaf: turn.id, changed: Date.now() };
}

export function update(c: Conversation, id: string, changes: Partial<Turn>): Conversation {
    const turns = c.turns.map((turn) => (turn.id === id ? { ...turn, ...changes } : turn));
    return { ...c, turns };
}

/** Without a turn that nothing follows; its parent is shown. */
export function dropLeaf(c: Conversation, turn: Turn): Conversation {
    return { ...c, turns: c.turns.filter((other) => other.id !== turn.id), leaf: turn.parent };
}

/** The first line of the first question, cut short. */
export function titleOf(c: Conversation): string {
    const first = c.turns[0]?.text.trim().split("\n", 1)[0] ?? "";
    return c.title || (first.length > 60 ? first.slice(0, 59).trimEnd() + "…" : first) || "New conversation";
}
