// SPDX-License-Identifier: Apache-2.0
// What OpenAI's own client makes of errors, and when it tries again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { ENDLESS, MODEL, startServer } from './server.js';

const KEY = 'sk-of-the-test';
let folder, server;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rwkv-clients-'));
  writeFileSync(path.join(folder, 'keys'), `test ${KEY}\n`);
  server = await startServer(['--api-key-file', path.join(folder, 'keys'), '--parallel', '1',
    '--max-queue', '1']);
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

// A client, and the statuses of all replies it got.
function newClient(options = {}) {
  const statuses = [];
  const client = new OpenAI({
    baseURL: `${server.url}/v1`, apiKey: KEY, maxRetries: 0,
    fetch: async (url, init) => {
      const reply = await fetch(url, init);
      statuses.push(reply.status);
      return reply;
    },
    ...options,
  });
  return { client, statuses };
}

const messages = [{ role: 'user', content: 'Hello' }];
const basic = { model: MODEL, messages, max_tokens: 8 };

test('a wrong key: AuthenticationError', async () => {
  const { client } = newClient({ apiKey: 'wrong' });
  for (const stream of [false, true]) {
    await assert.rejects(client.chat.completions.create({ ...basic, stream }), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.status, 401);
      assert.equal(error.code, 'invalid_api_key');
      return true;
    });
  }
});

test('no such model: NotFoundError', async () => {
  const { client } = newClient();
  const asks = [
    () => client.chat.completions.create({ ...basic, model: 'none' }),
    () => client.models.retrieve('none'),
    () => client.embeddings.create({ model: 'none', input: 'a' }),
  ];
  for (const ask of asks) {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, 'model_not_found');
      return true;
    });
  }
});

test('what a request may not say: BadRequestError, with the name of the field', async () => {
  const { client, statuses } = newClient({ maxRetries: 2 });
  const wrong = {
    temperature: 'hot', top_p: 2, max_tokens: -1, n: 0, stop: 5, seed: 'x', stream: 'yes',
    messages: [], logit_bias: { a: 1 }, top_logprobs: 21, response_format: { type: 'xml' },
    tools: [{ type: 'function', function: {} }], reasoning_effort: 'enormous',
  };
  for (const [name, value] of Object.entries(wrong)) {
    const ask = client.post('/chat/completions', { body: { ...basic, [name]: value } });
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${name}: ${error}`);
      assert.equal(error.type, 'invalid_request_error');
      assert.ok(error.param?.startsWith(name), `${name}: ${error.param}`);
      assert.ok(error.code === null || typeof error.code === 'string');
      return true;
    });
  }
  assert.equal(statuses.length, Object.keys(wrong).length, 'a bad request is not tried again');
});

test('a full queue: RateLimitError, and tried again after what retry-after says', async () => {
  const { client } = newClient();
  const endless = { ...basic, max_tokens: 1 << 20, logit_bias: ENDLESS, stream: true };
  const busy = [await client.chat.completions.create(endless), new AbortController()];
  const waits = client.chat.completions.create(endless, { signal: busy[1].signal });
  waits.catch(() => {});
  const auth = { authorization: `Bearer ${KEY}` };
  while ((await server.metric('sequences_waiting', auth)) === 0);

  await assert.rejects(client.chat.completions.create(basic), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.headers.get('retry-after'), '1');
    assert.equal(error.type, 'rate_limit_error');
    return true;
  });

  const patient = newClient({ maxRetries: 5 });
  const start = performance.now();
  const answer = patient.client.chat.completions.create(basic);
  while (patient.statuses.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  busy[0].controller.abort();
  busy[1].abort();
  assert.ok((await answer).choices[0].finish_reason);
  assert.equal(patient.statuses[0], 429);
  assert.equal(patient.statuses.at(-1), 200);
  assert.ok(performance.now() - start >= 1000, 'it waited as it was told');
});
