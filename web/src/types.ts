// SPDX-License-Identifier: Apache-2.0
// What a conversation is. Turns form a tree: an edited question or a second answer is a sibling.

export type Role = "user" | "assistant";

/** How much thought is asked for; see efforts in api.ts. */
export const thinkModes = ["off", "fast", "short", "on", "long"] as const;
export type Think = (typeof thinkModes)[number];

/** Why an answer ended: null while it comes; "cut" where the page was closed meanwhile. */
export const finishes = ["stop", "length", "stopped", "failed", "edited", "cut"] as const;
export type Finish = (typeof finishes)[number];

export interface Usage {
    prompt: number; // tokens
    cached: number; // of these, from remembered states
    generated: number;
    seconds: number; // from the first piece to the last
}

export interface Turn {
    id: string;
    parent: string | null;
    role: Role;
    text: string;
    thought: string;
    created: number; // milliseconds since 1970
    model: string; // that answered; "" for questions
    finish: Finish | null;
    problem: string; // what went wrong; "" mostly
    usage: Usage | null;
}

/** What a request carries besides messages. A number that is not there is the server's choice. */
export interface Sampling {
    temperature?: number;
    top_p?: number;
    top_k?: number;
    min_p?: number;
    typical_p?: number;
    alpha_presence?: number;
    alpha_frequency?: number;
    alpha_decay?: number;
    seed?: number;
    max_tokens?: number;
    stop?: string[];
}

export interface Choices {
    model: string; // "": the server's first
    system: string;
    think: Think;
    sampling: Sampling;
}

export interface Conversation {
    id: string;
    title: string;
    created: number;
    changed: number;
    choices: Choices;
    turns: Turn[]; // parents before their children
    leaf: string | null; // the end of the branch that is shown
}

export interface Model {
    id: string;
    loaded: boolean;
}
