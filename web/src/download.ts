// SPDX-License-Identifier: Apache-2.0
/** Give the user a JSON file, "rwkv-NAME-DATE.json". */
export function download(text: string, name: string): void {
    const link = document.createElement("a");
    const plain = name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `rwkv-${plain || "chat"}-${new Date().toISOString().slice(0, 10)}.json`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
