'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { App } = require('tidewire');
const { connect, refusal } = require('../support/client');
const { runLimited } = require('../support/child');
const { pause, requestText, serveHttp, speak } = require('../support/http');
const { opening } = require('../support/raw_client');
const { BOUND, serve } = require('../support/server');
const { serveTls } = require('../support/tls');

const NONE = { maxConnections: 0, maxConnectionsPerAddress: 0, connectionsPerMinutePerAddress: 0 };

/** The App's count of those that were turned away, with names of the others left out. */
const turnedAway = (app) => app.stats().gate.turnedAway;

/** Connects until one is let in: that the server has closed another is seen a little later. */
async function connectSoon(context, url, options) {
  for (;;) {
    try {
      return await connect(context, url, options);
    } catch (error) {
      assert.match(error.message, /: (503|429)$/);
      await pause(5);
    }
  }
}

/** The end of a socket, be it by an error. */
const ended = (socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve));

/** Fills the App with so many clients, and makes sure that no other one gets in. */
async function assertRoomFor(context, url, count) {
  const clients = [];
  while (clients.length < count) clients.push(await connectSoon(context, url));
  const { status, headers, body } = await refusal(url);
  assert.deepEqual(
    [status, headers['retry-after'], headers.connection, body],
    [503, '10', 'close', 'the server has as many connections as it takes'],
  );
  for (const client of clients) client.socket.close();
  await Promise.all(clients.map(({ closed }) => closed));
}

test(
  'maxConnections counts all that are connected, and those who come and go leave their room',
  BOUND,
  async (context) => {
    const MOST = 8;
    const { app, port, url } = serve(
      context,
      { upgrade: (res, req, socket) => upgradeLater(res, req, socket) },
      { options: { maxConnections: MOST, threads: 2 } },
    );
    app.ws('/plain', {}).get('/page', (res) => res.end('page'));
    const clients = [];
    for (let at = 0; at < 3; at++)
      clients.push(await connect(context, url), await connect(context, `${url}/plain`));
    const page = await speak(context, port, requestText('GET', '/page'));
    await page.hear('page');
    const begun = await speak(context, port, 'GET /page HTTP/1.1\r\n');
    while (app.stats().gate.handshakes < 1) await pause(5);

    const before = app.stats().gate.accepted;
    for (const place of [url, `${url}/plain`]) assert.equal((await refusal(place)).status, 503);
    const refused = await speak(context, port, requestText('GET', '/page'));
    assert.match(await refused.all(), /^HTTP\/1\.1 503 Service Unavailable\r\n/);
    assert.equal(await refused.ended, 'fin');
    assert.deepEqual(turnedAway(app), { ...NONE, maxConnections: 3 });
    assert.equal(app.stats().gate.accepted, before);

    // Who is in is served, and each one that goes makes room for one.
    begun.say('Host: a\r\n\r\n');
    await begun.hear('page');
    for (const leave of [
      () => page.socket.destroy(),
      () => begun.socket.destroy(),
      () => clients.pop().socket.close(),
    ]) {
      leave();
      await connectSoon(context, url);
      assert.equal((await refusal(url)).status, 503);
    }
  },
);

test('the count is exact however many come and go at once', BOUND, async (context) => {
  const MOST = 12;
  const { app, port, url } = serve(
    context,
    { upgrade: (res, req, socket) => upgradeLater(res, req, socket) },
    { options: { maxConnections: MOST, threads: 2 } },
  );
  app.ws('/plain', {}).get('/page', (res) => res.end('page'));
  const words = [
    opening('/'),
    opening('/plain'),
    requestText('GET', '/page'),
    'GET /page HT',
    opening('/').slice(0, -2),
    '',
  ];
  for (let round = 0; round < 5; round++) {
    const sockets = Array.from({ length: 60 }, (_, at) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.once('connect', () => {
        socket.write(words[at % words.length]);
        // Some go before they have an answer, others behind it, each by its own way.
        if (at % 3 === 0) socket.end();
        else if (at % 3 === 1) socket.resetAndDestroy();
        else socket.once('data', () => socket.destroy());
      });
      return socket;
    });
    await Promise.all(
      sockets.map(async (socket, at) => {
        if (at % 3 === 2 && at % words.length > 2) await pause(20).then(() => socket.destroy());
        socket.resume();
        await ended(socket);
      }),
    );
  }
  await assertRoomFor(context, url, MOST);
  await assertRoomFor(context, `${url}/plain`, MOST);
});

test(
  'an address has so many, and a proxy is believed whom it speaks for if it is trusted',
  BOUND,
  async (context) => {
    const options = { maxConnectionsPerAddress: 2, trustProxy: ['127.0.0.0/8'] };
    const proxied = serve(context, {}, { options });
    const from = (address) => ({ headers: { 'X-Forwarded-For': `6.6.6.6, ${address}` } });
    const first = await connect(context, proxied.url, from('192.0.2.1'));
    await connect(context, proxied.url, from('192.0.2.1'));
    const refused = await refusal(proxied.url, from('192.0.2.1'));
    assert.deepEqual(
      [refused.status, refused.headers['retry-after'], refused.body],
      [429, '10', 'this address has as many connections as it may have'],
    );
    for (const other of ['192.0.2.2', '2001:db8::1', '[2001:db8::2]:80'])
      await connect(context, proxied.url, from(other));
    assert.equal((await refusal(proxied.url, from('2001:db8::3'))).status, 429);
    assert.deepEqual(turnedAway(proxied.app), { ...NONE, maxConnectionsPerAddress: 2 });
    first.socket.close();
    await connectSoon(context, proxied.url, from('192.0.2.1'));

    // Without trust it is the peer that counts, whatever is said.
    const direct = serve(context, {}, { options: { maxConnectionsPerAddress: 1 } });
    const only = await connect(context, direct.url, from('192.0.2.1'));
    assert.equal((await refusal(direct.url, from('192.0.2.2'))).status, 429);
    only.socket.close();
    await connectSoon(context, direct.url);
  },
);

test('an address makes so many in a minute', BOUND, async (context) => {
  const { app, url } = serve(context, {}, { options: { connectionsPerMinutePerAddress: 3 } });
  for (let at = 0; at < 3; at++) {
    const client = await connect(context, url);
    client.socket.close();
    await client.closed;
  }
  const { status, headers, body } = await refusal(url);
  assert.deepEqual([status, body], [429, 'this address makes connections too fast']);
  assert.ok(
    Number(headers['retry-after']) >= 1 && Number(headers['retry-after']) <= 20,
    headers['retry-after'],
  );
  assert.deepEqual(turnedAway(app), { ...NONE, connectionsPerMinutePerAddress: 1 });
});

test('clients of a Unix domain socket have no address, unless a proxy that is trusted names it', {
  ...BOUND,
  skip: process.platform === 'win32',
}, async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const trustProxy of [[], ['unix']]) {
    const { app } = serveHttp(context, (app) => app.get('/', (res) => res.end('page')), {
      options: { maxConnectionsPerAddress: 1, trustProxy },
    });
    const file = path.join(folder, `${trustProxy.length}`);
    await app.listen_unix(file);
    const statuses = [];
    for (let at = 0; at < 2; at++) {
      const socket = net.connect(file);
      context.after(() => socket.destroy());
      socket.write(requestText('GET', '/', ['X-Forwarded-For: 192.0.2.1']));
      const [answer] = await once(socket, 'data');
      statuses.push(answer.toString().slice(9, 12));
    }
    assert.deepEqual(statuses, ['200', trustProxy.length === 0 ? '200' : '429']);
  }
});

test('with TLS who is one too many is closed', BOUND, async (context) => {
  const { app, port } = serveTls(context, { maxConnections: 1 });
  const first = net.connect(port, '127.0.0.1').on('error', () => {});
  context.after(() => first.destroy());
  first.write('\x16');
  while (app.stats().gate.accepted < 1) await pause(5);
  const second = net.connect(port, '127.0.0.1').on('error', () => {});
  second.write('\x16');
  second.resume();
  await ended(second);
  assert.deepEqual(turnedAway(app), { ...NONE, maxConnections: 1 });
});

test('by default descriptors are left for other things', {
  ...BOUND,
  skip: process.platform === 'win32',
}, async (context) => {
  const child = runLimited(context, 120, () => {
    const { App, us_socket_local_port } = require('tidewire');
    const app = App();
    app.ws('/*', {}).listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
    process.stdin.on('end', () => app.close()).resume();
  });
  await assertRoomFor(context, `ws://127.0.0.1:${await child.value()}`, 60);
  child.process.stdin.end();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test('an App that was full is as empty as ever when it ends', BOUND, async (context) => {
  const app = App({ maxConnections: 1, maxConnectionsPerAddress: 1 }).ws('/*', {});
  const token = await app.listen('127.0.0.1', 0);
  const { us_socket_local_port } = require('tidewire');
  const url = `ws://127.0.0.1:${us_socket_local_port(token)}`;
  const client = await connect(context, url);
  assert.equal((await refusal(url)).status, 503);
  const { closed, forced } = await app.shutdown();
  assert.deepEqual([closed, forced], [1, 0]);
  await client.closed;
  assert.deepEqual(turnedAway(app), NONE);
});

/** Answers behind the handler's end, so that the connection has a place before it has its socket. */
function upgradeLater(res, req, socket) {
  let gone = false;
  res.onAborted(() => {
    gone = true;
  });
  const key = req.getHeader('sec-websocket-key');
  setImmediate(() => gone || res.upgrade({}, key, '', '', socket));
}
