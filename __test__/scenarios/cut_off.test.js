'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { BINARY, PING, TEXT, closeFrame, connectRaw, frame } = require('../support/raw_client');
const { BOUND, observe } = require('../support/server');

/** Heads of all lengths, a message in fragments with a ping between them, and the start of a close frame. */
const STREAM = Buffer.concat([
  frame(TEXT, 'one'),
  frame(BINARY, Buffer.alloc(130)),
  frame(TEXT, 'fr', { fin: false }),
  frame(PING, 'between'),
  frame(0, 'agment'),
  frame(BINARY, Buffer.alloc(65_536)).subarray(0, 20),
]);

/** How many whole messages the first bytes of the stream hold. */
function wholeMessages(bytes) {
  return [9, 9 + 138, 9 + 138 + 8 + 13 + 12].filter((end) => end <= bytes).length;
}

/** How a client ends, and the reason that the close handler gets. What a reset overtakes, the kernel may drop. */
const ENDS = {
  FIN: {
    end: (client, bytes) => client.socket.end(bytes),
    cause: 'fin',
    reason: 'Received TCP FIN before WebSocket close frame',
  },
  'a reset': {
    end: (client, bytes) => client.socket.write(bytes, () => client.socket.resetAndDestroy()),
    cause: 'reset',
    reason: '',
  },
};

for (const [name, { end, cause, reason }] of Object.entries(ENDS)) {
  test(`${name} behind any byte of a stream is one close`, BOUND, async (context) => {
    const { app, port, events } = observe(context, { maxPayloadLength: 100_000 });
    // Every byte of heads and small frames, and few of the zeros.
    const cuts = Array.from({ length: STREAM.length + 1 }, (_, at) => at).filter((at) => at < 20 || at > 140);
    const expected = new Map();
    for (const cut of cuts) {
      const client = await connectRaw(context, port);
      let opened = await events.next();
      while (opened[0] !== 'open') opened = await events.next();
      expected.set(opened[1], wholeMessages(cut));
      end(client, STREAM.subarray(0, cut));
    }
    const closes = () => events.all.filter(([event]) => event === 'close');
    while (closes().length < cuts.length) await events.next();

    assert.deepEqual([...new Set(closes().map(([, , code]) => code))], [1006]);
    assert.deepEqual([...new Set(closes().map(([, , , text]) => text))], [reason]);
    assert.equal(new Set(closes().map(([, ws]) => ws)).size, cuts.length);
    if (cause === 'fin') {
      for (const [, ws] of events.all.filter(([event]) => event === 'message'))
        expected.set(ws, expected.get(ws) - 1);
      assert.deepEqual([...new Set(expected.values())], [0]);
    }
    const { closes: counted, connections } = app.stats();
    assert.equal(connections, 0);
    assert.equal(counted[cause], cuts.length);
  });
}

test('a client that finishes its side is heard to the end, and then closed', BOUND, async (context) => {
  const { port, events } = observe(context, { message: (ws, message) => ws.send(message) });
  const client = await connectRaw(context, port);
  client.socket.end(Buffer.concat([frame(TEXT, 'one'), frame(TEXT, 'two')]));
  const names = [];
  while (names.at(-1) !== 'close') names.push((await events.next())[0]);
  assert.deepEqual(names, ['open', 'message', 'message', 'close']);
  assert.equal(await client.ended, 'fin');
});

test('a reset while the server writes is one close', BOUND, async (context) => {
  const { port, events } = observe(context, { maxBackpressure: 0 });
  const client = await connectRaw(context, port, { reads: false });
  const [, ws] = await events.next();
  for (let number = 0; number < 20; number++) ws.send(Buffer.alloc(1_000_000), true);
  client.socket.resetAndDestroy();
  const [name, closed, code, reason] = await events.next();
  assert.deepEqual([name, closed, code, reason], ['close', ws, 1006, '']);
  assert.equal(ws.readyState, 3);
});

test('a close frame behind our own is no second close', BOUND, async (context) => {
  const { port, events } = observe(context, { open: (ws) => ws.end(4000, 'ours') });
  const client = await connectRaw(context, port);
  assert.equal((await client.closeFrame()).code, 4000);
  client.write(closeFrame(1000, 'theirs'), closeFrame(1001), frame(TEXT, 'late'));
  client.socket.end();
  assert.equal(await client.ended, 'fin');
  const closes = events.all.filter(([event]) => event === 'close');
  assert.deepEqual(
    closes.map(([, , code, reason]) => [code, reason]),
    [[4000, 'ours']],
  );
});
