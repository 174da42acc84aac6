// SPDX-License-Identifier: Apache-2.0
// Where the keyboard goes when what it was in is gone.

export function focusMessage(): void {
    document.getElementById("message")?.focus();
}

/** Something that is there, or may take focus, only when the page is drawn again. */
export function focusLater(id: string): void {
    requestAnimationFrame(() => document.getElementById(id)?.focus());
}
