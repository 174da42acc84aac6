// SPDX-License-Identifier: Apache-2.0
// What LangChain asks for through its package for OpenAI.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';
import { ENDLESS, MODEL, startServer } from './server.js';

let server, common;
before(async () => {
  server = await startServer();
  const configuration = { baseURL: `${server.url}/v1` };
  common = { model: MODEL, apiKey: 'none', maxRetries: 0, configuration };
});
after(() => server.stop());

const newChat = (more) =>
  new ChatOpenAI(
    { ...common, maxTokens: 24, modelKwargs: { seed: 7, logit_bias: ENDLESS }, ...more });
const history = [new SystemMessage('Be brief'), new HumanMessage('Hello')];

test('invoke, stream and batch', async () => {
  const chat = newChat();
  const whole = await chat.invoke(history);
  assert.ok(whole instanceof AIMessage);
  assert.equal(whole.usage_metadata.output_tokens, 24);
  assert.equal(whole.response_metadata.finish_reason, 'length');
  let joined;
  for await (const chunk of await chat.stream(history)) joined = joined?.concat(chunk) ?? chunk;
  assert.equal(joined.content, whole.content);
  assert.equal(joined.usage_metadata.output_tokens, 24);
  const batch = await chat.batch([history, history]);
  assert.deepEqual(batch.map((message) => message.content), [whole.content, whole.content]);
});

test('withStructuredOutput', async () => {
  const Colour = z.object({ colour: z.enum(['red', 'blue']) });
  for (const method of ['jsonSchema', 'functionCalling']) {
    const chat = newChat({ maxTokens: 400 });
    const model = chat.withStructuredOutput(Colour, { method, name: 'pick' });
    assert.ok(['red', 'blue'].includes((await model.invoke('Which?')).colour), method);
  }
});

test('tools: a call, and its result in a second turn', async () => {
  const weather = tool(async () => 'blue', {
    name: 'weather', description: 'weather', schema: z.object({ town: z.enum(['Oslo', 'Lima']) }),
  });
  const chat = newChat({ maxTokens: 400 });
  const bound = chat.bindTools([weather], { tool_choice: 'weather', parallel_tool_calls: false });
  const reply = await bound.invoke('How is it?');
  assert.equal(reply.tool_calls.length, 1);
  assert.equal(reply.tool_calls[0].name, 'weather');
  const result = await weather.invoke(reply.tool_calls[0]);
  assert.ok(result instanceof ToolMessage);
  const free = newChat().bindTools([weather]);
  const next = await free.invoke([new HumanMessage('How is it?'), reply, result]);
  assert.ok(next.usage_metadata.input_tokens > reply.usage_metadata.input_tokens);
});

test('completions', async () => {
  const text = await new OpenAI({ ...common, maxTokens: 8, temperature: 0 }).invoke('Once upon');
  assert.equal(typeof text, 'string');
});

test('embeddings', async () => {
  const embeddings = new OpenAIEmbeddings(common);
  const [one, two] = await embeddings.embedDocuments(['one', 'two']);
  assert.equal(one.length, 128);
  assert.deepEqual(await embeddings.embedQuery('one'), one);
  assert.notDeepEqual(one, two);
});

test('an error', async () => {
  await assert.rejects(newChat({ model: 'none' }).invoke('Hello'), { status: 404 });
});
