'use strict';

/** The methods of a socket, row by row. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { connect } = require('../support/client');
const { nextClose, pair, two } = require('../support/pair');
const { CLOSE, TEXT, connectRaw } = require('../support/raw_client');
const { BOUND, observe, serve, text } = require('../support/server');

describe('WebSocket', () => {
  test('send(message, isBinary?, compress?) → 1', BOUND, async (context) => {
    const { ws, client } = await pair(context);
    const statuses = [ws.send('a'), ws.send('b', false, true), ws.send('c', true), ws.send('', true, true)];
    assert.deepEqual(statuses, [1, 1, 1, 1]);
    const messages = await client.messages.take(4);
    assert.deepEqual(messages.map(String), ['a,false', 'b,false', 'c,true', ',true']);
  });

  test('send → 0 behind backpressure, and 2 when dropped', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 30_000_000 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    const seen = new Set();
    for (let status = 1; status !== 2; ) {
      status = ws.send(Buffer.alloc(1_000_000), true);
      seen.add(status);
      await new Promise(setImmediate);
    }
    assert.deepEqual([...seen], [1, 0, 2]);
    client.read();
    while (ws.send('again') !== 1) await new Promise(setImmediate);
  });

  test('who sends until send returns 0, and waits for drain, loses nothing', BOUND, async (context) => {
    const PIECES = 2_000;
    let sent = 0;
    const fill = (ws) => {
      let status = 1;
      while (status === 1 && sent < PIECES) {
        const piece = Buffer.alloc(10_000);
        piece.writeUInt32LE(sent++);
        status = ws.send(piece, true);
      }
      assert.notEqual(status, 2);
    };
    const { port, events } = observe(context, { open: fill, drain: fill });
    const client = await connectRaw(context, port, { reads: false });
    for (let before = -1; before !== sent; ) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(sent < PIECES, 'it waits for a client that does not read');
    client.read();
    const frames = await client.frames.take(PIECES);
    for (const [number, { payload }] of frames.entries()) assert.equal(payload.readUInt32LE(), number);
    assert.ok(events.all.every(([name]) => name !== 'dropped'));
  });

  test('sendFirstFragment, sendFragment, sendLastFragment', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    assert.deepEqual([ws.sendFirstFragment('a'), ws.sendFragment('b'), ws.sendLastFragment('c')], [1, 1, 1]);
    assert.deepEqual(
      (await client.frames.take(3)).map(({ opcode, fin, payload }) => [opcode, fin, String(payload)]),
      [
        [TEXT, false, 'a'],
        [0, false, 'b'],
        [0, true, 'c'],
      ],
    );
  });

  test('ping(message?)', BOUND, async (context) => {
    const { ws, client, events } = await pair(context);
    assert.deepEqual([ws.ping(), ws.ping('x'.repeat(125))], [1, 1]);
    assert.deepEqual(await client.pings.take(2), ['', 'x'.repeat(125)]);
    assert.deepEqual(
      (await events.take(2)).map(([name]) => name),
      ['pong', 'pong'],
    );
    assert.throws(() => ws.ping('x'.repeat(126)), { name: 'RangeError', code: 'TIDEWIRE_OUT_OF_RANGE' });
  });

  test('getBufferedAmount()', BOUND, async (context) => {
    const { ws, events } = await pair(context);
    assert.equal(ws.getBufferedAmount(), 0);
    ws.send('x'.repeat(100));
    assert.ok(ws.getBufferedAmount() >= 100);
    while ((await events.next())[0] !== 'drain');
    assert.equal(ws.getBufferedAmount(), 0);
  });

  test('end(code?, message?): a close frame, then FIN', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    ws.send('before');
    ws.end(4000, 'grüße');
    assert.deepEqual(await nextClose(events), [4000, 'grüße']);
    assert.deepEqual(await client.closeFrame(), { code: 4000, reason: 'grüße' });
    assert.equal(await client.ended, 'fin');
    assert.deepEqual(
      client.frames.all.map(({ opcode }) => opcode),
      [TEXT, CLOSE],
    );
  });

  test('end: codes 0, 1005 and 1006 are not written', BOUND, async (context) => {
    for (const code of [undefined, 0, 1005, 1006]) {
      const { ws, client, events } = await pair(context);
      ws.end(code, 'unseen');
      assert.deepEqual(await client.closed, { code: 1005, reason: '' });
      assert.equal((await nextClose(events))[0], 1005);
    }
  });

  test('end: the message is cut to 123 bytes on a character boundary', BOUND, async (context) => {
    for (const [message, cut] of [
      ['x'.repeat(200), 'x'.repeat(123)],
      ['ü'.repeat(100), 'ü'.repeat(61)],
      [`xx${'🌍'.repeat(40)}`, `xx${'🌍'.repeat(30)}`],
      [Buffer.from('x'.repeat(124)), 'x'.repeat(123)],
    ]) {
      const { ws, client } = await pair(context);
      ws.end(1000, message);
      assert.deepEqual(await client.closed, { code: 1000, reason: cut });
    }
  });

  test('close(): hard, without a close frame', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    assert.equal(ws.close(), undefined);
    assert.deepEqual(await nextClose(events), [1006, '']);
    await client.ended;
    assert.deepEqual(client.frames.all, []);
  });

  test('end and close in every handler, and in the close handler itself', BOUND, async (context) => {
    const handlers = ['open', 'message', 'ping', 'pong', 'subscription', 'close'];
    for (const way of ['end', 'close']) {
      for (const name of handlers) {
        const trail = [];
        const leave = (ws) => {
          if (name === 'close') trail.push('closing');
          ws[way]();
          trail.push('returned');
        };
        const behavior = {
          [name]: leave,
          message: (ws) => (name === 'message' ? leave(ws) : name === 'close' ? ws.end() : ws.subscribe('a')),
        };
        if (name !== 'close') behavior.close = () => trail.push('closing');
        const { url } = serve(context, behavior);
        const client = await connect(context, url);
        client.socket.ping();
        client.socket.pong();
        client.send('x');
        await client.closed;
        // A subscription handler is asked again for the topic that is given up.
        const expected =
          name === 'subscription' ? ['returned', 'closing', 'returned'] : ['closing', 'returned'];
        assert.deepEqual(trail, expected, `${way} in ${name}`);
      }
    }
  });

  test('subscribe(topic) → true, unsubscribe → boolean, isSubscribed', BOUND, async (context) => {
    const { ws } = await pair(context);
    assert.deepEqual([ws.subscribe('a'), ws.subscribe('a')], [true, true]);
    assert.deepEqual([ws.isSubscribed('a'), ws.isSubscribed('b')], [true, false]);
    assert.deepEqual([ws.unsubscribe('a'), ws.unsubscribe('a'), ws.isSubscribed('a')], [true, false, false]);
  });

  test('getTopics() → string[], in the order of the subscriptions', BOUND, async (context) => {
    const { ws } = await pair(context);
    assert.deepEqual(ws.getTopics(), []);
    for (const topic of ['c', 'a', 'b', 'c']) ws.subscribe(topic);
    ws.unsubscribe('a');
    ws.subscribe('a');
    assert.deepEqual(ws.getTopics(), ['c', 'b', 'a']);
  });

  test('publish(topic, message, isBinary?, compress?) → boolean, not to itself', BOUND, async (context) => {
    const { ws, client, other } = await two(context);
    ws.subscribe('a');
    assert.equal(ws.publish('a', 'nobody else'), false);
    other.ws.subscribe('a');
    assert.deepEqual([ws.publish('a', 'text'), ws.publish('a', 'bytes', true, true)], [true, true]);
    assert.deepEqual((await other.client.messages.take(2)).map(String), ['text,false', 'bytes,true']);
    ws.send('the only one');
    assert.equal(await client.text(), 'the only one');
  });

  test('cork(callback) → ws', BOUND, async (context) => {
    const { ws, client } = await pair(context);
    let values;
    const callback = (...given) => {
      values = given;
      ws.send('a');
      ws.cork(() => ws.send('b'));
    };
    assert.equal(ws.cork(callback), ws);
    assert.deepEqual(values, []);
    assert.deepEqual([await client.text(), await client.text()], ['a', 'b']);
    assert.throws(() => ws.cork(1), { code: 'TIDEWIRE_INVALID_TYPE' });
  });

  test(
    'getRemoteAddress(), getRemoteAddressAsText(), getRemotePort(): IPv4, mapped, IPv6',
    BOUND,
    async (context) => {
      const rows = [
        ['127.0.0.1', '127.0.0.1', '7f000001', '127.0.0.1'],
        ['', '127.0.0.1', `${'0'.repeat(20)}ffff7f000001`, '0000:0000:0000:0000:0000:ffff:7f00:0001'],
        ['', '::1', `${'0'.repeat(31)}1`, '0000:0000:0000:0000:0000:0000:0000:0001'],
        ['::1', '::1', `${'0'.repeat(31)}1`, '0000:0000:0000:0000:0000:0000:0000:0001'],
      ];
      for (const [listener, host, bytes, written] of rows) {
        const { port, events } = observe(context, {}, { host: listener });
        const client = await connectRaw(context, port, { host });
        const [, ws] = await events.next();
        assert.equal(Buffer.from(ws.getRemoteAddress()).toString('hex'), bytes);
        assert.ok(
          ws.getRemoteAddress() instanceof ArrayBuffer && ws.getRemoteAddressAsText() instanceof ArrayBuffer,
        );
        assert.equal(text(ws.getRemoteAddressAsText()), written);
        assert.equal(ws.getRemotePort(), client.socket.localPort);
      }
    },
  );

  test(
    'the status of send is exact per batch: what comes behind a 0 can be dropped, which is told',
    BOUND,
    async (context) => {
      const { port, events } = observe(context, { maxBackpressure: 1_000 });
      await connectRaw(context, port, { reads: false });
      const [, ws] = await events.next();
      const statuses = [ws.send('x'), ws.send(Buffer.alloc(8_000_000), true), ws.send('behind it')];
      assert.deepEqual(statuses, [1, 0, 0]);
      for (let event = await events.next(); event[0] !== 'dropped'; event = await events.next());
      assert.deepEqual(events.all.at(-1), ['dropped', ws, 'behind it', false]);
    },
  );
});
