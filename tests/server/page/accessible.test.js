// SPDX-License-Identifier: Apache-2.0
// The page by axe's rules, in every state that it has, light and dark, on a desktop and on a phone;
// and what axe cannot see: what is read out, and that a keyboard is enough.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import axe from 'axe-core';
import { setUp } from './browser.js';

const all = setUp();
const REFUSED = /Failed to load resource: the server responded with a status of 401/;
const screens = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
};

/** No violation, and nothing wider than the screen. */
async function check(page, state) {
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 200)}`));
  assert.deepEqual(found, [], state);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${state}: ${over} pixels wider than the screen`);
}

for (const [screen, size] of Object.entries(screens))
  for (const colorScheme of ['light', 'dark'])
    test(`no violations: ${screen}, ${colorScheme}`, () => all.visit(
      { context: { ...size, colorScheme, bypassCSP: true } }, async (page, visit) => {
        visit.expect(REFUSED);
        const button = (name, scope = page) => scope.getByRole('button', { name, exact: true });
        const checked = async (state) => {
          await visit.shoot(`${screen}-${colorScheme}-${state}`);
          await page.addScriptTag({ content: axe.source });
          await check(page, state);
        };
        const send = async (text) => {
          await page.getByLabel('Message', { exact: true }).fill(text);
          await button('Send').click();
        };
        await checked('empty');
        await send('endless');
        await page.getByText('It begins and goes on').waitFor();
        await checked('streaming');
        await button('Stop').click();
        await send('hostile');
        await visit.answered('The end of it.');
        await send('think');
        const thought = await visit.answered('Decided.');
        await thought.getByText('Thought', { exact: true }).click();
        await send('code');
        await visit.answered('A quotation');
        await button('Answer again').last().click();
        await visit.answered('A quotation');
        await send('error');
        await visit.answered('the model broke down');
        await checked('conversation');
        await button('Edit message').first().click();
        await checked('editing');
        await button('Cancel').click();
        if (screen === 'phone') await button('Conversations').click();
        await checked('list');
        await button('Delete endless').click();
        await checked('delete');
        await button('Keep it').click();
        if (screen === 'phone') await button('Close the list').click();
        await button('Settings').click();
        await page.getByLabel('Top P').fill('2');
        await page.getByLabel('Top K').focus();
        await checked('settings');
        await button('Close settings').click();
        all.mock.key = 'secret';
        await send('Hello');
        await page.getByRole('dialog', { name: 'This server wants an API key' }).waitFor();
        await checked('key');
      }));

test('a keyboard is enough', () => all.visit({}, async (page, visit) => {
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label')
    ?? (document.activeElement.id || document.activeElement.textContent));
  const isFocused = async (name) => {
    await page.waitForFunction((wanted) => {
      const { activeElement: at } = document;
      return [at.getAttribute('aria-label'), at.id].includes(wanted);
    }, name);
  };
  const tabTo = async (name) => {
    for (let i = 0; i < 60 && await focused() !== name; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(), name);
  };
  await isFocused('message');
  await page.keyboard.type('One');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('line');
  await page.keyboard.press('Enter');
  await visit.answered('Answer 1');
  assert.equal(all.mock.requests[0].messages[0].content, 'One\nline');
  await isFocused('message');
  await tabTo('Edit message');
  await page.keyboard.press('Enter');
  await isFocused('Change your message');
  await page.keyboard.press('Escape');
  await isFocused('Edit message');
  await tabTo('Answer again');
  await page.keyboard.press('Space');
  await visit.answered('Answer 2');
  await tabTo('Version before');
  await page.keyboard.press('Enter');
  await visit.answered('Answer 1');
  await tabTo('Settings');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Escape');
  await isFocused('Settings');
  await tabTo('Rename One');
  await page.keyboard.press('Enter');
  await isFocused('Name of the conversation');
  await page.keyboard.type('Two');
  await page.keyboard.press('Enter');
  await isFocused('Rename Two');
  await tabTo('Delete Two');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await tabTo('Keep it');
  await page.keyboard.press('Enter');
  await isFocused('Delete Two');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Delete', exact: true }).focus();
  await page.keyboard.press('Enter');
  await isFocused('message');
}));

test('a dialog opens anew before the browser has told of its end', () => all.visit({}, async (page, visit) => {
  await visit.send('One');
  await visit.answered('Answer 1');
  for (const [open, leave] of [['Delete One', 'Keep it'], ['Settings', 'Close settings']]) {
    await page.getByRole('button', { name: open, exact: true }).click();
    await page.getByRole('dialog').waitFor();
    await page.evaluate(async (names) => {
      const [first, second] = names.map((name) => [...document.querySelectorAll('button')].find((button) =>
        [button.getAttribute('aria-label'), button.textContent].includes(name)));
      first.click();
      for (let i = 0; i < 10; i++) await null; // the page is drawn; events come later
      second.click();
    }, [leave, open]);
    await page.waitForTimeout(100);
    await page.getByRole('dialog').waitFor({ timeout: 5000 });
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  }
}));

test('answers are read out in sentences, once', () => all.visit({}, async (page, visit) => {
  const heard = page.getByRole('log', { name: 'Announcements' }).locator('p');
  await visit.send('Hello');
  await visit.answered('Answer 1');
  assert.deepEqual(await heard.allInnerTexts(), ['Answer 1 to “Hello”.']);
  await visit.send('code');
  await visit.answered('A quotation');
  const lines = (await heard.allInnerTexts()).slice(1);
  assert.ok(lines.length >= 2 && lines.length <= 12, lines.join('\n'));
  assert.match(lines.join(' '), /^Adding Some bold.*A quotation/s);
  await visit.send('endless');
  await page.getByText('It begins and goes on').waitFor();
  await page.keyboard.press('Escape');
  await heard.getByText('Stopped.').waitFor();
}));

test('a phone: the list covers the page, and Enter begins a line', () => all.visit(
  { context: screens.phone }, async (page, visit) => {
    const field = page.getByLabel('Message', { exact: true });
    await field.fill('One');
    await page.keyboard.press('Enter');
    await page.keyboard.type('line');
    await page.getByRole('button', { name: 'Send' }).tap();
    await visit.answered('Answer 1');
    assert.equal(all.mock.requests[0].messages[0].content, 'One\nline');
    const list = page.getByRole('navigation', { name: 'Conversations' });
    assert.equal(await list.count(), 0); // hidden from everyone
    await page.getByRole('button', { name: 'Conversations', exact: true }).tap();
    await list.waitFor();
    await page.waitForFunction(() => document.activeElement.id === 'new-chat');
    await page.keyboard.press('Escape');
    await list.waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement.id === 'menu');
  }));
