// SPDX-License-Identifier: Apache-2.0
// What Ollama's own client asks for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Ollama } from 'ollama';
import { MODEL, startServer } from './server.js';

let server, client;
before(async () => {
  server = await startServer();
  client = new Ollama({ host: server.url });
});
after(() => server.stop());

const messages = [{ role: 'user', content: 'Hello' }];
const options = { seed: 7, num_predict: 24, temperature: 1 };
const chat = (more) => client.chat({ model: MODEL, messages, options, ...more });
const generate = (more) => client.generate({ model: MODEL, prompt: 'Hello', options, ...more });

function checkEnd(last) {
  assert.equal(last.done, true);
  assert.equal(last.model, MODEL);
  assert.ok(['stop', 'length'].includes(last.done_reason));
  assert.ok(last.eval_count > 0 && last.eval_count <= 24 && last.prompt_eval_count > 0);
  for (const name of ['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration'])
    assert.ok(Number.isInteger(last[name]) && last[name] >= 0, name);
  assert.ok(last.total_duration >= last.eval_duration);
  assert.ok(last.created_at instanceof Date || Date.parse(last.created_at) > 0);
}

async function collect(stream) {
  const lines = [];
  for await (const line of stream) lines.push(line);
  assert.ok(lines.slice(0, -1).every((line) => line.done === false));
  checkEnd(lines.at(-1));
  return lines;
}

test('chat, whole and as a stream', async () => {
  const whole = await chat();
  checkEnd(whole);
  assert.equal(whole.message.role, 'assistant');
  const lines = await collect(await chat({ stream: true }));
  assert.equal(lines.map((line) => line.message.content).join(''), whole.message.content);
  assert.ok(lines.length > 2);
});

test('generate, whole, as a stream, and raw', async () => {
  const whole = await generate();
  checkEnd(whole);
  const lines = await collect(await generate({ stream: true }));
  assert.equal(lines.map((line) => line.response).join(''), whole.response);
  const raw = await generate({ raw: true });
  assert.equal(raw.prompt_eval_count, 5);
  assert.ok(whole.prompt_eval_count > 5);
  assert.ok((await generate({ system: 'Be brief' })).prompt_eval_count > whole.prompt_eval_count);
});

test('stop', async () => {
  const stop = ['a', 'e', 'i', 'o', 'u', ' ', 'n', 's', 't', 'r', 'l', 'd', '.', ','];
  const long = { ...options, num_predict: 4000, stop };
  const { response, done_reason } = await generate({ options: long });
  assert.equal(done_reason, 'stop');
  assert.ok(stop.every((text) => !response.includes(text)));
});

test('format: json, and a schema', async () => {
  const long = { ...options, num_predict: 2000, temperature: 0.2 };
  const any = await chat({ format: 'json', options: long });
  assert.equal(any.message.content.trimStart()[0], '{');
  if (any.done_reason === 'stop') JSON.parse(any.message.content);
  const schema = {
    type: 'object',
    properties: {
      name: { type: 'string', enum: ['Ada', 'Grace'] },
      age: { type: 'integer', minimum: 0, maximum: 150 },
    },
    required: ['name', 'age'],
    additionalProperties: false,
  };
  for (const text of [
    (await chat({ format: schema, options: long })).message.content,
    (await generate({ format: schema, options: long })).response,
  ]) {
    const { name, age } = JSON.parse(text);
    assert.ok(['Ada', 'Grace'].includes(name) && Number.isInteger(age) && age <= 150);
  }
});

test('think: thoughts come apart', async () => {
  const { message } = await chat({ think: true });
  assert.ok(message.thinking.length > 0);
  assert.equal(message.content, '');
  const lines = await collect(await chat({ think: true, stream: true }));
  assert.equal(lines.map((line) => line.message.thinking ?? '').join(''), message.thinking);
  assert.equal((await chat({ think: false })).message.thinking, undefined);
  assert.ok((await generate({ think: true })).thinking.length > 0);
});

test('tools: a call in the history, and its result', async () => {
  const parameters = { type: 'object', properties: { town: { type: 'string' } } };
  const tools = [{ type: 'function', function: { name: 'weather', description: '', parameters } }];
  const call = { function: { name: 'weather', arguments: { town: 'Oslo' } } };
  const history = [...messages, { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', tool_name: 'weather', content: 'blue' }];
  const short = await chat({ tools });
  const long = await chat({ tools, messages: history });
  checkEnd(long);
  assert.ok(long.prompt_eval_count > short.prompt_eval_count + 'weatherOsloblue'.length);
});

test('embed: one text, several, and its older form', async () => {
  const reply = await client.embed({ model: MODEL, input: ['a b', 'c'] });
  const { embeddings } = reply;
  assert.equal(embeddings.length, 2);
  assert.equal(embeddings[0].length, 128);
  assert.ok(Math.abs(Math.hypot(...embeddings[0]) - 1) < 1e-5);
  assert.equal(reply.prompt_eval_count, 4);
  const one = await client.embed({ model: MODEL, input: 'a b', truncate: true });
  assert.deepEqual(one.embeddings, [embeddings[0]]);
  const older = await client.embeddings({ model: MODEL, prompt: 'a b' });
  assert.equal(older.embedding.length, 128);
});

test('list, show, ps, version', async () => {
  const { models } = await client.list();
  assert.deepEqual(models.map((model) => model.name), [MODEL]);
  assert.ok(models[0].size > 0 && Date.parse(models[0].modified_at) > 0);
  const shown = await client.show({ model: MODEL });
  assert.equal(shown.details.family, 'rwkv');
  assert.equal(shown.model_info['rwkv7.embedding_length'], 128);
  assert.ok(shown.capabilities.includes('completion'));
  assert.match((await client.version()).version, /^\d+\.\d+/);
});

test('keep_alive: an empty request opens a model, for no time closes it', async () => {
  const loaded = await client.generate({ model: MODEL, prompt: '', keep_alive: '5m' });
  assert.equal(loaded.done_reason, 'load');
  const { models } = await client.ps();
  assert.deepEqual(models.map((model) => model.name), [MODEL]);
  const left = Date.parse(models[0].expires_at) - Date.now();
  assert.ok(left > 60e3 && left <= 301e3, `${left} ms`);
  const gone = await client.generate({ model: MODEL, prompt: '', keep_alive: 0 });
  assert.equal(gone.done_reason, 'unload');
  while ((await client.ps()).models.length > 0);
  checkEnd(await chat()); // opens it again
});

test('abort: what is left is not generated', async () => {
  const long = { ...options, num_predict: 1 << 20, temperature: 0 };
  const format = { type: 'array', items: { enum: ['a'] }, minItems: 4000 };
  await server.abandons(async () => {
    const stream = await generate({ stream: true, options: long, format });
    await assert.rejects(async () => {
      for await (const line of stream) if (line) stream.abort();
    }, { name: 'AbortError' });
  });
});

test('errors: a text, with its status', async () => {
  await assert.rejects(client.chat({ model: 'none', messages }), (error) => {
    assert.equal(error.name, 'ResponseError');
    assert.equal(error.status_code, 404);
    assert.match(error.error, /none/);
    return true;
  });
  await assert.rejects(generate({ options: { temperature: 'hot' } }), { status_code: 400 });
  await assert.rejects(generate({ format: 'yaml' }), { status_code: 400 });
});
