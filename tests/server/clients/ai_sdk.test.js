// SPDX-License-Identifier: Apache-2.0
// What the AI SDK asks for through its provider for servers that speak OpenAI's API.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { ENDLESS, MODEL, startServer } from './server.js';

let server, model, provider;
before(async () => {
  server = await startServer();
  provider = createOpenAICompatible({
    name: 'rwkv', baseURL: `${server.url}/v1`, includeUsage: true, supportsStructuredOutputs: true,
  });
  model = provider(MODEL);
});
after(() => server.stop());

const basic = (more) => ({
  model, prompt: 'Hello', maxOutputTokens: 24, seed: 7, maxRetries: 0,
  providerOptions: { rwkv: { logit_bias: ENDLESS, ...more } },
});

test('text, whole and as a stream', async () => {
  const whole = await generateText(basic());
  assert.ok(whole.text.length > 0);
  assert.equal(whole.usage.outputTokens, 24);
  assert.equal(whole.finishReason, 'length');
  const stream = streamText(basic());
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.equal((await stream.usage).outputTokens, 24);
  assert.equal(await stream.finishReason, 'length');
});

test('an object of a schema', async () => {
  const schema = jsonSchema({
    type: 'object',
    properties: { colour: { type: 'string', enum: ['red', 'blue'] } },
    required: ['colour'],
    additionalProperties: false,
  });
  const { output } = await generateText(
    { ...basic(), maxOutputTokens: 200, output: Output.object({ schema }) });
  assert.ok(['red', 'blue'].includes(output.colour));
});

test('a tool that must be called, and its result', async () => {
  const inputSchema = jsonSchema({
    type: 'object',
    properties: { town: { type: 'string', enum: ['Oslo', 'Lima'] } },
    required: ['town'],
    additionalProperties: false,
  });
  const weather = tool({ description: 'weather', inputSchema, execute: async () => 'blue' });
  const asked = {
    ...basic({ parallel_tool_calls: false }), maxOutputTokens: 200,
    tools: { weather }, toolChoice: 'required',
  };
  const reply = await generateText(asked);
  assert.equal(reply.finishReason, 'tool-calls');
  assert.ok(['Oslo', 'Lima'].includes(reply.toolCalls[0].input.town));
  assert.equal(reply.toolResults[0].output, 'blue');
  const stream = streamText(asked);
  await stream.consumeStream();
  assert.deepEqual((await stream.toolCalls)[0].input, reply.toolCalls[0].input);

  const history = [{ role: 'user', content: 'Hello' }, ...reply.response.messages];
  const next = await generateText(
    { ...basic(), prompt: undefined, messages: history, tools: { weather } });
  assert.ok(next.usage.inputTokens > reply.usage.inputTokens);
});

test('thoughts', async () => {
  const asked = basic({ reasoningEffort: 'high' });
  const whole = await generateText(asked);
  assert.ok(whole.reasoningText.length > 0);
  assert.equal(whole.text, '');
  const stream = streamText(asked);
  await stream.consumeStream();
  assert.equal(await stream.reasoningText, whole.reasoningText);
});

test('embeddings', async () => {
  const { embeddings, usage } = await embedMany(
    { model: provider.embeddingModel(MODEL), values: ['one', 'two', 'one'] });
  assert.equal(embeddings[0].length, 128);
  assert.deepEqual(embeddings[0], embeddings[2]);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
  assert.equal(usage.tokens, 9);
});

test('abort', async () => {
  await server.abandons(async () => {
    const controller = new AbortController();
    const stream = streamText(
      { ...basic(), maxOutputTokens: 1 << 20, abortSignal: controller.signal, onError: () => {} });
    const reader = stream.textStream.getReader();
    await reader.read();
    controller.abort();
  });
});

test('an error has its message and status', async () => {
  await assert.rejects(generateText({ ...basic(), model: provider('none') }), (error) => {
    assert.equal(error.name, 'AI_APICallError');
    assert.equal(error.statusCode, 404);
    assert.match(error.message, /none/);
    assert.equal(error.isRetryable, false);
    return true;
  });
});
