// SPDX-License-Identifier: Apache-2.0
// Character references in text, as models now and then write them. Only text comes of it.
const named: ReadonlyMap<string, string> = new Map([
    ["amp", "&"], ["lt", "<"], ["gt", ">"], ["quot", "\""], ["apos", "'"], ["nbsp", "\u00a0"],
    ["hellip", "…"], ["ndash", "–"], ["mdash", "—"], ["lsquo", "‘"], ["rsquo", "’"],
    ["ldquo", "“"], ["rdquo", "”"], ["laquo", "«"], ["raquo", "»"], ["bull", "•"],
    ["middot", "·"], ["times", "×"], ["divide", "÷"], ["plusmn", "±"], ["deg", "°"],
    ["le", "≤"], ["ge", "≥"], ["ne", "≠"], ["rarr", "→"], ["larr", "←"], ["copy", "©"],
    ["reg", "®"], ["trade", "™"], ["euro", "€"], ["pound", "£"], ["sect", "§"],
]);

function character(code: number, otherwise: string): string {
    const isScalar = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return isScalar ? String.fromCodePoint(code) : otherwise;
}

export function decodeEntities(text: string): string {
    return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([A-Za-z]{2,8}));/g,
        (all: string, decimal?: string, hex?: string, name?: string) => {
            if (name !== undefined)
                return named.get(name) ?? all;
            return character(parseInt(decimal ?? hex ?? "", hex === undefined ? 10 : 16), all);
        });
}
