'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { App } = require('tidewire');
const { connect } = require('./support/client');
const { connectRaw, frame } = require('./support/raw_client');
const { BOUND, observe } = require('./support/server');

const SENTENCE = 'Invalid access of closed uWS.WebSocket/SSLWebSocket.';

const METHODS = {
  send: [['x'], 2],
  sendFirstFragment: [['x'], 2],
  sendFragment: [['x'], 2],
  sendLastFragment: [['x'], 2],
  ping: [['x'], 2],
  publish: [['a', 'x'], false],
  subscribe: [['a'], false],
  unsubscribe: [['a'], false],
  isSubscribed: [['a'], false],
  getTopics: [[], []],
  getBufferedAmount: [[], 0],
  getRemotePort: [[], 0],
  getRemoteAddress: [[], new ArrayBuffer(0)],
  getRemoteAddressAsText: [[], new ArrayBuffer(0)],
  end: [[], undefined],
  close: [[], undefined],
};

/** A socket whose close handler has run. */
async function closedSocket(context, options) {
  const { url, events } = observe(context, { open: (ws) => ws.end() }, { options });
  await connect(context, url);
  const [, ws] = await events.next();
  return ws;
}

describe('use after close', () => {
  for (const [name, [values]] of Object.entries(METHODS)) {
    test(`${name} throws`, BOUND, async (context) => {
      const ws = await closedSocket(context);
      assert.throws(() => ws[name](...values), { message: SENTENCE, code: 'TIDEWIRE_CLOSED' });
    });
  }

  for (const [name, [values, returned]] of Object.entries(METHODS)) {
    test(`${name} does nothing under closedSend: 'ignore'`, BOUND, async (context) => {
      const ws = await closedSocket(context, { closedSend: 'ignore' });
      assert.deepEqual(ws[name](...values), returned);
      assert.equal(ws.cork(assert.fail), ws);
    });
  }

  test('closedSend is one of two words', () => {
    assert.throws(() => App({ closedSend: 'drop' }), { code: 'TIDEWIRE_OUT_OF_RANGE' });
    assert.throws(() => App({ closedSend: true }), { code: 'TIDEWIRE_INVALID_TYPE' });
  });
});

describe('end and close', () => {
  for (const where of ['open', 'message', 'close']) {
    test(`call the close handler before they return, in ${where}`, BOUND, async (context) => {
      const trail = [];
      const others = [];
      const leave = (ws) => {
        const other = others.shift();
        for (const socket of where === 'close' ? [other, ws] : [ws]) {
          socket?.[where === 'message' ? 'close' : 'end']();
        }
        trail.push('returned');
      };
      const { url, events } = observe(context, {
        open: (ws) => (where === 'open' ? leave(ws) : others.push(ws)),
        message: (ws) => (where === 'close' ? ws.close() : leave(ws)),
        close: (ws) => {
          trail.push('close');
          if (where !== 'close') return;
          others.splice(0, others.length, ...others.filter((other) => other !== ws));
          if (others.length > 0) leave(ws);
        },
      });
      const client = await connect(context, url);
      if (where === 'close') await connect(context, url);
      if (where !== 'open') client.send('go');
      await client.closed;
      assert.deepEqual(trail, where === 'close' ? ['close', 'close', 'returned'] : ['close', 'returned']);
      const closes = () => events.all.filter(([name]) => name === 'close').length;
      assert.equal(closes(), where === 'close' ? 2 : 1);
    });
  }
});

describe('closeCause', () => {
  const ways = {
    peer: (client) => client.socket.close(1000),
    local: (client) => client.send('end'),
    reset: (client) => client.socket._socket.resetAndDestroy(),
    fin: (client) => client.socket._socket.end(),
    protocol: (client) => client.send(Buffer.alloc(100)),
  };
  for (const [cause, way] of Object.entries(ways)) {
    test(`is ${cause}, in the close handler and after it`, BOUND, async (context) => {
      const seen = [];
      const { url, events } = observe(context, {
        maxPayloadLength: 10,
        open: (ws) => seen.push(ws.closeCause),
        message: (ws) => ws.end(),
        close: (ws) => seen.push(ws.closeCause, Object.keys(ws)),
      });
      const client = await connect(context, url);
      way(client);
      let event;
      do event = await events.next();
      while (event[0] !== 'close');
      await null;
      assert.deepEqual([...seen, event[1].closeCause], [undefined, cause, [], cause]);
    });
  }

  test('is known of each of two, where the handler of one closes the other', BOUND, async (context) => {
    const open = [];
    const seen = [];
    const { url, events } = observe(context, {
      open: (ws) => open.push(ws),
      close(ws) {
        const [other] = open.filter((one) => one !== ws);
        seen.push(ws === open[0] ? 'first' : 'second', ws.closeCause, other.closeCause);
        if (ws !== open[0]) return;
        other.end();
        seen.push('first again', ws.closeCause, other.closeCause);
      },
    });
    const first = await connect(context, url);
    await connect(context, url);
    first.socket._socket.resetAndDestroy();
    for (let closed = 0; closed < 2; ) closed += (await events.next())[0] === 'close';
    await null;
    assert.deepEqual(seen, [
      ...['first', 'reset', undefined],
      ...['second', 'local', 'reset'],
      ...['first again', 'reset', 'local'],
    ]);
    assert.deepEqual(
      open.map((ws) => ws.closeCause),
      ['reset', 'local'],
    );
  });

  test('is backpressure where the limit closes', BOUND, async (context) => {
    const { port, events } = observe(context, {
      maxBackpressure: 1024,
      closeOnBackpressureLimit: true,
      message(ws) {
        ws.send(new Uint8Array(32 * 1024 * 1024), true);
        ws.send('too much');
      },
    });
    const client = await connectRaw(context, port, { reads: false });
    client.write(frame(1, 'go'));
    let event;
    do event = await events.next();
    while (event[0] !== 'close');
    assert.equal(event[1].closeCause, 'backpressure');
  });
});
