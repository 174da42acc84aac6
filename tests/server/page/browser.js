// SPDX-License-Identifier: Apache-2.0
// What the tests of the page share: the program, the mock in front of it, a browser, and visits that
// fail if anything went wrong unseen.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { startMock } from './mock.js';

const { RWKV_PROGRAM, RWKV_CHROMIUM, RWKV_SCREENSHOTS } = process.env;
const PATIENCE = 30_000; // ms for anything that has to happen

/** `rwkv serve` with these options: {url, stop}. */
export async function startProgram(...options) {
  const child = spawn(RWKV_PROGRAM, ['serve', '--port', '0', '--threads', '1', '--log', 'off', ...options],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  const url = await new Promise((resolve, reject) => {
    let said = '';
    child.on('exit', (code) => reject(new Error(`rwkv serve ended with ${code}: ${said}`)));
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      const match = /listening on (http:\/\/\S+)/.exec(said);
      if (match) resolve(match[1]);
    });
  });
  const stop = () => new Promise((resolve) => {
    child.removeAllListeners('exit').on('exit', resolve);
    child.kill('SIGTERM');
  });
  return { url, stop };
}

/** A page in a browser that knows nothing yet, with what was wrong on the way. */
export class Visit {
  constructor(context, origin) {
    this.context = context;
    this.origin = origin;
    this.wrong = [];
    this.expected = [];
  }

  async open(address = this.origin) {
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(PATIENCE);
    this.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.wrong.push(message.text());
    });
    this.page.on('pageerror', (error) => this.wrong.push(String(error)));
    this.page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(this.origin) && !url.startsWith('data:') && !url.startsWith('blob:'))
        this.wrong.push(`a request to ${url}`);
    });
    await this.page.goto(address);
    await this.page.getByLabel('Message', { exact: true }).waitFor();
    return this.page;
  }

  /** Console messages of this kind are what the test is about. */
  expect(pattern) {
    this.expected.push(pattern);
  }

  async send(text) {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  answers() {
    return this.page.locator('.message.assistant');
  }

  /** The last answer, which is whole and says this. */
  async answered(text) {
    const last = this.answers().last();
    await last.locator('.body > :not(.thought)').getByText(text).or(last.locator('.ending', { hasText: text }))
      .first().waitFor();
    await this.page.getByRole('button', { name: 'Send' }).waitFor();
    return last;
  }

  async shoot(name) {
    if (!RWKV_SCREENSHOTS) return;
    mkdirSync(RWKV_SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(RWKV_SCREENSHOTS, `${name}.png`) });
  }

  async close() {
    await this.context.close();
    const wrong = this.wrong.filter((text) => !this.expected.some((pattern) => pattern.test(text)));
    assert.deepEqual(wrong, [], 'errors in the console, or requests to elsewhere');
  }
}

/** The browser, the program and the mock of a file of tests. */
export function setUp() {
  const all = {};
  before(async () => {
    all.program = await startProgram();
    all.mock = await startMock(all.program.url);
    all.browser = await chromium.launch({
      executablePath: RWKV_CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    });
  });
  after(async () => {
    await all.browser?.close();
    all.mock?.close();
    await all.program?.stop();
  });
  /** A fresh visit, closed and looked at when `body` is done. */
  all.visit = async (options, body) => {
    Object.assign(all.mock, { key: null, answers: 0, requests: [], left: 0 });
    all.mock.refusals = { busy: 2, loading: 2 };
    const origin = options.origin ?? all.mock.url;
    const visit = new Visit(await all.browser.newContext({ locale: 'en-GB', ...options.context }), origin);
    try {
      await body(await visit.open(), visit);
    } catch (error) {
      await visit.shoot('failed').catch(() => undefined);
      await visit.context.close();
      throw error;
    }
    await visit.close();
  };
  return all;
}
