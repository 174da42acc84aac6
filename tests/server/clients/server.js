// SPDX-License-Identifier: Apache-2.0
// A server for the tests of a file: `rwkv serve` with a small random model of bytes, on a port that
// the system chose.
//
//     const server = await startServer(['--parallel', '2']);
//     … server.url, server.metric('sequences_working') …
//     await server.stop();
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const MODEL = 'small';
const FILE = path.join(process.env.RWKV_SOURCE, 'tests/data/rwkv7/small-f32.safetensors');

// Token 0 ends a text: without it one goes on to its limit. Without what is not ASCII, letters and
// tokens are the same.
const others = Array.from({ length: 256 }, (_, i) => i).filter((i) => i < 32 || i > 126);
export const ENDLESS = Object.fromEntries(others.map((i) => [i, -100]));

// The members of a request whose answer is this text, whatever the model thinks of it.
export const says = (text) => ({ grammar: `root ::= ${JSON.stringify(text)}`, max_tokens: 1000 });

// What the pattern's group has of the lines that the program says; fails if it ends before.
function waitForLine(child, pattern) {
  return new Promise((resolve, reject) => {
    let said = '';
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      const match = pattern.exec(said);
      if (match) resolve(match[1]);
    });
  });
}

export async function startServer(options = []) {
  const program = process.env.RWKV_PROGRAM;
  const args = ['serve', '-m', `${MODEL}=${FILE}`, '--vocab', 'bytes', '--port', '0', '--threads',
    '1', '--log', 'off', ...options];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
  const url = (await waitForLine(child, /listening on (http:\/\/\S+)/)).replace(/\/$/, '');

  // The sum of a metric over its labels.
  async function metric(name, headers = {}) {
    const text = await (await fetch(`${url}/metrics`, { headers })).text();
    const lines = text.split('\n').filter((line) => new RegExp(`^rwkv_${name}[ {]`).test(line));
    assert.ok(lines.length > 0 || name.endsWith('_total'), `no metric ${name}`);
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  // Do something that leaves an answer in its middle, wait until nothing is generated any more,
  // and see that the answer never came to its end.
  async function abandons(leave) {
    const ends = await metric('choices_total');
    await leave();
    while ((await metric('sequences_working')) + (await metric('sequences_waiting')) > 0)
      await sleep(20);
    assert.equal(await metric('choices_total'), ends, 'what nobody reads was generated');
  }

  async function stop() {
    child.kill('SIGTERM');
    assert.equal(await ended, 0, 'the server did not end well');
  }

  while ((await fetch(`${url}/health`)).status === 503) await sleep(20);
  return { url, metric, abandons, stop };
}
