'use strict';

/** The page of examples/Chat.js, in a browser. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');
const WebSocket = require('./support/ws');
const { noBrowser, openBrowser } = require('./support/browser');
const { runFile } = require('./support/child');
const { connect } = require('./support/client');
const { BOUND } = require('./support/server');

/** The first start of a browser on a busy machine takes its time. */
const LONG = { timeout: 120_000 };

/** Starts the example: where its WebSockets and its page are. */
async function start(context) {
  const child = runFile(context, path.join('examples', 'Chat.js'), { PORT: '0' });
  const [, port] = (await child.line()).match(/^Listening on port (\d+)$/);
  const [, page] = (await child.line()).match(/^Open (http:\S+) in two windows$/);
  return { child, url: `ws://localhost:${port}/chat`, page };
}

/** What a list of a page shows, as soon as it has so many items. */
async function items(page, list, count) {
  await page.waitForFunction(
    ([id, wanted]) => document.getElementById(id).children.length === wanted,
    [list, count],
  );
  return page.locator(`#${list} li`).allTextContents();
}

/** Opens the page, and joins by a name. */
async function joined(browser, url, name) {
  const page = await browser.newPage();
  await page.goto(url);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
  return page;
}

async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

test('two pages join, speak, see who is there, and leave', { ...LONG, skip: noBrowser }, async (context) => {
  const { page: url } = await start(context);
  const browser = await openBrowser(context);
  const ann = await joined(browser, url, 'Ann');
  assert.deepEqual(await items(ann, 'messages', 1), ['Ann joined']);
  const bob = await joined(browser, url, 'Bob');
  assert.deepEqual(await items(bob, 'messages', 1), ['Bob joined']);
  assert.deepEqual(await items(ann, 'messages', 2), ['Ann joined', 'Bob joined']);
  for (const page of [ann, bob]) assert.deepEqual(await items(page, 'names', 2), ['Ann', 'Bob']);

  await say(ann, 'Hello, Bob!');
  assert.deepEqual(await items(bob, 'messages', 2), ['Bob joined', 'Ann: Hello, Bob!']);
  await say(bob, '<b onclick="x()">Grüße</b> 🌊');
  assert.equal((await items(ann, 'messages', 4)).at(-1), 'Bob: <b onclick="x()">Grüße</b> 🌊');
  assert.equal(await ann.locator('#messages b').count(), 0, 'text is text');

  const third = await joined(browser, url, 'Ann');
  await third.getByText('Somebody of this name is there').waitFor();

  await bob.close();
  assert.equal((await items(ann, 'messages', 5)).at(-1), 'Bob left');
  assert.deepEqual(await items(ann, 'names', 1), ['Ann']);
});

test('the server ends, and the page says so', { ...LONG, skip: noBrowser }, async (context) => {
  const { child, page: url } = await start(context);
  const browser = await openBrowser(context);
  const page = await joined(browser, url, 'Ann');
  await items(page, 'messages', 1);
  child.signal('SIGINT');
  await page.getByText('The connection ended.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Join' }).isVisible());
});

test('only its own page may connect', BOUND, async (context) => {
  const { url, page } = await start(context);
  const [request, response] = await once(
    new WebSocket(url, { origin: 'https://example.org' }),
    'unexpected-response',
  );
  request.destroy();
  assert.equal(response.statusCode, 403);
  const client = await connect(context, url, { origin: page });
  client.send('x'.repeat(21));
  assert.deepEqual(await client.closed, { code: 4000, reason: 'A name has 1 to 20 characters' });
});
