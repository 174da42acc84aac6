// SPDX-License-Identifier: Apache-2.0
// What belongs to the browser rather than to a conversation, kept in localStorage.
import { effect, signal } from "@preact/signals";
import type { Choices } from "./types";
import { readChoices } from "./transfer";

export const themes = ["auto", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

export interface Settings {
    key: string; // sent as Bearer; "": none
    theme: Theme;
    fresh: Choices; // of new conversations
}

const NAME = "rwkv-chat";

/** Read what was kept. Whatever is wrong with it is as if it were not there. */
function load(): Settings {
    let kept: Record<string, unknown> = {};
    try {
        kept = Object(JSON.parse(localStorage.getItem(NAME) ?? "{}")) as Record<string, unknown>;
    } catch { /* no storage, or not ours: begin anew */ }
    const theme = themes.find((name) => name === kept["theme"]) ?? "auto";
    const key = typeof kept["key"] === "string" ? kept["key"] : "";
    return { key, theme, fresh: readChoices(kept["fresh"]) };
}

export const settings = signal<Settings>(load());

export function changeSettings(changes: Partial<Settings>): void {
    settings.value = { ...settings.value, ...changes };
}

/** Keep every change, and show the theme. */
export function startSettings(): void {
    effect(() => {
        document.documentElement.dataset["theme"] = settings.value.theme;
        try {
            localStorage.setItem(NAME, JSON.stringify(settings.value));
        } catch { /* a browser that keeps nothing: the settings last as long as the page */ }
    });
}
