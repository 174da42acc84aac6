// SPDX-License-Identifier: Apache-2.0
// What OpenAI's own client asks for when all goes well.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { ENDLESS, MODEL, says, startServer } from './server.js';

let server, client;
before(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

const messages = [{ role: 'user', content: 'Hello' }];
const basic = { model: MODEL, messages, max_tokens: 24, seed: 7, logit_bias: ENDLESS };
const chat = (more) => client.chat.completions.create({ ...basic, ...more });

// All chunks of a stream, and its deltas put together by choice.
async function collect(stream) {
  const chunks = [], texts = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    for (const { index, delta, text } of chunk.choices)
      texts[index] = (texts[index] ?? '') + (delta?.content ?? text ?? '');
  }
  return { chunks, texts };
}

test('a chat, whole', async () => {
  const reply = await chat();
  assert.match(reply.id, /^chatcmpl-/);
  assert.equal(reply.object, 'chat.completion');
  assert.equal(reply.model, MODEL);
  assert.ok(Math.abs(reply.created - Date.now() / 1000) < 600);
  assert.equal(reply.choices.length, 1);
  assert.equal(reply.choices[0].message.role, 'assistant');
  assert.equal(reply.choices[0].finish_reason, 'length');
  assert.equal(reply.usage.completion_tokens, 24);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + 24);
  assert.equal(typeof reply.usage.prompt_tokens_details.cached_tokens, 'number');
});

test('the same seed gives the same text, another one another', async () => {
  const hot = { temperature: 2, top_p: 1 };
  const [a, b, c] = await Promise.all([chat(hot), chat(hot), chat({ ...hot, seed: 8 })]);
  assert.equal(a.choices[0].message.content, b.choices[0].message.content);
  assert.notEqual(a.choices[0].message.content, c.choices[0].message.content);
});

test('a stream: role, pieces, finish_reason, usage', async () => {
  const whole = await chat();
  const { chunks, texts } = await collect(
    await chat({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(texts[0], whole.choices[0].message.content);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.ok(chunks.every((chunk) => chunk.object === 'chat.completion.chunk'));
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.ok(chunks.slice(1).every((chunk) => !chunk.choices[0]?.delta.role));
  const [last, usage] = chunks.slice(-2);
  assert.deepEqual(last.choices[0].delta, {});
  assert.equal(last.choices[0].finish_reason, 'length');
  assert.ok(chunks.slice(0, -2).every((chunk) => chunk.choices[0].finish_reason === null));
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  assert.deepEqual(usage.choices, []);
  assert.equal(usage.usage.completion_tokens, 24);
  assert.equal(usage.usage.prompt_tokens, whole.usage.prompt_tokens);
});

test('no usage is sent that was not asked for', async () => {
  const { chunks } = await collect(await chat({ stream: true }));
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
});

test('no piece of a stream cuts a character', async () => {
  const asked = { grammar: 'root ::= "\u4e2d\u00e9\u{1f600}"+', max_tokens: 90 };
  const { chunks, texts } = await collect(await chat({ ...asked, stream: true }));
  assert.equal(texts[0], '\u4e2d\u00e9\u{1f600}'.repeat(10));
  assert.ok(chunks.length > 20);
  assert.ok(chunks.every((chunk) => !chunk.choices[0].delta.content?.includes('\ufffd')));
});

test("the client's helper puts a stream together", async () => {
  const seen = [];
  const stream = client.chat.completions.stream(basic);
  stream.on('content', (delta) => seen.push(delta));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, (await chat()).choices[0].message.content);
  assert.equal(seen.join(''), final.choices[0].message.content);
});

test('a stop, text or list, ends the answer and is not part of it', async () => {
  const { content } = (await chat()).choices[0].message;
  const stop = content.slice(9, 12); // of more than one token, in the middle
  for (const how of [stop, ['never comes', stop]]) {
    const reply = await chat({ stop: how });
    const { texts, chunks } = await collect(await chat({ stop: how, stream: true }));
    assert.equal(reply.choices[0].finish_reason, 'stop');
    assert.equal(reply.choices[0].message.content, content.slice(0, content.indexOf(stop)));
    assert.equal(texts[0], reply.choices[0].message.content);
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  }
});

test('n choices, each its own, whole and as a stream', async () => {
  const hot = { temperature: 2, top_p: 1, n: 3 };
  const reply = await chat(hot);
  const whole = reply.choices.map((choice) => choice.message.content);
  assert.deepEqual(reply.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.equal(new Set(whole).size, 3);
  assert.equal(reply.usage.completion_tokens, 72);
  const { texts } = await collect(await chat({ ...hot, stream: true }));
  assert.deepEqual(texts, whole);
});

test('log-probabilities: one for each token, the most likely ones in order', async () => {
  const asked = {
    logprobs: true, top_logprobs: 5, temperature: 0, presence_penalty: 0, logit_bias: undefined,
  };
  const reply = await chat(asked);
  const { content } = reply.choices[0].logprobs;
  assert.equal(content.length, reply.usage.completion_tokens);
  const bytes = Buffer.from(content.flatMap((entry) => entry.bytes));
  assert.equal(bytes.toString('utf8').trimStart(), reply.choices[0].message.content);
  for (const { token, logprob, top_logprobs: top } of content) {
    assert.equal(top.length, 5);
    assert.deepEqual(top.map((t) => t.logprob), top.map((t) => t.logprob).sort((a, b) => b - a));
    assert.equal(new Set(top.map((t) => t.token)).size, 5);
    assert.equal(top[0].token, token); // the most likely one was taken
    assert.ok(top[0].logprob === logprob && logprob < 0);
  }
  const { chunks } = await collect(await chat({ ...asked, stream: true }));
  assert.deepEqual(chunks.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []), content);
  assert.equal((await chat()).choices[0].logprobs, null);
});

test('tokens behind a stop have no log-probabilities', async () => {
  const { content } = (await chat()).choices[0].message;
  const stop = content.slice(9, 12);
  const reply = (await chat({ stop, logprobs: true })).choices[0];
  const bytes = Buffer.from(reply.logprobs.content.flatMap((entry) => entry.bytes));
  assert.equal(bytes.toString('utf8').trimStart(), reply.message.content);
});

test('a forbidden token does not come, a forced one does', async () => {
  const reply = await chat({ logit_bias: { 120: 100 }, max_tokens: 5 }); // "x"
  assert.equal(reply.choices[0].message.content, 'xxxxx');
  const without = await chat({ logit_bias: { 120: -100 }, temperature: 0 });
  assert.ok(!without.choices[0].message.content.includes('x'));
});

const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'How the weather is in a town',
    parameters: {
      type: 'object',
      properties: {
        town: { type: 'string', enum: ['Oslo', 'Lima'] },
        days: { type: 'integer', minimum: 1, maximum: 9 },
      },
      required: ['town', 'days'],
      additionalProperties: false,
    },
  },
};
const clock = { type: 'function', function: { name: 'clock', parameters: { type: 'object' } } };

function checkWeather(call) {
  assert.match(call.id, /^call_/);
  assert.equal(call.type, 'function');
  assert.equal(call.function.name, 'weather');
  const { town, days } = JSON.parse(call.function.arguments);
  assert.ok(['Oslo', 'Lima'].includes(town) && days >= 1 && days <= 9);
}

test('a tool that must be called is called as its schema says', async () => {
  const named = { type: 'function', function: { name: 'weather' } };
  for (const [tools, tool_choice] of [[[weather], 'required'], [[clock, weather], named]]) {
    const asked = { tools, tool_choice, max_tokens: 400, parallel_tool_calls: false };
    const choice = (await chat(asked)).choices[0];
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.equal(choice.message.content, null);
    assert.equal(choice.message.tool_calls.length, 1);
    checkWeather(choice.message.tool_calls[0]);
    const final = await client.chat.completions
      .stream({ ...basic, ...asked }).finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, 'tool_calls');
    checkWeather(final.choices[0].message.tool_calls[0]);
    assert.equal(final.choices[0].message.tool_calls[0].function.arguments,
      choice.message.tool_calls[0].function.arguments);
  }
});

test('where tools may be called, text may come', async () => {
  for (const tool_choice of ['auto', 'none', undefined]) {
    const choice = (await chat({ tools: [weather], tool_choice })).choices[0];
    assert.equal(choice.finish_reason, 'length');
    assert.equal(typeof choice.message.content, 'string');
  }
});

test('a tool that may be called is, when the model does so', async () => {
  const call = '{"name":"weather","arguments":{"town":"Oslo","days":2}}';
  const asked = { tools: [weather], ...says(` Let me see.\n\`\`\`json\n${call}\n\`\`\``) };
  const choice = (await chat(asked)).choices[0];
  const final = await client.chat.completions.stream({ ...basic, ...asked }).finalChatCompletion();
  for (const { finish_reason, message } of [choice, final.choices[0]]) {
    assert.equal(finish_reason, 'tool_calls');
    assert.equal(message.content, 'Let me see.');
    assert.equal(message.tool_calls.length, 1);
    assert.deepEqual(message.tool_calls[0].function,
      { name: 'weather', arguments: '{"town":"Oslo","days":2}' }, 'the model\'s own bytes');
  }
  const none = (await chat({ ...asked, tool_choice: 'none' })).choices[0];
  assert.equal(none.finish_reason, 'stop');
  assert.ok(none.message.content.includes(call));
});

test('a second turn with the results of tools', async () => {
  const asked = { tools: [weather], tool_choice: 'required', max_tokens: 400 };
  const { message } = (await chat({ ...asked, parallel_tool_calls: false })).choices[0];
  const { id } = message.tool_calls[0];
  const result = { role: 'tool', tool_call_id: id, content: '{"sky":"blue"}' };
  const reply = await chat({ tools: [weather], messages: [...messages, message, result] });
  const shorter = await chat({ tools: [weather] });
  assert.ok(reply.usage.prompt_tokens > shorter.usage.prompt_tokens + result.content.length);
  assert.equal(reply.choices[0].finish_reason, 'length');
});

test("the client's runner calls a tool and gives its result back", async () => {
  const towns = [];
  const run = async ({ town }) => (towns.push(town), 'blue');
  const runs = { ...weather.function, function: run, parse: JSON.parse };
  const runner = client.chat.completions.runTools({
    ...basic, max_tokens: 400, parallel_tool_calls: false,
    tools: [{ type: 'function', function: runs }],
    tool_choice: { type: 'function', function: { name: 'weather' } },
  });
  await runner.done(); // one that is named is called once
  assert.equal(towns.length, 1);
  assert.equal(runner.messages.at(-1).role, 'tool');
});

test('json_object: an object, if it is not cut', async () => {
  const asked = { response_format: { type: 'json_object' }, max_tokens: 4000, temperature: 0.2 };
  const { choices } = await chat(asked);
  if (choices[0].finish_reason === 'stop')
    assert.equal(typeof JSON.parse(choices[0].message.content), 'object');
  else
    assert.equal(choices[0].finish_reason, 'length');
  assert.equal(choices[0].message.content.trimStart()[0], '{');
});

const Person = z.object({
  name: z.enum(['Ada', 'Grace']),
  born: z.number().int().min(1800).max(1999),
  tags: z.array(z.enum(['a', 'b'])).max(2),
});

test('json_schema: what the schema says, as the client parses it', async () => {
  const asked = { ...basic, max_tokens: 400, response_format: zodResponseFormat(Person, 'person') };
  const reply = await client.chat.completions.parse(asked);
  assert.equal(reply.choices[0].finish_reason, 'stop');
  Person.parse(reply.choices[0].message.parsed);
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, reply.choices[0].message.parsed);
  const cut = await chat({ ...asked, max_tokens: 5 });
  assert.equal(cut.choices[0].finish_reason, 'length');
});

test('embeddings: base64, which is the default, and floats are the same numbers', async () => {
  const input = ['one text', 'another, longer one', 'one text'];
  const packed = await client.embeddings.create({ model: MODEL, input });
  const floats = await client.embeddings.create({ model: MODEL, input, encoding_format: 'float' });
  assert.deepEqual(packed.data.map((d) => d.index), [0, 1, 2]);
  for (let i = 0; i < 3; i++) {
    assert.equal(packed.data[i].embedding.length, 128);
    assert.deepEqual(packed.data[i].embedding, floats.data[i].embedding.map(Math.fround));
    assert.ok(Math.abs(Math.hypot(...packed.data[i].embedding) - 1) < 1e-5);
  }
  assert.deepEqual(packed.data[0].embedding, packed.data[2].embedding);
  assert.notDeepEqual(packed.data[0].embedding, packed.data[1].embedding);
  assert.equal(packed.usage.prompt_tokens, input.join('').length);
  const short = await client.embeddings.create({ model: MODEL, input: 'one text', dimensions: 16 });
  assert.equal(short.data[0].embedding.length, 16);
  assert.ok(Math.abs(Math.hypot(...short.data[0].embedding) - 1) < 1e-5);
});

test('models are listed and found by their name', async () => {
  const list = await client.models.list();
  assert.deepEqual(list.data.map((model) => model.id), [MODEL]);
  const model = await client.models.retrieve(MODEL);
  assert.equal(model.object, 'model');
  assert.equal(model.id, MODEL);
});

test('a stream that is left stops being generated', async () => {
  const endless = { ...basic, max_tokens: 1 << 20, stream: true };
  await server.abandons(async () => {
    let chunks = 0;
    const stream = await client.chat.completions.create(endless);
    for await (const chunk of stream) if ((chunks += chunk.choices.length) > 5) break; // aborts it
  });
  await server.abandons(async () => {
    const controller = new AbortController();
    const whole = client.chat.completions.create(
      { ...endless, stream: false }, { signal: controller.signal });
    while ((await server.metric('sequences_working')) === 0);
    controller.abort();
    await assert.rejects(whole, OpenAI.APIUserAbortError);
  });
  assert.equal((await chat()).usage.completion_tokens, 24);
});

test('completions of the older kind, with echo', async () => {
  const asked = { model: MODEL, prompt: 'Once upon', max_tokens: 6, seed: 7, logit_bias: ENDLESS };
  const plain = await client.completions.create(asked);
  assert.match(plain.id, /^cmpl-/);
  assert.equal(plain.object, 'text_completion');
  assert.equal(plain.choices[0].finish_reason, 'length');
  const echoed = await client.completions.create({ ...asked, echo: true, logprobs: 2 });
  const { text, logprobs } = echoed.choices[0];
  assert.equal(text, 'Once upon' + plain.choices[0].text);
  assert.equal(logprobs.tokens.length, 15);
  assert.equal(logprobs.token_logprobs.length, 15);
  assert.equal(logprobs.token_logprobs[0], null);
  assert.equal(logprobs.top_logprobs[0], null);
  assert.ok(logprobs.token_logprobs.slice(1).every((p) => p < 0));
  assert.deepEqual(logprobs.text_offset.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { texts } = await collect(await client.completions.create({ ...asked, stream: true }));
  assert.equal(texts[0], plain.choices[0].text);
});

test('several prompts of ids and texts, each with its choices', async () => {
  const ids = [...Buffer.from('Once upon')];
  const asked = { model: MODEL, max_tokens: 6, seed: 7, logit_bias: ENDLESS };
  const text = await client.completions.create({ ...asked, prompt: 'Once upon' });
  const both = await client.completions.create({ ...asked, prompt: [ids, [98, 99]], n: 2 });
  assert.deepEqual(both.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  assert.equal(both.choices[0].text, text.choices[0].text);
  assert.equal(both.usage.prompt_tokens, 11);
});

test('thoughts come apart from the answer', async () => {
  const asked = { reasoning_effort: 'high', max_tokens: 30 };
  const { message } = (await chat(asked)).choices[0];
  assert.ok(message.reasoning_content.length > 0); // noise does not end its thoughts
  assert.equal(message.content, '');
  const chunks = [];
  for await (const chunk of await chat({ ...asked, stream: true })) chunks.push(chunk);
  assert.equal(chunks.map((c) => c.choices[0].delta.reasoning_content ?? '').join(''),
    message.reasoning_content);
  const off = (await chat({ ...asked, reasoning_effort: 'none' })).choices[0].message;
  assert.equal(off.reasoning_content, undefined);
  assert.ok(off.content.length > 0);
});

test('a thought that ends is followed by the answer', async () => {
  const asked = { reasoning_effort: 'high', ...says('>It is night.\n</think> Good night.') };
  const { message, finish_reason } = (await chat(asked)).choices[0];
  assert.equal(message.reasoning_content, 'It is night.');
  assert.equal(message.content, 'Good night.');
  assert.equal(finish_reason, 'stop');
  const { texts } = await collect(await chat({ ...asked, stream: true }));
  assert.equal(texts[0], 'Good night.');
});

test('the next turn evaluates only what is new, and answers the same', async () => {
  const first = await chat();
  const { message } = first.choices[0];
  const turn = { messages: [...messages, message, { role: 'user', content: 'And?' }] };
  const again = await chat(turn);
  const cold = await chat({ ...turn, no_cache: true });
  assert.ok(again.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens);
  assert.equal(cold.usage.prompt_tokens_details.cached_tokens, 0);
  assert.equal(again.choices[0].message.content, cold.choices[0].message.content);
});
