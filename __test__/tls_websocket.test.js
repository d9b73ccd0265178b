'use strict';

/** WebSockets over TLS. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { SHARED_COMPRESSOR } = require('tidewire');
const { connect, refusal } = require('./support/client');
const { accept } = require('./support/pair');
const { TEXT, frame, opening } = require('./support/raw_client');
const { Queue } = require('./support/queue');
const { BOUND } = require('./support/server');
const { APPLICATION_DATA, tapped } = require('./support/tap');
const { connectTls, serveTls, statsWhen, trust } = require('./support/tls');

/** Serves one route, whose behavior it is given. */
function serveRoute(context, behavior, options = {}) {
  return serveTls(context, options, (app) => app.ws('/*', behavior));
}

test('sockets are uWS.SSLWebSocket, with all that a socket has', BOUND, async (context) => {
  const sockets = new Queue();
  const { app, url } = serveRoute(context, {
    upgrade: (res, req, token) => accept(res, req, token, { name: 'Ann' }),
    open: (ws) => sockets.push(ws),
  });
  const client = await connect(context, url, trust());
  const ws = await sockets.next();
  assert.equal(ws.constructor.name, 'uWS.SSLWebSocket');
  assert.equal(app.constructor.name, 'uWS.SSLApp');
  assert.deepEqual([ws.name, ws.getUserData(), ws.readyState], ['Ann', ws, 1]);
  assert.deepEqual([...new Uint8Array(ws.getRemoteAddress())], [127, 0, 0, 1]);
  assert.equal(ws.getRemotePort(), client.socket._socket.localPort);
  ws.subscribe('news');
  assert.equal(app.publish('news', 'published'), true);
  assert.equal(await client.text(), 'published');
  ws.ping('are you there');
  assert.equal(await client.pings.next(), 'are you there');
  client.socket.ping('and you');
  assert.equal(await client.pongs.next(), 'and you');
  ws.close();
  assert.equal((await client.closed).code, 1006);
  assert.throws(() => ws.send('x'), {
    code: 'TIDEWIRE_CLOSED',
    message: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.',
  });
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
  test(`messages of any size come whole and in order, with ${maxVersion}`, BOUND, async (context) => {
    const { app, url } = serveRoute(context, {
      maxPayloadLength: 4_000_000,
      maxBackpressure: 0,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
    });
    const client = await connect(context, url, { ...trust(), maxVersion });
    // At the edges of frames, of records (16,384) and of what is sealed at a time (65,536).
    const sizes = [
      0, 1, 125, 126, 16_373, 16_384, 16_385, 65_526, 65_535, 65_536, 65_537, 300_000, 3_000_000, 7,
    ];
    const messages = sizes.map((size) => Buffer.alloc(size, `${size} `));
    client.send(...messages);
    for (const [at, message] of messages.entries()) {
      const [data, isBinary] = await client.messages.next();
      assert.ok(isBinary && data.equals(message), `message ${at}`);
    }
    const stats = app.stats();
    assert.deepEqual([stats.messagesIn, stats.messagesOut], [sizes.length, sizes.length]);
  });
}

test('what is sent in a turn leaves in one record', BOUND, async (context) => {
  const { port } = serveRoute(context, {
    message: (ws) => {
      for (let times = 0; times < 100; times++) ws.send(`message ${times}`);
    },
  });
  const { socket, tap } = await tapped(context, port);
  socket.write(opening());
  await once(socket, 'data');
  const before = tap.records.length;
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
  });
  socket.write(frame(TEXT, 'go'));
  while (!heard.includes('message 99')) await once(socket, 'data');
  const records = tap.records.slice(before);
  assert.deepEqual(
    records.map(({ type }) => type),
    [APPLICATION_DATA],
  );
});

test('messages in the record of the opening handshake are not lost', BOUND, async (context) => {
  for (const upgrade of [
    undefined,
    (res, req, token) =>
      setImmediate(
        accept,
        res.onAborted(() => {}),
        req,
        token,
      ),
  ]) {
    const { port } = serveRoute(context, { upgrade, message: (ws, message) => ws.send(message) });
    const socket = await connectTls(context, port);
    socket.write(Buffer.concat([Buffer.from(opening()), frame(TEXT, 'early'), frame(TEXT, 'bird')]));
    let heard = '';
    while (!heard.includes('bird')) heard += (await once(socket, 'data'))[0].toString('latin1');
    assert.match(heard, /^HTTP\/1\.1 101 [\s\S]*early[\s\S]*bird$/);
  }
});

test('compression goes through TLS', BOUND, async (context) => {
  const { app, url } = serveRoute(context, {
    compression: SHARED_COMPRESSOR,
    message: (ws, message, isBinary) => ws.send(message, isBinary, true),
  });
  const client = await connect(context, url, { ...trust(), perMessageDeflate: true });
  const text = 'again and '.repeat(1_000);
  client.send(text);
  assert.equal(await client.text(), text);
  assert.ok(app.stats().bytesOut < text.length / 4);
});

test('refusals come over TLS', BOUND, async (context) => {
  const { url } = serveTls(context, {}, (app) => {
    app.ws('/refused', { upgrade: (res) => res.writeStatus('401 Unauthorized').end('no') });
    app.ws('/same', { origins: 'same' });
  });
  const { status, body } = await refusal(`${url}/refused`, trust());
  assert.deepEqual([status, body], [401, 'no']);
  assert.equal((await refusal(`${url}/same`, { ...trust(), origin: 'https://evil.example' })).status, 403);
  assert.equal((await refusal(`${url}/none`, trust())).status, 404);
  await connect(context, `${url}/same`, { ...trust(), origin: url.replace('wss', 'https') });
});

describe('a client that does not read', () => {
  const PIECE = Buffer.alloc(16 * 1024, 'x');
  const PIECES = 1_000;

  test('gets everything in order once it does, behind drains', BOUND, async (context) => {
    const events = new Queue();
    const fill = (ws) => {
      while (ws.left > 0 && ws.getBufferedAmount() < 64 * 1024) {
        PIECE.writeUInt32BE(ws.left--);
        ws.send(PIECE, true);
      }
      if (ws.left === 0) events.push('all sent');
    };
    const { url } = serveRoute(context, {
      maxBackpressure: 1024 * 1024,
      open: (ws) => {
        ws.left = PIECES;
        fill(ws);
        events.push(ws.left);
      },
      drain: fill,
    });
    const client = await connect(context, url, trust());
    client.socket.pause();
    assert.ok((await events.next()) > 0, 'more than the kernel takes');
    client.socket.resume();
    for (let left = PIECES; left > 0; left--) {
      const [data] = await client.messages.next();
      assert.equal(data.readUInt32BE(), left);
      assert.equal(data.length, PIECE.length);
    }
    assert.equal(await events.next(), 'all sent');
  });

  test('loses what is above its limit, and is told of', BOUND, async (context) => {
    const dropped = [];
    const { app, url } = serveRoute(context, {
      open: (ws) => {
        ws.subscribe('flood');
      },
      dropped: (_ws, message) => dropped.push(message.byteLength),
    });
    const client = await connect(context, url, trust());
    client.socket.pause();
    await statsWhen(app, ({ connections }) => connections === 1);
    for (let times = 0; times < 100_000 && dropped.length === 0; times++) {
      app.publish('flood', PIECE, true);
      if (times % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(dropped.length > 0);
    assert.ok(app.stats().waiting.outboxBytes >= 64 * 1024);
    client.socket.terminate();
    await statsWhen(app, ({ connections, waiting }) => connections === 0 && waiting.outboxBytes === 0);
  });
});

test('a shutdown says goodbye over TLS', BOUND, async (context) => {
  const { app, url } = serveTls(context);
  const clients = [];
  for (let count = 0; count < 20; count++) clients.push(await connect(context, url, trust()));
  const result = await app.shutdown({ code: 1012, reason: 'restarting' });
  assert.deepEqual(result, { closed: 20, forced: 0, aborted: 0 });
  for (const client of clients) assert.deepEqual(await client.closed, { code: 1012, reason: 'restarting' });
});

test('500 clients at once, on several threads', { timeout: 120_000 }, async (context) => {
  const { app, url } = serveTls(context, { threads: 2 });
  const clients = await Promise.all(Array.from({ length: 500 }, () => connect(context, url, trust())));
  for (const [at, client] of clients.entries()) client.send(`client ${at}`);
  for (const [at, client] of clients.entries()) assert.equal(await client.text(), `client ${at}`);
  const { connections, gate } = app.stats();
  assert.deepEqual([connections, gate.tls.handshakes, gate.tls.failed], [500, 500, {}]);
});
