// SPDX-License-Identifier: Apache-2.0
/** Copy a text. Pages without TLS from other hosts have no clipboard but the old command. */
export async function copy(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        const field = document.createElement("textarea");
        const before = document.activeElement;
        field.value = text;
        field.className = "unseen";
        document.body.append(field);
        field.select();
        const copied = document.execCommand("copy");
        field.remove();
        if (before instanceof HTMLElement)
            before.focus();
        return copied;
    }
}
