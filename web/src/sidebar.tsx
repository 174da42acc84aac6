// SPDX-License-Identifier: Apache-2.0
// The list of conversations: open, rename, delete, to a file and back.
import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { announce } from "./announce";
import { Icon, IconButton } from "./buttons";
import { leaving } from "./dialogs";
import { download } from "./download";
import { focusLater } from "./focus";
import * as state from "./state";
import { MAX_FILE, readFile, writeFile } from "./transfer";
import { titleOf } from "./tree";
import type { Conversation } from "./types";

/** On narrow screens the list covers the page while it is used. */
export const sidebarOpen = signal(false);
const toDelete = signal<Conversation | null>(null);

/** Back to the page, which takes no focus until it is drawn again. */
export function closeSidebar(): void {
    sidebarOpen.value = false;
    focusLater("menu");
}

export function newChat(): void {
    state.openId.value = "";
    sidebarOpen.value = false;
    focusLater("message");
}

function Rename({ conversation, onDone }: {
    conversation: Conversation; onDone: () => void;
}): VNode {
    const field = useRef<HTMLInputElement>(null);
    useLayoutEffect(() => field.current?.select(), []);
    const leave = (): void => {
        onDone();
        focusLater(`rename-${conversation.id}`);
    };
    const keep = (): void => {
        const title = field.current?.value.trim() ?? "";
        if (title !== "" && title !== titleOf(conversation))
            void state.replace({ ...conversation, title });
        onDone();
    };
    return <input ref={field} class="rename" aria-label="Name of the conversation" maxLength={200}
        value={titleOf(conversation)} onBlur={keep} onKeyDown={(event) => {
            if (event.key === "Enter") {
                keep();
                leave();
            } else if (event.key === "Escape") {
                event.stopPropagation();
                leave();
            }
        }} />;
}

function Item({ conversation }: { conversation: Conversation }): VNode {
    const [renaming, setRenaming] = useState(false);
    const open = state.openId.value === conversation.id;
    const title = titleOf(conversation);
    const show = (): void => {
        state.openId.value = conversation.id;
        sidebarOpen.value = false;
        focusLater("message");
    };
    if (renaming)
        return <li><Rename conversation={conversation} onDone={() => setRenaming(false)} /></li>;
    return <li class={open ? "current" : ""}>
        <button type="button" class="title" aria-current={open ? "true" : undefined}
            onClick={show}>
            {state.running.value.has(conversation.id) && <span class="busy" title="Answering" />}
            {title}
        </button>
        <IconButton icon="edit" id={`rename-${conversation.id}`} label={`Rename ${title}`}
            onClick={() => setRenaming(true)} />
        <IconButton icon="trash" label={`Delete ${title}`}
            onClick={() => { toDelete.value = conversation; }} />
    </li>;
}

async function importFile(file: File): Promise<void> {
    try {
        if (file.size > MAX_FILE)
            throw new Error(`it is larger than ${MAX_FILE >> 20} MiB`);
        const read = readFile(await file.text());
        for (const conversation of read)
            await state.replace(conversation);
        if (read[0])
            state.openId.value = read[0].id;
        state.notice.value = `${read.length} ${read.length === 1 ? "conversation" : "conversations"}`
            + " imported.";
    } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        state.notice.value = `Nothing was imported from ${file.name.slice(0, 80)}: ${reason}.`;
    }
}

function Transfer(): VNode {
    const field = useRef<HTMLInputElement>(null);
    const none = state.conversations.value.length === 0;
    return <div class="transfer">
        <button type="button" onClick={() => field.current?.click()}>Import</button>
        <button type="button" disabled={none}
            onClick={() => download(writeFile([...state.conversations.value]), "conversations")}>
            Export all</button>
        <input ref={field} type="file" accept=".json,application/json" hidden id="import"
            aria-label="File of conversations" onChange={(event) => {
                const file = event.currentTarget.files?.[0];
                event.currentTarget.value = "";
                if (file)
                    void importFile(file);
            }} />
    </div>;
}

/** Asks before something is lost. */
export function ConfirmDelete(): VNode | null {
    const dialog = useRef<HTMLDialogElement>(null);
    const conversation = toDelete.value;
    useEffect(() => {
        if (conversation)
            dialog.current?.showModal();
    }, [conversation]);
    if (!conversation)
        return null;
    const leave = leaving(dialog, () => { toDelete.value = null; });
    const remove = (): void => {
        void state.removeConversation(conversation.id);
        announce("Deleted.");
        leave.now();
        focusLater(sidebarOpen.peek() ? "new-chat" : "message");
    };
    return <dialog ref={dialog} class="confirm" aria-labelledby="confirm-title" {...leave.events}>
        <h2 id="confirm-title">Delete this conversation?</h2>
        <p>“{titleOf(conversation)}” will be gone from this browser, with all its branches.</p>
        <div class="row">
            <button type="button" autoFocus onClick={leave.now}>Keep it</button>
            <button type="button" class="danger" onClick={remove}>Delete</button>
        </div>
    </dialog>;
}

export function Sidebar({ narrow }: { narrow: boolean }): VNode {
    const open = sidebarOpen.value;
    useEffect(() => {
        if (narrow && open)
            document.getElementById("new-chat")?.focus();
    }, [narrow, open]);
    return <nav id="sidebar" class={open ? "open" : ""} aria-label="Conversations"
        inert={narrow && !open} onKeyDown={(event) => {
            if (event.key === "Escape" && narrow)
                closeSidebar();
        }}>
        <div class="row">
            <button type="button" id="new-chat" class="wide-button" onClick={newChat}>
                <Icon name="plus" /> New chat</button>
            {narrow && <IconButton icon="close" label="Close the list" onClick={closeSidebar} />}
        </div>
        <ul>{state.conversations.value.map((c) => <Item key={c.id} conversation={c} />)}</ul>
        <Transfer />
    </nav>;
}
