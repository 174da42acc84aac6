// SPDX-License-Identifier: Apache-2.0
// The requests of lm-evaluation-harness's `local-completions`: prompts of ids, one token more,
// echoed with log-probabilities, from which it sums those of a continuation and sees whether it was
// the greedy one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MODEL, startServer } from './server.js';

let server;
before(async () => (server = await startServer()));
after(() => server.stop());

async function score(prompts, more = {}) {
  const reply = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer EMPTY' },
    body: JSON.stringify({
      model: MODEL, prompt: prompts, temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234,
      echo: true, ...more,
    }),
  });
  assert.equal(reply.status, 200);
  return reply.json();
}

// As the harness reads a choice: the sum from the context on, the token after the end left out.
function read({ logprobs }, contextLength) {
  const own = logprobs.token_logprobs.slice(contextLength, -1);
  const tops = logprobs.top_logprobs.slice(contextLength, -1);
  const greedy = own.every((p, i) => p === Math.max(...Object.values(tops[i])));
  return { sum: own.reduce((a, b) => a + b, 0), greedy };
}

test('prompt + 1 entries, null first, the greedy token exactly the largest', async () => {
  const prompts = [[...Buffer.from('The sky is blue')], [...Buffer.from('aé\u4e2d')], [7]];
  const { choices } = await score(prompts);
  assert.deepEqual(choices.map((choice) => choice.index), [0, 1, 2]);
  choices.forEach(({ logprobs }, k) => {
    const n = prompts[k].length + 1;
    for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'])
      assert.equal(logprobs[list].length, n, list);
    assert.equal(logprobs.token_logprobs[0], null);
    assert.ok(logprobs.token_logprobs.slice(1).every((p) => typeof p === 'number' && p < 0));
    const last = Object.values(logprobs.top_logprobs[n - 1]);
    assert.equal(Math.max(...last), logprobs.token_logprobs[n - 1]); // chosen greedily
  });
});

test('a greedy continuation is seen to be one', async () => {
  const context = [...Buffer.from('Once upon a time')];
  const ids = [...context];
  for (let i = 0; i < 4; i++) {
    const { tokens } = (await score([ids])).choices[0].logprobs;
    const key = tokens.at(-1);
    const hex = [...key.matchAll(/\\x([0-9a-f]{2})/g)].map((m) => parseInt(m[1], 16));
    ids.push(...(key.startsWith('bytes:') ? hex : Buffer.from(key)));
  }
  const greedy = read((await score([ids])).choices[0], context.length);
  assert.ok(greedy.greedy);
  const other = [...ids];
  other[other.length - 1] ^= 1;
  const worse = read((await score([other])).choices[0], context.length);
  assert.ok(!worse.greedy);
  assert.ok(worse.sum < greedy.sum);
});

test('tokens that are no UTF-8 have keys of their own', async () => {
  const { logprobs } = (await score([[0xe4, 0xb8, 0xad, 0xff]], { logprobs: 20 })).choices[0];
  assert.deepEqual(logprobs.tokens.slice(0, 4),
    ['bytes:\\xe4', 'bytes:\\xb8', 'bytes:\\xad', 'bytes:\\xff']);
  for (const top of logprobs.top_logprobs.slice(1))
    assert.ok(Object.keys(top).length >= 20, 'no two share a key');
});

test('a batch has the numbers of each alone', async () => {
  const texts = ['one', 'another prompt', 'x', 'the fourth of them'];
  const prompts = texts.map((text) => [...Buffer.from(text)]);
  const together = (await score(prompts)).choices;
  for (let i = 0; i < prompts.length; i++) {
    const alone = (await score([prompts[i]])).choices[0];
    assert.deepEqual(together[i].logprobs, alone.logprobs);
  }
});
