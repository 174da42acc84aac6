// SPDX-License-Identifier: Apache-2.0
// What screen readers are told. A stream read out token by token cannot be followed, so it is told
// in sentences.
import { signal } from "@preact/signals";

const KEPT = 20; // lines in the region that is read out
const SHORT = 60; // characters: sentences are joined up to here
const LONG = 400;

export interface Line {
    number: number;
    text: string;
}

export const lines = signal<readonly Line[]>([]);
let count = 0;

export function announce(text: string): void {
    const said = text.replace(/[`*_#|]+/g, " ").replace(/\s+/g, " ").trim();
    if (said)
        lines.value = [...lines.peek().slice(1 - KEPT), { number: count++, text: said }];
}

/** Collects pieces and tells them where sentences end. */
export class Speaker {
    private rest = "";

    hear(piece: string): void {
        this.rest += piece;
        if (this.rest.length < SHORT)
            return;
        const ends = [...this.rest.matchAll(/[.!?:;][)\]"']*\s|\n/g)];
        const last = ends[ends.length - 1];
        const end = last ? last.index + last[0].length : 0;
        if (end > 0 || this.rest.length > LONG) {
            const cut = end > 0 ? end : this.rest.length;
            announce(this.rest.slice(0, cut));
            this.rest = this.rest.slice(cut);
        }
    }

    end(): void {
        announce(this.rest);
        this.rest = "";
    }
}
