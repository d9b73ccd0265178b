'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { BINARY, CLOSE, TEXT, connectRaw, frame } = require('../support/raw_client');
const { BOUND, observe, serve } = require('../support/server');

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test(
  'a client that does not read sees 0, then 2 and dropped; when it reads, drain and an empty buffer',
  BOUND,
  async (context) => {
    const chunk = Buffer.alloc(16_384, 'c');
    const drains = [];
    const { port, events } = observe(context, {
      maxBackpressure: 500_000,
      drain: (ws) => drains.push(ws.getBufferedAmount()),
    });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();

    const statuses = [];
    while (statuses.at(-1) !== 2) {
      await pause(1);
      assert.ok(statuses.length < 20_000, 'hundreds of MB were sent to a client that does not read');
      const number = Buffer.from(chunk);
      number.writeUInt32BE(statuses.length);
      statuses.push(ws.send(number, true));
    }
    for (let number = 0; number < 5; number++) assert.equal(ws.send(`dropped ${number}`), 2);
    const queued = statuses.filter((status) => status === 0).length;
    assert.ok(queued > 0, 'no message was queued');
    // It counts what is not known to be written: more than the limit and one message only for a moment.
    while (ws.getBufferedAmount() > 500_000 + 2 * chunk.length) await pause(1);
    assert.ok(ws.getBufferedAmount() > 0);

    drains.length = 0;
    client.read();
    while (ws.getBufferedAmount() > 0) await events.next();
    assert.ok(drains.length > 0);
    assert.equal(drains.at(-1), 0);
    assert.equal(ws.send('the end'), 1);
    const frames = [await client.frames.next()];
    while (frames.at(-1).opcode !== TEXT) frames.push(await client.frames.next());
    assert.equal(frames.pop().payload.toString(), 'the end');

    const dropped = events.all.filter(([name]) => name === 'dropped');
    assert.deepEqual(
      dropped.slice(-5).map(([, , data]) => data),
      Array.from({ length: 5 }, (_, number) => `dropped ${number}`),
    );
    const numbers = frames.map(({ payload }) => payload.readUInt32BE());
    assert.equal(numbers.length + dropped.length - 5, statuses.length);
    assert.ok(
      numbers.every((number, at) => at === 0 || number > numbers[at - 1]),
      'out of order',
    );
  },
);

test(
  'drain: while (getBufferedAmount() < LIMIT) send(chunk) streams to a slow client, to the end',
  BOUND,
  async (context) => {
    const LIMIT = 256 * 1024;
    const CHUNKS = 2_000;
    const fill = (ws) => {
      while (ws.readyState === 1 && ws.getBufferedAmount() < LIMIT) {
        if (ws.sent === CHUNKS) return ws.end(1000, 'all of it');
        const chunk = Buffer.alloc(ws.sent % 7 === 0 ? 100 : 20_000, ws.sent);
        chunk.writeUInt32BE(ws.sent++);
        assert.notEqual(ws.send(chunk, true), 2);
      }
    };
    const { port } = serve(context, {
      maxBackpressure: 2 * LIMIT,
      open: (ws) => {
        ws.sent = 0;
        fill(ws);
      },
      drain: fill,
    });
    const clients = await Promise.all(Array.from({ length: 3 }, () => connectRaw(context, port)));
    await Promise.all(
      clients.map(async (client, which) => {
        // One reads as fast as it can, the others stop again and again.
        const timer = setInterval(() => {
          client.socket.pause();
          setTimeout(() => client.socket.resume(), 5 * which);
        }, 15);
        context.after(() => clearInterval(timer));
        if (which === 0) clearInterval(timer);
        for (let number = 0; number < CHUNKS; number++) {
          const { opcode, payload } = await client.frames.next();
          assert.equal(opcode, BINARY);
          assert.equal(payload.readUInt32BE(), number);
          assert.equal(payload.length, number % 7 === 0 ? 100 : 20_000);
        }
        const { opcode, payload } = await client.frames.next();
        assert.deepEqual(
          [opcode, payload.readUInt16BE(), payload.toString('utf8', 2)],
          [CLOSE, 1000, 'all of it'],
        );
        clearInterval(timer);
      }),
    );
  },
);

test('a client that reads nothing does not hold up another', BOUND, async (context) => {
  const { port, events } = observe(context, {
    maxBackpressure: 0,
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  const deaf = await connectRaw(context, port, { reads: false });
  const [, ws] = await events.next();
  for (let number = 0; number < 200; number++) ws.send(Buffer.alloc(100_000), true);
  const lively = await connectRaw(context, port);
  for (let number = 0; number < 100; number++) {
    lively.write(frame(TEXT, `message ${number}`));
    assert.equal((await lively.frames.next()).payload.toString(), `message ${number}`);
  }
  assert.ok(ws.getBufferedAmount() > 0);
  deaf.read();
  await deaf.frames.take(200);
});
