// SPDX-License-Identifier: Apache-2.0
// Leaving a dialog.
import type { RefObject } from "preact";

/** `now` closes the dialog and calls `gone`, which is to take it from the page; `events` are the
 * dialog's, for when the browser closes it. All at once, as the browser gives the focus back at once,
 * too, but tells of it (`close`) some time later: whoever had opened the dialog anew by then, with
 * the next key, would see it closed again. */
export function leaving(dialog: RefObject<HTMLDialogElement | null>, gone: () => void): {
    now: () => void;
    events: { onCancel: (event: Event) => void; onClose: (event: Event) => void };
} {
    const now = (): void => {
        dialog.current?.close();
        gone();
    };
    return { now, events: {
        onCancel: (event) => {
            if (event.target !== dialog.current)
                return; // of a field that asks for a file
            event.preventDefault();
            now();
        },
        onClose: (event) => {
            if (event.currentTarget === dialog.current) // not of one that is gone
                now();
        }
    } };
}
