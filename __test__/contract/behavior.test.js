'use strict';

/** The options of a route, row by row. What takes seconds or megabytes is in `behavior.test.js`. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { App, SHARED_COMPRESSOR } = require('tidewire');
const WebSocket = require('../support/ws');
const { connect } = require('../support/client');
const { runScript } = require('../support/child');
const { nextClose, pair } = require('../support/pair');
const { BINARY, TEXT, connectRaw, frame } = require('../support/raw_client');
const { BOUND, observe, serve } = require('../support/server');

const CONTINUATION = 0;

/** Which values an option takes, and which are out of its range. */
function bounds(name, accepted, refused) {
  const app = App();
  for (const value of [undefined, ...accepted]) assert.equal(app.ws('/a', { [name]: value }), app);
  for (const value of refused) {
    assert.throws(() => app.ws('/a', { [name]: value }), {
      name: 'RangeError',
      code: 'TIDEWIRE_OUT_OF_RANGE',
    });
  }
  assert.throws(() => app.ws('/a', { [name]: 'many' }), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
}

/** Sends frames by hand; returns what the close handler gets, and the peer's close frame. */
async function violated(context, behavior, ...frames) {
  const { port, events } = observe(context, behavior);
  const client = await connectRaw(context, port);
  client.write(...frames);
  return { told: await nextClose(events), seen: await client.closeFrame() };
}

describe('WebSocketBehavior', () => {
  test(
    'maxPayloadLength, 16 KiB by default: over fragments, the handler 1006, the peer 1009',
    BOUND,
    async (context) => {
      bounds('maxPayloadLength', [1, 2 ** 31 - 1], [0, -1, 1.5, 2 ** 31, Number.NaN]);
      const expected = { told: [1006, 'Received too big message'], seen: 1009 };
      const cases = [
        [{}, frame(BINARY, Buffer.alloc(16 * 1024 + 1))],
        [{ maxPayloadLength: 5 }, frame(TEXT, 'abc', { fin: false }), frame(CONTINUATION, 'def')],
      ];
      for (const [behavior, ...frames] of cases) {
        const { told, seen } = await violated(context, behavior, ...frames);
        assert.deepEqual({ told, seen: seen.code }, expected);
      }
      const { client, events } = await pair(context);
      client.send(Buffer.alloc(16 * 1024, 'a'));
      assert.equal((await events.next())[2].length, 16 * 1024);
    },
  );

  test('maxPayloadLength after inflate', BOUND, async (context) => {
    const { url, events } = observe(context, { maxPayloadLength: 100, compression: SHARED_COMPRESSOR });
    const client = await connect(context, url, { perMessageDeflate: { threshold: 0 } });
    client.send('a'.repeat(10_000));
    assert.deepEqual(await nextClose(events), [1006, 'Received too big message']);
    assert.equal((await client.closed).code, 1009);
  });

  test('idleTimeout: 0 is off, else 8 to 960', () => {
    bounds('idleTimeout', [0, 8, 10, 120, 960], [1, 7, 961, -8, 8.5]);
  });

  test('sendPingsAutomatically', () => {
    const app = App();
    for (const value of [undefined, true, false]) app.ws('/a', { sendPingsAutomatically: value });
    assert.throws(() => app.ws('/a', { sendPingsAutomatically: 1 }), { code: 'TIDEWIRE_INVALID_TYPE' });
  });

  test('maxLifetime: 0 is off, 1 to 239', () => bounds('maxLifetime', [0, 1, 239], [-1, 240, 0.5]));

  test(
    'maxBackpressure: a message sent while more waits is dropped; one may overshoot',
    BOUND,
    async (context) => {
      bounds('maxBackpressure', [0, 1, 2 ** 31 - 1], [-1, 2 ** 31]);
      const { port, events } = observe(context, { maxBackpressure: 1024 });
      await connectRaw(context, port, { reads: false });
      const [, ws] = await events.next();
      assert.notEqual(ws.send(Buffer.alloc(32 * 1024 * 1024), true), 2);
      let status;
      do {
        await new Promise(setImmediate);
        status = ws.send('dropped');
      } while (status !== 2);
      assert.deepEqual(events.all.at(-1), ['dropped', ws, 'dropped', false]);
      assert.equal(ws.readyState, 1);
    },
  );

  test('maxBackpressure of 0 is unlimited', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 0 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    const big = Buffer.alloc(8 * 1024 * 1024);
    for (let count = 0; count < 4; count++) {
      assert.notEqual(ws.send(big, true), 2);
      await new Promise(setImmediate);
    }
    client.read();
    const frames = await client.frames.take(4);
    assert.ok(frames.every(({ payload }) => payload.length === big.length));
  });

  test('closeOnBackpressureLimit: a drop closes the connection, 1006', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 1024, closeOnBackpressureLimit: true });
    await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    ws.send(Buffer.alloc(32 * 1024 * 1024), true);
    while (ws.readyState === 1) {
      ws.send('too much');
      await new Promise(setImmediate);
    }
    assert.deepEqual(await nextClose(events), [1006, '']);
    assert.equal(ws.closeCause, 'backpressure');
  });

  test(
    'compression: DISABLED by default, and the flag of a send is ignored where nothing was negotiated',
    BOUND,
    async (context) => {
      for (const [compression, expected] of [
        [undefined, ''],
        [SHARED_COMPRESSOR, 'permessage-deflate'],
      ]) {
        const { url } = serve(context, {
          compression,
          open: (ws) => ws.send('a'.repeat(1_000), false, true),
        });
        const client = await connect(context, url, { perMessageDeflate: true });
        assert.equal(client.socket.extensions, expected);
        assert.equal(await client.text(), 'a'.repeat(1_000));
      }
    },
  );

  test('upgrade: without it the first subprotocol offered is picked', BOUND, async (context) => {
    const { url } = serve(context, {});
    const socket = new WebSocket(url, ['b', 'a']);
    context.after(() => socket.terminate());
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    assert.equal(socket.protocol, 'b');
  });

  test("binaryType: 'arraybuffer' by default, 'nodebuffer', 'uint8array'", BOUND, async (context) => {
    const kinds = { arraybuffer: ArrayBuffer, nodebuffer: Buffer, uint8array: Uint8Array };
    for (const [binaryType, kind] of [[undefined, ArrayBuffer], ...Object.entries(kinds)]) {
      // Of the route, or of the App.
      for (const [own, options] of [[binaryType], [undefined, { binaryType }]]) {
        const seen = [];
        const message = (_ws, data) => seen.push(data);
        const behavior = { binaryType: own, message, ping: message };
        const { client, events } = await pair(context, behavior, { options });
        client.socket.ping('p');
        client.send('text', Buffer.from('bytes'));
        await events.take(3);
        for (const data of seen)
          assert.ok(data instanceof kind && Buffer.isBuffer(data) === (kind === Buffer));
      }
    }
  });

  test("textType: as binaryType by default, 'string' gives strings", BOUND, async (context) => {
    const seen = [];
    const { client, events } = await pair(context, {
      textType: 'string',
      message: (_ws, data) => seen.push(data),
    });
    client.send('grüße', Buffer.from('bytes'));
    await events.take(2);
    assert.equal(seen[0], 'grüße');
    assert.ok(seen[1] instanceof ArrayBuffer);
  });

  test('maxFragments: empty ones counted, exceeded 1008', BOUND, async (context) => {
    bounds('maxFragments', [1, 131_072], [0, -1]);
    const empty = frame(CONTINUATION, '', { fin: false });
    const { told, seen } = await violated(
      context,
      { maxFragments: 3 },
      frame(TEXT, '', { fin: false }),
      empty,
      empty,
      empty,
    );
    assert.deepEqual([told[0], seen.code], [1006, 1008]);
  });

  test("origins: 'same', a list, or a function; others get 403", BOUND, async (context) => {
    const rules = ['same', ['https://good.example'], (origin) => origin === 'https://good.example'];
    for (const origins of rules) {
      const { url, port } = serve(context, { origins });
      const good = origins === 'same' ? `http://127.0.0.1:${port}` : 'https://good.example';
      await connect(context, url, { origin: good });
      await assert.rejects(connect(context, url, { origin: 'https://bad.example' }), /403/);
    }
  });

  test('an option given as undefined means its default', BOUND, async (context) => {
    const names = [
      'compression',
      'maxPayloadLength',
      'maxFragments',
      'idleTimeout',
      'sendPingsAutomatically',
    ];
    names.push(
      'maxLifetime',
      'maxBackpressure',
      'closeOnBackpressureLimit',
      'binaryType',
      'textType',
      'origins',
    );
    names.push('upgrade', 'open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close', 'subscription');
    const { url, events } = observe(context, Object.fromEntries(names.map((name) => [name, undefined])));
    const client = await connect(context, url);
    client.send('x'.repeat(16 * 1024));
    assert.deepEqual(
      (await events.take(2)).map(([name]) => name),
      ['open', 'message'],
    );
  });

  test('an unknown option warns once', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App } = require('tidewire');
      process.on('warning', ({ code, message }) =>
        console.log(JSON.stringify([code, /maxPayload\b/.test(message)])),
      );
      for (let count = 0; count < 3; count++) App().ws('/a', { maxPayload: 1, open: undefined });
      App({ maxPayload: 2 });
      setImmediate(() => console.log('"end"'));
    });
    assert.deepEqual([await child.value(), await child.value()], [['TIDEWIRE_UNKNOWN_OPTION', true], 'end']);
  });
});
