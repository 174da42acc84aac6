// SPDX-License-Identifier: Apache-2.0
// The panel of settings, and the question for a key.
import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { tryAgain } from "./answer";
import { IconButton } from "./buttons";
import { leaving } from "./dialogs";
import { download } from "./download";
import { focusMessage } from "./focus";
import { changeSettings, settings, themes } from "./settings";
import type { Theme } from "./settings";
import * as state from "./state";
import { isInRange, ranges, readStops, writeFile } from "./transfer";
import type { RangeName } from "./transfer";
import { titleOf } from "./tree";

export const panelOpen = signal(false);

interface NumberField {
    name: RangeName;
    label: string;
    help: string;
}

const numbers: NumberField[] = [
    { name: "temperature", label: "Temperature", help: "0 always takes the likeliest" },
    { name: "top_p", label: "Top P", help: "likeliest tokens up to this share" },
    { name: "top_k", label: "Top K", help: "so many tokens; 0 is no limit" },
    { name: "min_p", label: "Min P", help: "of the likeliest one's probability" },
    { name: "typical_p", label: "Typical P", help: "close to the expected surprise" },
    { name: "alpha_presence", label: "Presence", help: "against saying it again" },
    { name: "alpha_frequency", label: "Frequency", help: "for each time it was said" },
    { name: "alpha_decay", label: "Decay", help: "how slowly the two are forgotten" },
    { name: "seed", label: "Seed", help: "the same seed, the same answer" },
    { name: "max_tokens", label: "Most tokens", help: "of an answer, with its thought" },
];

function SamplingField({ field }: { field: NumberField }): VNode {
    const { sampling } = state.choices.value;
    const [wrong, setWrong] = useState<string | null>(null); // what was written, if it cannot be
    const [least, most] = ranges[field.name];
    const id = `sampling-${field.name}`;
    const change = (text: string): void => {
        const next = { ...state.choices.peek().sampling };
        const number = Number(text);
        const fits = text.trim() === "" || isInRange(field.name, number);
        setWrong(fits ? null : text);
        if (!fits)
            return;
        delete next[field.name];
        if (text.trim() !== "")
            next[field.name] = number;
        state.choose({ sampling: next });
    };
    return <div class="field">
        <label for={id}>{field.label}</label>
        <input id={id} inputMode="decimal" autocomplete="off" placeholder="server's"
            value={wrong ?? sampling[field.name] ?? ""} aria-invalid={wrong !== null}
            aria-describedby={`${id}-help`}
            onChange={(event) => change(event.currentTarget.value)} />
        <small id={`${id}-help`}>{wrong === null ? field.help
            : `wanted a number from ${least} to ${most}`}</small>
    </div>;
}

function Sampling(): VNode {
    const { sampling } = state.choices.value;
    return <fieldset>
        <legend>Sampling</legend>
        <p>What is left empty is the server's choice.</p>
        <div class="fields">
            {numbers.map((field) => <SamplingField key={field.name} field={field} />)}
        </div>
        <label for="stops">Stop sequences, one a line</label>
        <textarea id="stops" rows={2} value={(sampling.stop ?? []).join("\n")}
            onChange={(event) => {
                const stop = readStops(event.currentTarget.value.split("\n"));
                state.choose({ sampling: { ...sampling, stop } });
            }} />
        <button type="button" onClick={() => state.choose({ sampling: {} })}>
            All as the server chooses</button>
    </fieldset>;
}

function Appearance(): VNode {
    return <fieldset>
        <legend>This browser</legend>
        <label for="theme">Colours</label>
        <select id="theme" value={settings.value.theme}
            onChange={(event) => changeSettings({ theme: event.currentTarget.value as Theme })}>
            {themes.map((theme) => <option value={theme}>
                {{ auto: "As the system", light: "Light", dark: "Dark" }[theme]}</option>)}
        </select>
        <label for="key">API key</label>
        <input id="key" type="password" autocomplete="off" spellcheck={false}
            value={settings.value.key} placeholder="none"
            onChange={(event) => {
                changeSettings({ key: event.currentTarget.value.trim() });
                void state.refreshModels();
            }} />
        <small>Kept in this browser, sent to this server only.</small>
    </fieldset>;
}

export function Panel(): VNode | null {
    const dialog = useRef<HTMLDialogElement>(null);
    const open = panelOpen.value;
    const conversation = state.current.value;
    useEffect(() => {
        if (open)
            dialog.current?.showModal();
    }, [open]);
    if (!open)
        return null;
    const leave = leaving(dialog, () => { panelOpen.value = false; });
    return <dialog ref={dialog} class="panel" aria-labelledby="panel-title" {...leave.events}
        onClick={(event) => { if (event.target === dialog.current) leave.now(); }}>
        <div class="panel-body">
            <div class="row">
                <h2 id="panel-title">Settings</h2>
                <IconButton icon="close" label="Close settings" onClick={leave.now} />
            </div>
            <p>Of this conversation, and of new ones from now on.</p>
            <label for="system">System prompt</label>
            <textarea id="system" rows={5} value={state.choices.value.system}
                placeholder="What the model should know and how it should answer"
                onChange={(event) => state.choose({ system: event.currentTarget.value })} />
            <Sampling />
            <Appearance />
            {conversation && <button type="button" onClick={() =>
                download(writeFile([conversation]), titleOf(conversation))}>
                Export this conversation</button>}
            <p><a href="page/licences.txt" target="_blank" rel="noopener">Licences of what this page
                is made of</a></p>
        </div>
    </dialog>;
}

export function KeyDialog(): VNode | null {
    const dialog = useRef<HTMLDialogElement>(null);
    const field = useRef<HTMLInputElement>(null);
    const wanted = state.wantsKey.value;
    useEffect(() => {
        if (wanted && !dialog.current?.open)
            dialog.current?.showModal();
    }, [wanted]);
    if (!wanted)
        return null;
    const use = async (): Promise<void> => {
        changeSettings({ key: field.current?.value.trim() ?? "" });
        await state.refreshModels();
        if (state.wantsKey.peek())
            return; // not this one
        tryAgain();
        focusMessage();
    };
    const leave = leaving(dialog, () => { state.wantsKey.value = false; });
    return <dialog ref={dialog} class="confirm" aria-labelledby="key-title" {...leave.events}>
        <form onSubmit={(event) => { event.preventDefault(); void use(); }}>
            <h2 id="key-title">This server wants an API key</h2>
            {settings.value.key && <p class="problem" role="alert">The key that this browser has is
                not one of the server's.</p>}
            <label for="asked-key">API key</label>
            <input id="asked-key" ref={field} type="password" autocomplete="off"
                spellcheck={false} required autoFocus />
            <small>Kept in this browser, sent to this server only.</small>
            <div class="row">
                <button type="button" onClick={leave.now}>Not now</button>
                <button type="submit" class="primary">Use it</button>
            </div>
        </form>
    </dialog>;
}
