'use strict';

/** The handlers of a route and what ends it, row by row. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { runScript } = require('../support/child');
const { accept, nextClose, pair } = require('../support/pair');
const { BINARY, CLOSE, PING, PONG, TEXT, closeFrame, connectRaw, frame } = require('../support/raw_client');
const { BOUND, observe, serve } = require('../support/server');

/** Sends frames by hand; returns what the close handler gets, and the peer's close frame. */
async function violated(context, behavior, ...frames) {
  const { port, events } = observe(context, behavior);
  const client = await connectRaw(context, port);
  client.write(...frames);
  return { told: await nextClose(events), seen: await client.closeFrame() };
}

describe('handlers', () => {
  test('open, message, ping, pong, drain, close, with their arguments', BOUND, async (context) => {
    const { client, ws, events } = await pair(context);
    client.socket.ping('a');
    client.socket.pong('b');
    client.send('c', Buffer.from('d'));
    client.socket.close(4000, 'e');
    assert.deepEqual(await events.take(5), [
      ['ping', ws, 'a'],
      ['pong', ws, 'b'],
      ['message', ws, 'c', false],
      ['message', ws, 'd', true],
      ['close', ws, 4000, 'e'],
    ]);
  });

  test('every handler is called without a receiver', BOUND, async (context) => {
    const receivers = new Map();
    const names = ['open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close', 'subscription'];
    const behavior = Object.fromEntries(
      names.map((name) => [
        name,
        function () {
          receivers.set(name, this);
        },
      ]),
    );
    const ended = new Promise((resolve) => {
      behavior.close = function () {
        receivers.set('close', this);
        resolve();
      };
    });
    behavior.upgrade = function (res, req, token) {
      receivers.set('upgrade', this);
      accept(res, req, token);
    };
    behavior.message = function (ws) {
      receivers.set('message', this);
      ws.subscribe('a');
      for (let count = 0; count < 3; count++) ws.send(Buffer.alloc(8_000_000), true);
    };
    const { port } = serve(context, behavior);
    const client = await connectRaw(context, port, { reads: false });
    client.write(frame(PING, ''), frame(PONG, ''), frame(TEXT, 'x'));
    while (!receivers.has('dropped')) await new Promise(setImmediate);
    client.read();
    while (!receivers.has('drain')) await new Promise(setImmediate);
    client.socket.destroy();
    await ended;
    assert.deepEqual([...receivers.keys()].sort(), [...names, 'upgrade'].sort());
    assert.deepEqual(new Set(receivers.values()), new Set([undefined]));
  });

  test('drain, when what waited goes out', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 0 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    ws.send(Buffer.alloc(32 * 1024 * 1024), true);
    assert.ok(ws.getBufferedAmount() > 0);
    client.read();
    for (let name = ''; name !== 'drain' || ws.getBufferedAmount() > 0; ) [name] = await events.next();
    assert.equal(ws.getBufferedAmount(), 0);
  });

  test('exactly one close for each open', BOUND, async (context) => {
    const { port, events } = observe(context, { message: (ws) => ws.end(1000) });
    const clients = [];
    for (let number = 0; number < 30; number++) clients.push(await connectRaw(context, port));
    // Both sides say goodbye at once, or one of them twice, or not at all.
    for (const [number, client] of clients.entries()) {
      if (number % 3 !== 2) client.write(frame(TEXT, 'go'));
      if (number % 3 !== 1) client.write(closeFrame(1000), closeFrame(1000));
      client.socket.end();
    }
    await Promise.all(clients.map(({ ended }) => ended));
    const count = (wanted) => events.all.filter(([name]) => name === wanted).length;
    while (count('close') < 30) await events.next();
    await new Promise(setImmediate);
    assert.deepEqual([count('open'), count('close')], [30, 30]);
    assert.equal(new Set(events.all.filter(([name]) => name === 'close').map(([, ws]) => ws)).size, 30);
  });

  test('ws.end() and ws.close() call close before they return', BOUND, async (context) => {
    for (const way of ['end', 'close']) {
      const { ws, events } = await pair(context);
      ws[way]();
      assert.deepEqual(events.all.at(-1).slice(0, 2), ['close', ws]);
    }
  });

  test('handler data stays valid for ever', BOUND, async (context) => {
    for (const binaryType of ['arraybuffer', 'nodebuffer', 'uint8array']) {
      const kept = [];
      const later = [];
      const { client, events } = await pair(context, {
        binaryType,
        message: async (_ws, data) => {
          kept.push(data);
          await null;
          await new Promise(setImmediate);
          later.push(Buffer.from(data).toString());
        },
      });
      for (let number = 0; number < 2_000; number++) client.send(`message ${number}`);
      await events.take(2_000);
      while (later.length < 2_000) await new Promise(setImmediate);
      for (const [number, data] of kept.entries()) {
        assert.equal(Buffer.from(data).toString(), `message ${number}`);
        assert.equal(later[number], `message ${number}`);
      }
    }
  });

  test(
    'subscription fires at each change, and on close once per held topic, before close',
    BOUND,
    async (context) => {
      const trail = [];
      const { ws } = await pair(context, {
        textType: 'string',
        subscription: (...values) => trail.push(values.slice(1)),
        close: () => trail.push('close'),
      });
      ws.subscribe('a');
      ws.subscribe('a');
      ws.subscribe('b');
      ws.unsubscribe('a');
      ws.unsubscribe('a');
      ws.subscribe('c');
      assert.deepEqual(trail.splice(0), [
        ['a', 1, 0],
        ['b', 1, 0],
        ['a', 0, 1],
        ['c', 1, 0],
      ]);
      ws.end();
      assert.deepEqual(trail.sort(), [['b', 0, 1], ['c', 0, 1], 'close']);
    },
  );

  test('what a handler throws goes to uncaughtException; the socket stays open', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      process.on('uncaughtException', ({ message }) => console.log(JSON.stringify(message)));
      const app = App().ws('/*', {
        message(ws, message) {
          ws.send(message);
          throw new Error('mine');
        },
      });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => client.send('1'));
        client.on('message', (data) => (String(data) === '1' ? client.send('2') : app.close()));
      });
    });
    assert.deepEqual([await child.value(), await child.value()], ['mine', 'mine']);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});

describe('close codes', () => {
  test("the client's code and reason as sent, 3000–3999 too", BOUND, async (context) => {
    for (const code of [1000, 1001, 1011, 3000, 3999, 4000, 4999]) {
      const { client, events } = await pair(context);
      client.socket.close(code, 'grüße');
      assert.deepEqual(await nextClose(events), [code, 'grüße']);
      assert.equal((await client.closed).code, code);
    }
  });

  test('no status is 1005', BOUND, async (context) => {
    const { client, events } = await pair(context);
    client.socket.close();
    assert.deepEqual(await nextClose(events), [1005, '']);
  });

  const invalid = 'Received invalid WebSocket frame';
  const payload = 'Received invalid close payload';
  /** What is sent, and what the handler and the peer get. */
  const rows = {
    'a protocol error': [[frame(3)], invalid, 1002],
    'an unmasked frame, at once': [[frame(TEXT, 'x', { masked: false })], invalid, 1002],
    'invalid UTF-8': [[frame(TEXT, Buffer.from([0xff]))], 'Received invalid UTF-8', 1007],
    'a message too big': [[frame(BINARY, Buffer.alloc(20_000))], 'Received too big message', 1009],
    'a close payload of one byte': [[frame(CLOSE, 'x')], payload, 1002],
    'a close code that is none': [[closeFrame(1005)], payload, 1002],
    'a close reason that is no UTF-8': [[frame(CLOSE, Buffer.from([3, 232, 0xff]))], payload, 1007],
  };
  for (const [name, [frames, reason, code]] of Object.entries(rows)) {
    test(`1006 for ${name}: the peer gets ${code}`, BOUND, async (context) => {
      const { told, seen } = await violated(context, {}, ...frames);
      assert.deepEqual([...told, seen.code], [1006, reason, code]);
    });
  }

  test('1006 for FIN, with its reason', BOUND, async (context) => {
    const { port, events } = observe(context);
    (await connectRaw(context, port)).socket.end();
    assert.deepEqual(await nextClose(events), [1006, 'Received TCP FIN before WebSocket close frame']);
  });

  test('1006 for a reset, and for ws.close(), without a reason', BOUND, async (context) => {
    const { port, events } = observe(context);
    (await connectRaw(context, port)).socket.resetAndDestroy();
    assert.deepEqual(await nextClose(events), [1006, '']);
    const { ws, events: others } = await pair(context);
    ws.close();
    assert.deepEqual(await nextClose(others), [1006, '']);
  });
});
