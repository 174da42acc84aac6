// SPDX-License-Identifier: Apache-2.0
// What people do on the chat page, in a real browser, with answers that are known.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setUp } from './browser.js';

const all = setUp();
const REFUSED = /Failed to load resource: the server responded with a status of (401|429|503)/;

const button = (scope, name) => scope.getByRole('button', { name, exact: true });

test('a message is answered as it comes, with what it took', () => all.visit({}, async (page, visit) => {
  await visit.send('Hello');
  const answer = await visit.answered('Answer 1 to “Hello”.');
  assert.match(await answer.locator('.usage').innerText(), /^3 tokens · (.* · )?prompt 5$/);
  await visit.send('More');
  const next = await visit.answered('Answer 2 to “More”.');
  assert.match(await next.locator('.usage').innerText(), /prompt 29 \(28 cached\)$/);
  assert.deepEqual(all.mock.requests[1].messages, [
    { role: 'user', content: 'Hello' }, { role: 'assistant', content: 'Answer 1 to “Hello”.' },
    { role: 'user', content: 'More' }]);
  assert.equal(await page.title(), 'Hello – rwkv.c');
  await visit.shoot('chat');
}));

test('the rate of an answer is shown', () => all.visit({}, async (page, visit) => {
  await visit.send('measured');
  await page.getByText('Measure').last().waitFor();
  await page.waitForTimeout(150); // what comes in less has none
  all.mock.go();
  const answer = await visit.answered('Measured well');
  const [, rate] = /^2 tokens · ([\d.]+) tokens\/s · prompt 8$/.exec(await answer.locator('.usage').innerText());
  assert.ok(rate > 0 && rate < 7, rate);
}));

test('an answer is stopped, and what came of it stays', () => all.visit({}, async (page, visit) => {
  await visit.send('endless');
  await page.getByText('It begins and goes on').waitFor();
  await page.getByText(/^\s*\d+ tokens/).waitFor();
  await visit.shoot('streaming');
  await button(page, 'Stop').click();
  await page.getByText('Stopped.', { exact: true }).first().waitFor();
  assert.equal(await visit.answers().last().locator('.markdown').innerText(), 'It begins and goes on');
  while (all.mock.left === 0) await page.waitForTimeout(10);
  await visit.send('endless');
  await page.getByText('It begins and goes on').nth(1).waitFor();
  await page.keyboard.press('Escape');
  await button(page, 'Send').waitFor();
  while (all.mock.left === 1) await page.waitForTimeout(10);
}));

test('another answer is a version beside the first', () => all.visit({}, async (page, visit) => {
  await visit.send('Hello');
  await visit.answered('Answer 1');
  await button(page, 'Answer again').click();
  const second = await visit.answered('Answer 2');
  assert.deepEqual(all.mock.requests[1], all.mock.requests[0]);
  assert.equal(await second.locator('.branches').innerText().then((text) => text.replace(/\s/g, '')), '2/of2');
  await button(page, 'Version before').click();
  await visit.answered('Answer 1');
  assert.ok(await button(page, 'Version before').isDisabled());
  await visit.send('Go on');
  await visit.answered('Answer 3');
  assert.equal(all.mock.requests[2].messages[1].content, 'Answer 1 to “Hello”.');
}));

test('an edited message begins a branch, and the old one stays', () => all.visit({}, async (page, visit) => {
  await visit.send('One');
  await visit.answered('Answer 1');
  await visit.send('Two');
  await visit.answered('Answer 2');
  await button(page, 'Edit message').first().click();
  const field = page.getByLabel('Change your message');
  await field.fill('Other');
  await page.keyboard.press('Control+Enter');
  await visit.answered('Answer 3 to “Other”.');
  assert.deepEqual(all.mock.requests[2].messages, [{ role: 'user', content: 'Other' }]);
  assert.equal(await visit.answers().count(), 1);
  await visit.shoot('branches');
  await button(page, 'Version before').click();
  await visit.answered('Answer 2 to “Two”.');
  assert.equal(await visit.answers().count(), 2);
  await button(page, 'Version after').click();
  await visit.answered('Answer 3 to “Other”.');
}));

test('an answer is edited without asking again', () => all.visit({}, async (page, visit) => {
  await visit.send('One');
  await visit.answered('Answer 1');
  await button(page, 'Edit answer').click();
  await page.getByLabel('Change the answer').fill('As I say.');
  await button(page, 'Keep').click();
  await visit.answered('As I say.');
  assert.equal(all.mock.requests.length, 1);
  await visit.send('And?');
  await visit.answered('Answer 2');
  assert.equal(all.mock.requests[1].messages[1].content, 'As I say.');
}));

test('conversations are kept when the page is loaded again', () => all.visit({}, async (page, visit) => {
  await visit.send('First talk');
  await visit.answered('Answer 1');
  await button(page, 'Answer again').click();
  await visit.answered('Answer 2');
  await button(page, 'New chat').click();
  await visit.send('Second talk');
  await visit.answered('Answer 3');
  await page.reload();
  await visit.answered('Answer 3');
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await button(list, 'First talk').click();
  await visit.answered('Answer 2');
  await button(page, 'Version before').click();
  await visit.answered('Answer 1');
}));

test('an answer that the page was closed in is kept as far as it came', () => all.visit({}, async (page, visit) => {
  await visit.send('endless');
  await page.getByText('It begins and goes on').waitFor();
  const kept = () => page.evaluate(() => new Promise((resolve) => {
    indexedDB.open('rwkv-chat').onsuccess = (event) => {
      const store = event.target.result.transaction('conversations').objectStore('conversations');
      store.getAll().onsuccess = (all) => resolve(all.target.result[0]?.turns[1]?.text);
    };
  }));
  while (await kept() !== 'It begins and goes on') await page.waitForTimeout(50);
  await page.reload();
  await visit.answered('The page was closed before the answer ended.');
  assert.equal(await visit.answers().locator('.markdown').innerText(), 'It begins and goes on');
}));

test('renaming and deleting', () => all.visit({}, async (page, visit) => {
  await visit.send('Hello');
  await visit.answered('Answer 1');
  await button(page, 'Rename Hello').click();
  await page.getByLabel('Name of the conversation').fill('Greetings');
  await page.keyboard.press('Enter');
  await button(page, 'Greetings').waitFor();
  await page.reload();
  await button(page, 'Delete Greetings').click();
  await button(page, 'Keep it').click();
  await button(page, 'Delete Greetings').click();
  await visit.shoot('delete');
  await button(page.getByRole('dialog'), 'Delete').click();
  await page.getByText('What would you like to talk about?').waitFor();
  await page.reload();
  await page.getByText('What would you like to talk about?').waitFor();
  assert.equal(await page.getByRole('navigation').getByRole('listitem').count(), 0);
}));

/** The text of the file that a button gives. */
async function exported(page, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, name).click()]);
  assert.match(download.suggestedFilename(), /^rwkv-[\p{L}\p{N}-]+-\d{4}-\d\d-\d\d\.json$/u);
  return readFile(await download.path(), 'utf8');
}

async function importText(page, text, name = 'import.json') {
  const file = { name, mimeType: 'application/json', buffer: Buffer.from(text) };
  await page.locator('#import').setInputFiles(file);
}

test('conversations go to a file and come back', async () => {
  let text;
  await all.visit({}, async (page, visit) => {
    await visit.send('Hello');
    await visit.answered('Answer 1');
    await button(page, 'Answer again').click();
    await visit.answered('Answer 2');
    await button(page, 'New chat').click();
    await visit.send('think');
    await visit.answered('Decided.');
    text = await exported(page, 'Export all');
    await button(page, 'Settings').click();
    const one = JSON.parse(await exported(page, 'Export this conversation'));
    assert.deepEqual(one.conversations, [JSON.parse(text).conversations[0]]);
  });
  await all.visit({}, async (page, visit) => {
    await importText(page, text);
    await page.getByText('2 conversations imported.').waitFor();
    await visit.answered('Decided.');
    const list = page.getByRole('navigation', { name: 'Conversations' });
    await button(list, 'Hello').click();
    await visit.answered('Answer 2');
    await button(page, 'Version before').click();
    await visit.answered('Answer 1');
    await importText(page, text); // beside the others, never over them
    await page.getByText('2 conversations imported.').first().waitFor();
    await page.waitForFunction(() => document.querySelectorAll('nav li').length === 4);
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('nav li').length === 4);
  });
});

test('files that are no conversations change nothing', () => all.visit({}, async (page) => {
  const turn = { id: 'a', parent: null, role: 'user', text: 'x' };
  const file = (turns) => JSON.stringify({ format: 'rwkv-chat', version: 1, conversations: [{ turns }] });
  for (const text of ['', 'null', '{}', '[]', '{"format":"rwkv-chat","version":2,"conversations":[]}',
    file([]), file('x'), file([null]), file([{ ...turn, role: 'system' }]), file([turn, turn]),
    file([{ ...turn, parent: 'a' }]), file([{ ...turn, text: 7 }]), '['.repeat(100_000)]) {
    await importText(page, text, 'bad.json');
    await page.getByText('Nothing was imported from bad.json').waitFor();
    await button(page, 'Close this notice').click();
  }
  assert.equal(await page.getByRole('navigation').getByRole('listitem').count(), 0);
}));

test('thoughts are folded away', () => all.visit({}, async (page, visit) => {
  await page.getByLabel('Thinking').selectOption('long');
  await visit.send('think');
  const answer = await visit.answered('Decided.');
  assert.equal(all.mock.requests[0].reasoning_effort, 'high');
  assert.ok(!await answer.getByText('First I weigh it.').isVisible());
  await answer.getByText('Thought', { exact: true }).click();
  await answer.getByText('First I weigh it.').waitFor();
  await visit.shoot('thought');
  await visit.send('And?');
  await visit.answered('Answer');
  assert.ok(!JSON.stringify(all.mock.requests[1].messages).includes('weigh'));
}));

test('Markdown and code, and copying them', () => all.visit(
  { context: { permissions: ['clipboard-read', 'clipboard-write'] } }, async (page, visit) => {
    await visit.send('code');
    const answer = await visit.answered('A quotation & an entity: 3 < 4.');
    assert.equal(await answer.locator('strong').innerText(), 'bold');
    assert.equal(await answer.locator('ol li ul li').innerText(), 'inside');
    assert.equal(await answer.locator('pre .hljs-comment').innerText(), '/* the sum */');
    assert.equal(await answer.locator('td').nth(1).innerText(), '1');
    const link = answer.getByRole('link', { name: 'link' });
    assert.equal(await link.getAttribute('href'), 'https://example.org/a?b=c');
    assert.match(await link.getAttribute('rel'), /noopener/);
    assert.equal(await link.getAttribute('target'), '_blank');
    await button(page, 'Copy code').click();
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    assert.equal(await clipboard(), '/* the sum */\nint add(int a, int b) { return a + b; }');
    await button(page, 'Copy answer').click();
    assert.match(await clipboard(), /^## Adding\n/);
    await visit.shoot('code');
  }));

test('hostile answers are shown and do nothing', () => all.visit({}, async (page, visit) => {
  await visit.send('hostile <img src=x onerror="window.hacked = 18">');
  const answer = await visit.answered('The end of it.');
  await answer.getByText('Thought', { exact: true }).click();
  await button(page, 'Rename hostile <img src=x onerror="window.hacked = 18">').waitFor();
  await page.reload();
  await visit.answered('The end of it.');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  const found = await page.evaluate(() => {
    const inside = (selector) => document.querySelectorAll(`.message ${selector}`).length;
    return ['img', 'script', 'iframe', 'style', 'form', 'base', 'meta', 'link', 'object', 'embed', 'b']
      .filter(inside);
  });
  assert.deepEqual(found, []);
  const links = await page.locator('.message a').evaluateAll((list) => list.map((a) => a.href));
  assert.deepEqual([...new Set(links)], ['https://evil.example/pixel.png?secret', 'https://evil.example/']);
  await visit.shoot('hostile');
}));

test('hostile files are shown and do nothing', () => all.visit({}, async (page, visit) => {
  const evil = '<img src=x onerror="window.hacked=1">[x](javascript:window.hacked=2)';
  const turns = [
    { id: 'a', parent: null, role: 'user', text: evil, model: evil, problem: '' },
    { id: 'b', parent: 'a', role: 'assistant', text: evil, thought: evil, finish: evil, problem: evil,
      usage: { prompt: evil, cached: -1, generated: 1e308, seconds: null }, created: evil,
      __proto__: { hacked: 3 }, constructor: evil, onclick: evil }];
  const file = `{"format":"rwkv-chat","version":1,"__proto__":{"hacked":4},"conversations":[{"title":
    ${JSON.stringify(evil)},"leaf":"nowhere","__proto__":{"hacked":5},"choices":{"model":7,"think":"x",
    "system":["x"],"sampling":{"temperature":"9","top_p":99,"n":1000,"stop":[1,"ok"]}},
    "turns":${JSON.stringify(turns)}}]}`;
  await importText(page, file);
  await page.getByText('1 conversation imported.').waitFor();
  await visit.shoot('hostile-file');
  assert.equal(await page.evaluate(() => window.hacked ?? Object.prototype.hacked ?? {}.hacked), undefined);
  assert.equal(await page.locator('.message img, nav img').count(), 0);
  await visit.send('Go on');
  await visit.answered('Answer 1');
  const { messages, ...rest } = all.mock.requests[0];
  assert.deepEqual(rest, { model: 'first', reasoning_effort: 'none', stop: ['ok'], stream: true,
    stream_options: { include_usage: true } });
  assert.equal(messages.length, 3);
}));

test('settings go with requests, and stay', () => all.visit({}, async (page, visit) => {
  await page.getByLabel('Model').selectOption('second');
  await button(page, 'Settings').click();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await dialog.getByLabel('System prompt').fill('Be brief.');
  await dialog.getByLabel('Temperature').fill('0.5');
  await dialog.getByLabel('Top K').fill('40');
  await dialog.getByLabel('Seed').fill('7');
  await dialog.getByLabel('Min P').fill('3');
  await dialog.getByLabel('Stop sequences').fill('END\n\nFIN');
  await dialog.getByLabel('Top P').focus();
  assert.equal(await dialog.getByLabel('Min P').getAttribute('aria-invalid'), 'true');
  await visit.shoot('settings');
  await page.keyboard.press('Escape');
  await visit.send('Hello');
  await visit.answered('Answer 1');
  await page.reload();
  await button(page, 'New chat').click();
  await visit.send('Again');
  await visit.answered('Answer 2');
  for (const [i, text] of ['Hello', 'Again'].entries())
    assert.deepEqual(all.mock.requests[i], {
      model: 'second', temperature: 0.5, top_k: 40, seed: 7, stop: ['END', 'FIN'],
      messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: text }],
      reasoning_effort: 'none', stream: true, stream_options: { include_usage: true } });
}));

test('a key is asked for, sent, and kept', () => all.visit({}, async (page, visit) => {
  visit.expect(REFUSED);
  all.mock.key = 'correct horse';
  await page.reload();
  const dialog = page.getByRole('dialog', { name: 'This server wants an API key' });
  await dialog.getByLabel('API key').fill('wrong');
  await visit.shoot('key');
  await button(dialog, 'Use it').click();
  await dialog.getByText('not one of the server').waitFor();
  await dialog.getByLabel('API key').fill('correct horse');
  await button(dialog, 'Use it').click();
  await dialog.waitFor({ state: 'detached' });
  await visit.send('Hello');
  await visit.answered('Answer 1');
  all.mock.key = 'battery staple'; // it changed: the message is sent when the new one is there
  await visit.send('More');
  await dialog.getByLabel('API key').fill('battery staple');
  await button(dialog, 'Use it').click();
  await visit.answered('Answer 2 to “More”.');
  await page.reload();
  await visit.answered('Answer 2 to “More”.');
  assert.equal(await dialog.count(), 0);
}));

for (const [kind, words] of [['busy', 'The server has too much to do'], ['loading', 'The server is not ready']])
  test(`a server that is ${kind} is asked again`, () => all.visit({}, async (page, visit) => {
    visit.expect(REFUSED);
    await visit.send(kind);
    await page.getByText(words).first().waitFor();
    await visit.shoot(kind);
    await visit.answered(`Answer 1 to “${kind}”.`);
    assert.equal(all.mock.requests.length, 3);
    all.mock.refusals[kind] = 1000;
    await button(page, 'Answer again').click();
    await page.getByText(words).first().waitFor();
    await button(page, 'Stop').click();
    await page.getByText('Stopped.', { exact: true }).first().waitFor();
  }));

test('what goes wrong is said, and what came stays', () => all.visit({}, async (page, visit) => {
  visit.expect(/ERR_|Failed to load/);
  await visit.send('error');
  await visit.answered('The answer broke off (the model broke down).');
  assert.equal(await visit.answers().last().locator('.markdown').innerText(), 'Half an');
  await visit.send('broken');
  await visit.answers().last().locator('.markdown', { hasText: 'Half an' }).waitFor();
  all.mock.breakOff();
  await visit.answered('The connection to the server broke off.');
  assert.equal(await visit.answers().last().locator('.markdown').innerText(), 'Half an');
  await visit.shoot('problem');
  await visit.send('length');
  await visit.answered('The limit of tokens was reached.');
  await visit.send('empty');
  await visit.answered('The model said nothing.');
  await visit.context.setOffline(true);
  await visit.send('Hello');
  await visit.answered('The server cannot be reached.');
  await visit.context.setOffline(false);
  await button(page, 'Try again').last().click();
  await visit.answered(/^Answer \d to “Hello”\.$/);
  assert.equal(await visit.answers().last().locator('.branches').count(), 0);
}));

test('two tabs show the same conversations', () => all.visit({}, async (page, visit) => {
  const other = await visit.context.newPage();
  await other.goto(visit.origin);
  await visit.send('Hello');
  await visit.answered('Answer 1');
  await button(other, 'Hello').click();
  await other.getByText('Answer 1').first().waitFor();
  await button(page, 'Delete Hello').click();
  await button(page.getByRole('dialog'), 'Delete').click();
  await button(other, 'Hello').waitFor({ state: 'detached' });
}));

test('a browser that keeps nothing shows the page all the same', () => all.visit({}, async (page, visit) => {
  await page.addInitScript(() => {
    const refuse = () => { throw new DOMException('denied', 'SecurityError'); };
    for (const name of ['indexedDB', 'localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get: refuse });
  });
  await page.reload();
  await page.getByText('This browser keeps nothing for this page').waitFor();
  await visit.send('Hello');
  await visit.answered('Answer 1');
  await button(page, 'New chat').click();
  await visit.send('More');
  await visit.answered('Answer 2');
  await button(page, 'Delete Hello').click();
  await button(page.getByRole('dialog'), 'Delete').click();
  await button(page, 'Hello').waitFor({ state: 'detached' });
}));

test('without clipboard of its own, as without TLS, the page copies all the same', () => all.visit(
  {}, async (page, visit) => {
    await page.addInitScript(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      delete Crypto.prototype.randomUUID;
      document.addEventListener('copy', () => { window.copied = window.getSelection().toString()
        || document.activeElement.value; });
    });
    await page.reload();
    await visit.send('Hello');
    await visit.answered('Answer 1');
    await button(page, 'Copy answer').click();
    await page.waitForFunction(() => window.copied === 'Answer 1 to “Hello”.');
  }));
