// SPDX-License-Identifier: Apache-2.0
// The page: list of conversations, head, messages, composer, and the dialogs above them.
import { effect } from "@preact/signals";
import { render } from "preact";
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { lines } from "./announce";
import { isRunning, stop } from "./answer";
import { IconButton } from "./buttons";
import { Composer } from "./composer";
import { Messages } from "./messages";
import { KeyDialog, Panel, panelOpen } from "./panel";
import { startSettings } from "./settings";
import { closeSidebar, ConfirmDelete, newChat, Sidebar, sidebarOpen } from "./sidebar";
import * as state from "./state";
import { titleOf } from "./tree";

const NOTICE_SHOWN = 10_000; // ms
const narrowScreen = window.matchMedia("(max-width: 50rem)");

function useNarrow(): boolean {
    const [narrow, setNarrow] = useState(narrowScreen.matches);
    useEffect(() => {
        const look = (): void => setNarrow(narrowScreen.matches);
        narrowScreen.addEventListener("change", look);
        return () => narrowScreen.removeEventListener("change", look);
    }, []);
    return narrow;
}

function ModelPicker(): VNode {
    const list = state.models.value;
    const wanted = state.choices.value.model;
    const value = list.some((model) => model.id === wanted) ? wanted : list[0]?.id ?? "";
    return <select id="model" aria-label="Model" value={value} disabled={list.length === 0}
        onChange={(event) => state.choose({ model: event.currentTarget.value })}>
        {list.length === 0 && <option value="">No model</option>}
        {list.map((model) => <option value={model.id}>{model.id}</option>)}
    </select>;
}

function Header({ narrow }: { narrow: boolean }): VNode {
    const title = state.current.value ? titleOf(state.current.value) : "New conversation";
    return <header>
        {narrow && <IconButton icon="menu" id="menu" label="Conversations"
            expanded={sidebarOpen.value} onClick={() => { sidebarOpen.value = true; }} />}
        <h1 title={title}>{title}</h1>
        <ModelPicker />
        {narrow && <IconButton icon="plus" label="New chat" onClick={newChat} />}
        <IconButton icon="settings" label="Settings" onClick={() => { panelOpen.value = true; }} />
    </header>;
}

function Notice(): VNode {
    const text = state.notice.value;
    useEffect(() => {
        const timer = text ? window.setTimeout(() => { state.notice.value = ""; }, NOTICE_SHOWN) : 0;
        return () => window.clearTimeout(timer);
    }, [text]);
    return <div role="status" class="notices">
        {text && <div class="notice"><span>{text}</span>
            <IconButton icon="close" label="Close this notice"
                onClick={() => { state.notice.value = ""; }} /></div>}
    </div>;
}

/** What is read out by screen readers, and seen by nobody. */
function Announcements(): VNode {
    return <div class="unseen" role="log" aria-live="polite" aria-label="Announcements">
        {lines.value.map((line) => <p key={line.number}>{line.text}</p>)}
    </div>;
}

function Page(): VNode {
    const narrow = useNarrow();
    const covered = narrow && sidebarOpen.value;
    const problem = state.modelsProblem.value;
    return <div class="page">
        <a class="skip" href="#message">To the message</a>
        <Sidebar narrow={narrow} />
        {covered && <div class="shade" onClick={closeSidebar} />}
        <main inert={covered}>
            <Header narrow={narrow} />
            {problem && <div class="problem bar" role="alert"><p>{problem}</p>
                <button type="button" onClick={() => void state.refreshModels()}>Try again</button>
            </div>}
            <Messages />
            <Composer />
        </main>
        <Panel />
        <KeyDialog />
        <ConfirmDelete />
        <Notice />
        <Announcements />
    </div>;
}

/** Esc stops the answer, unless something that it closes is open. */
function stopOnEscape(event: KeyboardEvent): void {
    if (event.key === "Escape" && !event.defaultPrevented && isRunning()
        && !document.querySelector("dialog[open]"))
        stop();
}

startSettings();
await state.start();
effect(() => {
    const title = state.current.value ? titleOf(state.current.value) : "";
    document.title = title ? `${title} – rwkv.c` : "rwkv.c";
});
window.addEventListener("keydown", stopOnEscape);
const place = document.getElementById("page");
if (place)
    render(<Page />, place);
