'use strict';

/** What holds for a socket whatever is called on it: identity, properties, states and order. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { pair, two } = require('../support/pair');
const { PING, TEXT, connectRaw } = require('../support/raw_client');
const { BOUND, observe } = require('../support/server');

const CLOSED = { name: 'Error', message: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.' };

describe('a socket', () => {
  test('getUserData() === ws, and any property may be set on it', BOUND, async (context) => {
    const { ws } = await pair(context);
    assert.equal(ws.getUserData(), ws);
    assert.ok(Object.isExtensible(ws));
    const key = Symbol('mine');
    Object.assign(ws, { name: 'ann', [key]: 1, send2: ws.send });
    assert.deepEqual([ws.name, ws[key], ws.send2('x')], ['ann', 1, 1]);
    assert.deepEqual(Object.keys(ws), ['name', 'send2']);
  });

  test('the same object in every handler: a key of a Map', BOUND, async (context) => {
    const { ws, client, events } = await pair(context, {
      subscription: (socket) => seen.set(socket, 'subscription'),
    });
    const seen = new Map([[ws, 'open']]);
    ws.subscribe('a');
    client.socket.ping();
    client.socket.pong();
    client.send('x');
    client.socket.close();
    for (const [, socket] of await events.take(4)) seen.set(socket, 'later');
    assert.deepEqual([...seen.keys()], [ws]);
  });

  test(
    'after the close handler: getUserData() and own properties work, every other method throws',
    BOUND,
    async (context) => {
      const { ws } = await pair(context);
      ws.mine = 1;
      ws.close();
      assert.deepEqual([ws.getUserData(), ws.mine, ws.readyState, ws.closeCause], [ws, 1, 3, 'local']);
      const names = Object.getOwnPropertyNames(Object.getPrototypeOf(ws));
      const works = ['constructor', 'getUserData', 'readyState', 'closeCause'];
      const methods = names.filter((name) => !works.includes(name));
      assert.equal(methods.length, 17);
      for (const name of methods) assert.throws(() => ws[name]('x', 'y'), CLOSED, name);
    },
  );

  test("closedSend: 'ignore': send returns 2, and the others do nothing", BOUND, async (context) => {
    const { ws } = await pair(context, {}, { options: { closedSend: 'ignore' } });
    ws.close();
    assert.deepEqual([ws.send('x'), ws.publish('a', 'x'), ws.getTopics()], [2, false, []]);
    assert.deepEqual([ws.end(), ws.close(), ws.readyState], [undefined, undefined, 3]);
  });

  test('readyState as in browsers: open, closing, closed; never throws', BOUND, async (context) => {
    const seen = [];
    const note = (ws) => seen.push(ws.readyState);
    const { ws } = await pair(context, { open: note, close: note });
    ws.end();
    note(ws);
    assert.deepEqual(seen, [1, 2, 3]);
  });

  test('publish and send are totally ordered for each socket, in and out of cork', BOUND, async (context) => {
    const { ws, client, other, app } = await two(context, { maxBackpressure: 0 });
    ws.subscribe('a');
    let number = 0;
    const kinds = [
      () => ws.send(`${number++}`),
      () => app.publish('a', `${number++}`),
      () => other.ws.publish('a', `${number++}`),
      () => ws.cork(() => ws.send(`${number++}`)),
      () => ws.cork(() => app.publish('a', `${number++}`)),
      // A large one crosses by a call of its own.
      () => ws.send(`${number++}`.padEnd(100_000)),
      () => app.publish('a', `${number++}`.padEnd(100_000)),
    ];
    for (let round = 0; round < 200; round++) kinds[(round * 5 + (round >> 3)) % kinds.length]();
    const messages = await client.messages.take(200);
    assert.deepEqual(
      messages.map(([data]) => Number(data)),
      Array.from({ length: 200 }, (_, index) => index),
    );
  });

  test('a ping keeps its place among messages', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    ws.send('1');
    ws.ping('2');
    ws.send('3');
    const frames = await client.frames.take(3);
    assert.deepEqual(
      frames.map(({ opcode }) => opcode),
      [TEXT, PING, TEXT],
    );
  });
});
