// SPDX-License-Identifier: Apache-2.0
// What the page shows, and how conversations change. Every change is kept, and told to the page's
// other tabs.
import { computed, signal } from "@preact/signals";
import * as database from "./database";
import { listModels, Problem } from "./api";
import { changeSettings, settings } from "./settings";
import { newConversation } from "./tree";
import type { Choices, Conversation, Model } from "./types";

/** An answer under way. */
export interface Running {
    turn: string;
    controller: AbortController;
    waiting: string; // why it has not begun: "" once it has, or soon will
    pieces: number; // that came: about as many as tokens
    begun: number; // when the first came; 0: none yet
}

export const conversations = signal<readonly Conversation[]>([]); // newest first
export const openId = signal(""); // "": a new one
export const running = signal<ReadonlyMap<string, Running>>(new Map()); // by conversation
export const models = signal<readonly Model[]>([]);
export const modelsProblem = signal("");
export const wantsKey = signal(false);
export const notice = signal("");

export const current = computed(
    () => conversations.value.find((c) => c.id === openId.value) ?? null);
export const choices = computed(() => current.value?.choices ?? settings.value.fresh);

const tabs = "BroadcastChannel" in window ? new BroadcastChannel("rwkv-chat") : null;
const OPEN = "rwkv-chat-open"; // in sessionStorage: what this tab shows
const SAVE_EVERY = 1000; // ms, while an answer comes
const unsaved = new Map<string, number>(); // timers by conversation

export function get(id: string): Conversation | undefined {
    return conversations.peek().find((c) => c.id === id);
}

/** The model a request goes to: the one chosen, if the server still has it. */
export function modelFor(wanted: string): string {
    const known = models.peek().some((model) => model.id === wanted);
    return known ? wanted : models.peek()[0]?.id ?? "";
}

/* --- keeping ----------------------------------------------------------------------------------- */

async function save(id: string): Promise<void> {
    window.clearTimeout(unsaved.get(id));
    unsaved.delete(id);
    const conversation = get(id);
    if (!conversation)
        return;
    try {
        await database.put(conversation);
        tabs?.postMessage(id);
    } catch (error) {
        notice.value = "This conversation could not be kept: the browser says "
            + (error instanceof Error ? error.message : "no more than that");
    }
}

function saveSoon(id: string): void {
    if (!unsaved.has(id))
        unsaved.set(id, window.setTimeout(() => void save(id), SAVE_EVERY));
}

function byChange(a: Conversation, b: Conversation): number {
    return b.changed - a.changed;
}

function show(conversation: Conversation): void {
    const others = conversations.peek().filter((c) => c.id !== conversation.id);
    conversations.value = [conversation, ...others].sort(byChange);
}

export async function replace(conversation: Conversation): Promise<void> {
    show(conversation);
    await save(conversation.id);
}

/** The same for the many small changes of a stream: kept now and then. */
export function replaceSoon(conversation: Conversation): void {
    conversations.value = conversations.peek()
        .map((c) => (c.id === conversation.id ? conversation : c));
    saveSoon(conversation.id);
}

/* --- conversations ----------------------------------------------------------------------------- */

/** The open conversation, begun now if there is none. */
export function ensureOpen(): Conversation {
    const open = current.peek();
    if (open)
        return open;
    const conversation = newConversation(settings.peek().fresh);
    show(conversation);
    openId.value = conversation.id;
    return conversation;
}

/** Change how the open conversation is answered, and new ones from now on. */
export function choose(changes: Partial<Choices>): void {
    const open = current.peek();
    const next = { ...choices.peek(), ...changes };
    changeSettings({ fresh: next });
    if (open)
        void replace({ ...open, choices: next });
}

export async function removeConversation(id: string): Promise<void> {
    running.peek().get(id)?.controller.abort();
    conversations.value = conversations.peek().filter((c) => c.id !== id);
    window.clearTimeout(unsaved.get(id));
    unsaved.delete(id);
    if (openId.peek() === id)
        openId.value = "";
    await database.remove(id);
    tabs?.postMessage(id);
}

/* --- beginning --------------------------------------------------------------------------------- */

/** An answer that was coming when the page was closed will not go on. */
function mend(conversation: Conversation): Conversation {
    const turns = conversation.turns
        .map((turn) => (turn.finish === null ? { ...turn, finish: "cut" as const } : turn));
    return { ...conversation, turns };
}

/** Another tab changed or removed a conversation. */
async function follow(id: string): Promise<void> {
    if (running.peek().has(id))
        return;
    const conversation = await database.loadOne(id);
    if (conversation)
        show(conversation);
    else
        conversations.value = conversations.peek().filter((c) => c.id !== id);
}

export async function refreshModels(): Promise<void> {
    try {
        models.value = await listModels();
        modelsProblem.value = models.value.length > 0 ? "" : "The server has no model.";
        wantsKey.value = false;
    } catch (error) {
        modelsProblem.value = error instanceof Error ? error.message : String(error);
        if (error instanceof Problem && error.status === 401)
            wantsKey.value = true;
        else if (error instanceof Problem && error.passes)
            window.setTimeout(() => void refreshModels(), Math.max(1, error.retryAfter) * 1000);
    }
}

/** What was kept; a browser that keeps nothing for this page is no reason not to show it. */
async function load(): Promise<void> {
    try {
        await database.openDatabase();
        conversations.value = (await database.loadAll()).map(mend).sort(byChange);
        const last = sessionStorage.getItem(OPEN);
        openId.value = last !== null && get(last) ? last : "";
        openId.subscribe((id) => sessionStorage.setItem(OPEN, id));
    } catch {
        notice.value = "This browser keeps nothing for this page: conversations end with it.";
    }
}

export async function start(): Promise<void> {
    void refreshModels();
    await load();
    tabs?.addEventListener("message", (event) => void follow(String(event.data)));
    window.addEventListener("pagehide", () => {
        for (const id of unsaved.keys())
            void save(id);
    });
}
