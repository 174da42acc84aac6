// SPDX-License-Identifier: Apache-2.0
// A server that answers the chat page as told, so that tests know what must be seen. The page itself
// comes from a running `rwkv serve`, headers and all.
//
//     node mock.js http://127.0.0.1:8080        and say: think, code, hostile, endless, busy, loading,
//                                               error, broken, length, empty, measured (which waits for
//                                               go()); or anything else
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CODE = `## Adding

Some **bold**, *slanted* and \`inline\` text, with a [link](https://example.org/a?b=c).

1. First
2. Second
   - inside

\`\`\`c
/* the sum */
int add(int a, int b) { return a + b; }
\`\`\`

| name | value |
|------|------:|
| one  |     1 |

> A quotation &amp; an entity: 3 &lt; 4.
`;

// What would do something if it became HTML, or a link, or were loaded.
export const HOSTILE = `<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>

<svg onload="window.hacked = 3"><iframe srcdoc="<script>parent.hacked = 4</script>"></iframe></svg>

[click](javascript:window.hacked=5) [data](data:text/html,<script>window.hacked=6</script>)
[vb](vbscript:x) [entity](javascript&colon;window.hacked=7) [file](file:///etc/passwd)
[space]( java\tscript:window.hacked=8) <javascript:window.hacked=9>
![pixel](https://evil.example/pixel.png?secret) ![x](x"onerror="window.hacked=10)

\`\`\`html"><img src=x onerror=window.hacked=11>
</code></pre><script>window.hacked = 12</script>
\`\`\`

| <b onmouseover="window.hacked=13">table</b> | <style>* { display: none }</style> |
|---|---|
| <a href="javascript:window.hacked=14">x</a> | <form action="https://evil.example"><button>go</button></form> |

<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/">
<link rel="stylesheet" href="https://evil.example/x.css"><!-- comment --><details open ontoggle="window.hacked=15">

{{constructor.constructor('window.hacked=16')()}} \${window.hacked=17} __proto__ [a]: https://evil.example
The end of it.`;

/** The answer to a message: thought, text, why it ends, and what goes wrong. */
function answerTo(text, number) {
  const word = text.split(/\s/, 1)[0].toLowerCase();
  switch (word) {
    case 'think': return { thought: 'First I weigh it.\n\nThen I decide.', text: 'Decided.' };
    case 'code': return { text: CODE };
    case 'hostile': return { thought: HOSTILE, text: HOSTILE };
    case 'endless': return { text: 'It begins and goes on', hangs: true };
    case 'error': return { text: 'Half an', error: 'the model broke down' };
    case 'broken': return { text: 'Half an', hangs: true };
    case 'length': return { text: 'It was cut', finish: 'length' };
    case 'empty': return { text: '' };
    case 'measured': return { text: 'Measured well', waits: true };
    default: return { text: `Answer ${number} to “${text}”.` };
  }
}

const send = (response, chunk) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
const delta = (fields, finish = null) => ({ choices: [{ index: 0, delta: fields, finish_reason: finish }] });
// Pieces as small as tokens are, cut without regard for words, but never inside a character.
const pieces = (text) => [...text].join('').match(/[\s\S]{1,7}/gu) ?? [];

async function stream(response, answer, messages, wait) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  send(response, delta({ role: 'assistant', content: '' }));
  for (const piece of pieces(answer.thought ?? '')) send(response, delta({ reasoning_content: piece }));
  for (const piece of pieces(answer.text)) {
    send(response, delta({ content: piece }));
    await (answer.waits ? wait : sleep(1));
  }
  if (answer.hangs) return; // until the client leaves, or it is broken off
  if (answer.error) {
    send(response, { error: { message: answer.error, type: 'server_error', param: null, code: null } });
    response.end();
    return;
  }
  const prompt = messages.reduce((sum, message) => sum + message.content.length, 0);
  send(response, delta({}, answer.finish ?? 'stop'));
  send(response, { choices: [], usage: { prompt_tokens: prompt,
    completion_tokens: pieces(answer.text).length + pieces(answer.thought ?? '').length,
    prompt_tokens_details: { cached_tokens: messages.length > 1 ? prompt - 1 : 0 } } });
  response.end('data: [DONE]\n\n');
}

function fail(response, status, message, code) {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Retry-After': '1' });
  response.end(JSON.stringify({ error: { message, type: 'error', param: null, code } }));
}

class Mock {
  constructor(page) {
    this.page = page;
    this.key = null; // that it wants; null: none
    this.models = ['first', 'second'];
    this.requests = []; // bodies of chats
    this.answers = 0;
    this.left = 0; // clients that did not wait for the end
    this.last = null; // the response to the newest chat
    this.wait = new Promise((resolve) => { this.go = resolve; });
    this.refusals = { busy: 2, loading: 2 };
    this.http = http.createServer((request, response) => {
      this.handle(request, response).catch((error) => response.destroy(error));
    });
  }

  async handle(request, response) {
    const body = [];
    for await (const part of request) body.push(part);
    const { pathname } = new URL(request.url, 'http://mock');
    if (!pathname.startsWith('/v1/')) return this.forward(request, response);
    if (this.key !== null && request.headers.authorization !== `Bearer ${this.key}`)
      return fail(response, 401, 'this key is not known', 'invalid_api_key');
    if (pathname === '/v1/models') {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      const data = this.models.map((id) => ({ id, object: 'model', loaded: true }));
      return response.end(JSON.stringify({ object: 'list', data }));
    }
    return this.chat(JSON.parse(Buffer.concat(body).toString()), response);
  }

  async chat(body, response) {
    const text = body.messages.at(-1).content;
    this.requests.push(body);
    if (text === 'busy' && this.refusals.busy-- > 0)
      return fail(response, 429, '9 requests are waiting already', 'queue_full');
    if (text === 'loading' && this.refusals.loading-- > 0)
      return fail(response, 503, 'the model is being loaded', 'loading');
    response.on('close', () => { this.left += !response.writableFinished; });
    this.last = response;
    return stream(response, answerTo(text, ++this.answers), body.messages, this.wait);
  }

  // The last answer ends without the end that chunks have. A browser may lose what it was not shown
  // yet, so this is for when it was.
  breakOff() {
    this.last.socket.end();
  }

  forward(request, response) {
    const { accept = '*/*' } = request.headers;
    const onward = http.get(new URL(request.url, this.page), { headers: { accept } }, (reply) => {
      response.writeHead(reply.statusCode, reply.headers);
      reply.pipe(response);
    });
    onward.on('error', () => fail(response, 502, 'there is no page', null));
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.http.listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.http.address().port}`;
    return this;
  }

  close() {
    this.http.closeAllConnections();
    this.http.close();
  }
}

export const startMock = (page) => new Mock(page).listen();

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock(process.argv[2] ?? 'http://127.0.0.1:8080');
  console.log(`listening on ${mock.url}`);
}
