// SPDX-License-Identifier: Apache-2.0
// Server-sent events, as far as this server's streams need them: the data of each event.

const LONGEST = 1 << 24; // characters of a line; no honest event comes near

/** The data of the events in a stream of bytes, as they become whole. */
export async function* events(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    const reader = stream.getReader();
    let rest = "";
    let data: string[] = [];
    try {
        for (;;) {
            const { done, value } = await reader.read();
            rest += done ? decoder.decode() + "\n\n" : decoder.decode(value, { stream: true });
            const lines = rest.split(/\r\n|\n/);
            rest = lines.pop() ?? "";
            if (rest.length > LONGEST)
                throw new Error("an event without an end");
            for (const line of lines) {
                if (line.startsWith("data:")) {
                    data.push(line.slice(line[5] === " " ? 6 : 5));
                } else if (line === "" && data.length > 0) {
                    yield data.join("\n");
                    data = [];
                }
            }
            if (done)
                return;
        }
    } finally {
        reader.cancel().catch(() => undefined); // the stream may have failed already
    }
}
