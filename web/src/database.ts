// SPDX-License-Identifier: Apache-2.0
// Conversations in the browser's own database. Where there is none (private windows of some
// browsers), everything works but is forgotten with the page.
import type { Conversation } from "./types";

const STORE = "conversations";
let database: IDBDatabase | null = null;

function settled<T>(request: IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("the database failed"));
    });
}

/** Rejects where the browser has no database for this page. */
export async function openDatabase(): Promise<void> {
    const request = indexedDB.open("rwkv-chat", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    database = await settled(request);
}

function store(mode: IDBTransactionMode): IDBObjectStore | null {
    return database?.transaction(STORE, mode).objectStore(STORE) ?? null;
}

export async function loadAll(): Promise<Conversation[]> {
    const from = store("readonly");
    return from ? settled<Conversation[]>(from.getAll()) : [];
}

export async function loadOne(id: string): Promise<Conversation | undefined> {
    const from = store("readonly");
    return from ? settled<Conversation | undefined>(from.get(id)) : undefined;
}

export async function put(conversation: Conversation): Promise<void> {
    const to = store("readwrite");
    if (to)
        await settled(to.put(conversation));
}

export async function remove(id: string): Promise<void> {
    const from = store("readwrite");
    if (from)
        await settled(from.delete(id));
}
