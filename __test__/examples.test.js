'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { readdirSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const WebSocket = require('ws');
const { runFile } = require('./support/child');
const { connect } = require('./support/client');
const { BOUND } = require('./support/server');

/** What a client of each example says, and what it must hear. */
const CONVERSATIONS = {
  'Broadcast.js': async (client) => {
    assert.equal(await client.text(), 'You are one of 1');
    assert.match(await client.text(), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  },
  'PubSub.js': async (client, url, context) => {
    const other = await connect(context, url);
    const say = async (text) => {
      client.send(text);
      return client.text();
    };
    assert.equal(await say('publish news x'), 'nobody is there');
    assert.equal(await say('subscribe news'), '1 subscribed to news');
    assert.equal(await say('publish news x'), 'nobody is there');
    other.send('subscribe news', 'publish news hello there');
    assert.equal(await other.text(), '2 subscribed to news');
    assert.equal(await other.text(), 'published');
    assert.equal(await client.text(), 'news: hello there');
    assert.equal(await say('unsubscribe news'), 'unsubscribed from news');
    assert.equal(await say('unsubscribe news'), 'not subscribed to news');
    assert.equal(await say('what?'), 'say: subscribe NAME, unsubscribe NAME, or publish NAME MESSAGE');
  },
  'Chat.js': async (client, url, context) => {
    const heard = async (from) => JSON.parse(await from.text());
    client.send('Ann');
    assert.deepEqual(await heard(client), { names: [] });
    assert.deepEqual(await heard(client), { joined: 'Ann' });
    const other = await connect(context, `${url}/chat`);
    other.send('Bob', 'hello');
    assert.deepEqual(await heard(other), { names: ['Ann'] });
    for (const each of [client, other]) {
      assert.deepEqual(await heard(each), { joined: 'Bob' });
      assert.deepEqual(await heard(each), { name: 'Bob', text: 'hello' });
    }
    other.socket.close();
    assert.deepEqual(await heard(client), { left: 'Bob' });
  },
  'WebSocket.js': async (client) => {
    client.send('hello', Buffer.from([1, 2, 3]));
    assert.deepEqual(await client.messages.take(2), [
      [Buffer.from('hello'), false],
      [Buffer.from([1, 2, 3]), true],
    ]);
  },
  'Upgrade.js': async (client, url) => {
    assert.equal(await client.text(), 'hello joe');
    client.send('hi');
    assert.equal(await client.text(), 'joe: hi');
    assert.equal(await refused(url), 401);
  },
  'UpgradeAsync.js': async (client, url) => {
    assert.equal(await client.text(), 'hello joe');
    client.send('hi');
    assert.equal(await client.text(), 'hi');
    assert.equal(await refused(`${url}/?token=none`), 403);
  },
  'WorkerThreads.js': async (client, url, context) => {
    const threads = [await client.text()];
    for (let turn = 1; turn < 4; turn++) threads.push(await (await connect(context, url)).text());
    const [first, second] = threads;
    assert.notEqual(first, second);
    assert.deepEqual(threads, [first, second, first, second]);
    client.send('hello');
    assert.equal(await client.text(), 'hello');
  },
  'RateLimit.js': async (client, url, context) => {
    client.send('one');
    assert.equal(await client.text(), 'one');
    const other = await connect(context, url);
    assert.equal(await refused(url), 429);
    // Never so many in one second, nor in two.
    for (let sent = 0; sent < 10; sent++) other.send('flood');
    assert.deepEqual(await other.closed, { code: 1008, reason: 'too many messages' });
  },
};

/** What the first client asks for, beside '/'. */
const QUERIES = { 'Chat.js': '/chat', 'Upgrade.js': '/?name=joe', 'UpgradeAsync.js': '/?token=secret' };

/** The status that a client is refused with. */
async function refused(url) {
  const [request, response] = await once(new WebSocket(url), 'unexpected-response');
  request.destroy();
  return response.statusCode;
}

const files = readdirSync(path.join(__dirname, '../examples')).filter((file) => /\.m?js$/.test(file));

test('every example has a conversation', () => {
  assert.deepEqual(files.sort(), Object.keys(CONVERSATIONS).sort());
});

for (const [file, converse] of Object.entries(CONVERSATIONS)) {
  test(`examples/${file} does what it says, and ends by SIGINT`, BOUND, async (context) => {
    const child = runFile(context, path.join('examples', file), {
      PORT: '0',
      CONNECTIONS: '2',
      MESSAGES: '3',
      THREADS: '2',
    });
    const line = await child.line();
    const [, port] = line.match(/^Listening on port (\d+)$/) ?? [];
    assert.ok(port, `it printed ${line}`);
    const url = `ws://127.0.0.1:${port}`;
    const client = await connect(context, url + (QUERIES[file] ?? ''));
    await converse(client, url, context);
    child.process.kill('SIGINT');
    assert.equal((await client.closed).code, 1006);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
  });

  test(`examples/${file} says that its port is busy`, BOUND, async (context) => {
    const server = net.createServer().listen(0);
    context.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address();
    const child = runFile(context, path.join('examples', file), { PORT: String(port) });
    assert.deepEqual(await child.exited, { code: 1, signal: null });
    assert.match(child.errors, new RegExp(`port ${port}`));
  });
}
