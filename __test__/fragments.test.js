'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { connect } = require('./support/client');
const { BINARY, PING, TEXT, connectRaw } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

const CONTINUATION = 0;
const NO_WAY = [null, 1, true, {}, [], Symbol('x'), () => {}];

describe('sendFirstFragment, sendFragment, sendLastFragment', () => {
  test('send one message, with control frames in between', BOUND, async (context) => {
    const statuses = [];
    const { port } = serve(context, {
      maxBackpressure: 0,
      open(ws) {
        statuses.push(ws.send('before'), ws.sendFirstFragment('a'), ws.ping('p'));
        statuses.push(
          ws.sendFragment(new Uint8Array([98])),
          ws.sendLastFragment(undefined),
          ws.send('after'),
        );
        statuses.push(
          ws.sendFirstFragment(new Uint8Array([1]), true),
          ws.sendLastFragment('x'.repeat(100_000)),
        );
      },
    });
    const client = await connectRaw(context, port);
    const frames = await client.frames.take(8);
    const shape = ({ opcode, fin, payload }) => [
      opcode,
      fin,
      payload.length > 9 ? payload.length : `${payload}`,
    ];
    assert.deepEqual(frames.map(shape), [
      [TEXT, true, 'before'],
      [TEXT, false, 'a'],
      [PING, true, 'p'],
      [CONTINUATION, false, 'b'],
      [CONTINUATION, true, ''],
      [TEXT, true, 'after'],
      [BINARY, false, '\x01'],
      [CONTINUATION, true, 100_000],
    ]);
    assert.deepEqual(statuses, [1, 1, 1, 1, 1, 1, 1, 1]);
  });

  test('throw in the wrong order, and nothing of it reaches the wire', BOUND, async (context) => {
    const { url } = serve(context, {
      open(ws) {
        const none = { name: 'Error', code: 'TIDEWIRE_NO_FRAGMENT' };
        const open = { name: 'Error', code: 'TIDEWIRE_FRAGMENT_OPEN' };
        assert.throws(() => ws.sendFragment('x'), none);
        assert.throws(() => ws.sendLastFragment('x'), none);
        ws.sendFirstFragment('a');
        assert.throws(() => ws.send('x'), open);
        assert.throws(() => ws.sendFirstFragment('x'), open);
        ws.sendLastFragment('b');
        assert.throws(() => ws.sendLastFragment('x'), none);
        ws.send('end');
      },
    });
    const client = await connect(context, url);
    assert.deepEqual([await client.text(), await client.text()], ['ab', 'end']);
  });

  test('take text and data only, and what is none begins no message', BOUND, async (context) => {
    const { url } = serve(context, {
      open(ws) {
        const error = { name: 'TypeError', code: 'TIDEWIRE_TEXT_OR_DATA' };
        for (const value of NO_WAY) assert.throws(() => ws.sendFirstFragment(value), error);
        ws.sendFirstFragment(new DataView(new Uint8Array([1, 97, 98]).buffer, 1));
        for (const value of NO_WAY) assert.throws(() => ws.sendFragment(value), error);
        for (const value of NO_WAY) assert.throws(() => ws.sendLastFragment(value), error);
        ws.sendLastFragment(new Uint8Array(new SharedArrayBuffer(0)));
      },
    });
    const client = await connect(context, url);
    assert.equal(await client.text(), 'ab');
  });

  test('keep published messages out of the message', BOUND, async (context) => {
    const sockets = [];
    const { app, url } = serve(context, {
      open(ws) {
        ws.subscribe('news');
        sockets.push(ws);
      },
      message(ws) {
        ws.sendFirstFragment('a');
        app.publish('news', 'one');
        app.publish('news', 'y'.repeat(40_000), false, true);
        ws.sendFragment('b');
        setImmediate(() => {
          app.publish('news', 'two');
          ws.sendLastFragment('c');
          ws.send('end');
        });
      },
    });
    const client = await connect(context, url);
    client.send('go');
    const messages = (await client.messages.take(5)).map(([data]) => data.toString());
    assert.deepEqual(messages, ['abc', 'one', 'y'.repeat(40_000), 'two', 'end']);
    assert.equal(sockets.length, 1);
  });

  test('a connection that closes inside a message leaves no trace of it', BOUND, async (context) => {
    const { url } = serve(context, {
      open(ws) {
        ws.sendFirstFragment('a');
      },
      message(ws) {
        ws.close();
      },
      close(ws) {
        assert.equal(ws.sendFragment('x'), 2);
        assert.equal(ws.sendLastFragment('x'), 2);
      },
    });
    for (let round = 0; round < 3; round++) {
      const client = await connect(context, url);
      client.send('close');
      assert.equal((await client.closed).code, 1006);
    }
  });

  test('a first fragment that is dropped drops the rest of its message', BOUND, async (context) => {
    const { port, events } = observe(context, {
      maxBackpressure: 1024,
      message(ws) {
        // More than the kernel takes, in one batch: the reactor drops the fragments behind it.
        ws.send(new Uint8Array(32 * 1024 * 1024), true);
        ws.sendFirstFragment('dropped ');
        ws.sendFragment('in ');
        ws.sendLastFragment('whole');
      },
      drain(ws) {
        if (ws.getBufferedAmount() === 0) ws.send('end');
      },
    });
    const client = await connectRaw(context, port, { reads: false });
    client.socket.write(Buffer.from([0x81, 0x80, 0, 0, 0, 0]));
    let event;
    do event = await events.next();
    while (event[0] !== 'dropped');
    assert.deepEqual(event.slice(2), ['dropped ', false]);
    client.read();
    const frames = await client.frames.take(2);
    assert.deepEqual(
      frames.map(({ opcode, fin, payload }) => [opcode, fin, payload.length]),
      [
        [BINARY, true, 32 * 1024 * 1024],
        [TEXT, true, 3],
      ],
    );
  });

  test('are plain on a connection that compresses', BOUND, async (context) => {
    const { SHARED_COMPRESSOR } = require('tidewire');
    const { url } = serve(context, {
      compression: SHARED_COMPRESSOR,
      open(ws) {
        ws.sendFirstFragment('a'.repeat(500), false, true);
        ws.sendLastFragment('b', true);
        ws.send('c'.repeat(500), false, true);
      },
    });
    const client = await connect(context, url, { perMessageDeflate: true });
    assert.deepEqual([await client.text(), await client.text()], [`${'a'.repeat(500)}b`, 'c'.repeat(500)]);
  });
});
