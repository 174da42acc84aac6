// SPDX-License-Identifier: Apache-2.0
// The page with the real server: what the mock cannot show, that the two understand each other.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setUp, startProgram } from './browser.js';

const all = setUp();
const button = (page, name) => page.getByRole('button', { name, exact: true });

/** Short answers that are the same each time. */
async function settle(page, tokens) {
  await button(page, 'Settings').click();
  await page.getByLabel('Seed').fill('7');
  await page.getByLabel('Most tokens').fill(String(tokens));
  await button(page, 'Close settings').click();
}

/** Answers of words that only the limit of tokens or a stop ends, whatever the model. */
async function endless(page) {
  await page.route('**/v1/chat/completions', (route) =>
    route.continue({
      postData: {
        ...route.request().postDataJSON(),
        grammar: 'root ::= [a-z ]+',
        logit_bias: { 0: -100 },
      },
    }),
  );
}

const last = (visit) => visit.answers().last();

/** Wait for the answer's end; what it took. */
async function took(page, visit) {
  await button(page, 'Send').waitFor();
  const usage = await last(visit).locator('.actions .usage').innerText();
  const match = /^(\d+) tokens?(?: · [\d.]+ tokens\/s)? · prompt (\d+)(?: \((\d+) cached\))?$/.exec(usage);
  assert.ok(match, usage);
  return { generated: Number(match[1]), prompt: Number(match[2]), cached: Number(match[3] ?? 0) };
}

test('chat, stop, again, edit and branch; later turns come from the cache', async () => {
  await all.visit({ origin: all.program.url }, async (page, visit) => {
    await endless(page);
    await settle(page, 12);
    await visit.send('Hello');
    await page.getByText('The limit of tokens was reached.').waitFor();
    const first = await took(page, visit);
    assert.equal(first.generated, 12);
    const text = await last(visit).locator('.markdown').innerText();
    await button(page, 'Answer again').click();
    await last(visit).getByText('of 2').waitFor();
    const again = await took(page, visit);
    assert.equal(await last(visit).locator('.markdown').innerText(), text); // the same seed
    assert.deepEqual([again.prompt, again.cached], [first.prompt, first.prompt]);
    await visit.send('And then?');
    const second = await took(page, visit);
    assert.ok(second.cached >= first.prompt, JSON.stringify(second));
    await button(page, 'Edit message').last().click();
    await page.getByLabel('Change your message').fill('Or else?');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Or else?').waitFor();
    const branch = await took(page, visit);
    assert.ok(branch.cached >= first.prompt, JSON.stringify(branch));
    await page.reload();
    await page.getByText('Or else?').waitFor();
    assert.equal(await visit.answers().count(), 2);
    await visit.shoot('program');
  });
});

test('a long answer is stopped, and the server stops too', async () => {
  await all.visit({ origin: all.program.url }, async (page, visit) => {
    await endless(page);
    await settle(page, 1 << 20);
    await visit.send('Never end');
    await last(visit).getByText(/\d\d tokens/).waitFor();
    await button(page, 'Stop').click();
    await last(visit).getByText('Stopped.').waitFor();
    for (;;) {
      const health = await (await fetch(`${all.program.url}/health`)).json();
      if (health.working + health.waiting === 0) break;
      await page.waitForTimeout(50);
    }
  });
});

test('a server with keys', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'rwkv-page-'));
  await writeFile(path.join(folder, 'keys'), 'me a-key-of-mine\n');
  const program = await startProgram('--api-key-file', path.join(folder, 'keys'));
  try {
    await all.visit({ origin: program.url }, async (page, visit) => {
      visit.expect(/status of 401/);
      await page.getByRole('dialog').getByLabel('API key').fill('a-key-of-mine');
      await button(page, 'Use it').click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await settle(page, 4);
      await visit.send('Hello');
      await page.getByText('The limit of tokens was reached.').waitFor();
    });
  } finally {
    await program.stop();
    await rm(folder, { recursive: true });
  }
});
