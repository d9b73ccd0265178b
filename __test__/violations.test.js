'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { BINARY, CLOSE, PING, PONG, TEXT, connectRaw, frame } = require('./support/raw_client');
const { BOUND, observe } = require('./support/server');
const { LIMITS, VIOLATIONS } = require('./support/violations');

const echo = (ws, message, isBinary) => ws.send(message, isBinary);

/** What the close handler gets. */
async function closeOf(events) {
  for (;;) {
    const [name, , code, reason] = await events.next();
    if (name === 'close') return { code, reason };
  }
}

describe('a violation', () => {
  for (const { name, bytes, code, reason } of VIOLATIONS) {
    test(`${name}: ${code} for the peer, and what came before is echoed`, BOUND, async (context) => {
      const { port, events } = observe(context, { ...LIMITS, message: echo });
      const client = await connectRaw(context, port);
      client.write(frame(TEXT, 'first'), frame(BINARY, 'second'), frame(PONG, 'third'), bytes);
      assert.deepEqual(await closeOf(events), { code: 1006, reason });

      const answer = [];
      while (answer.at(-1)?.opcode !== CLOSE) answer.push(await client.frames.next());
      const close = answer.pop();
      assert.equal(close.payload.readUInt16BE(), code);
      assert.match(close.payload.toString('utf8', 2), /^[ -~]{5,}$/);
      const echoed = answer.filter(({ opcode }) => opcode !== PONG).map(({ payload }) => `${payload}`);
      assert.deepEqual(echoed, ['first', 'second']);

      // Nothing that follows is taken, and nothing is told twice.
      client.write(frame(TEXT, 'late'), frame(PING, 'late'), bytes);
      client.socket.end();
      assert.equal(await client.ended, 'fin');
      const told = events.all.map(([event]) => event).filter((event) => event !== 'ping');
      assert.deepEqual(told, ['open', 'message', 'message', 'pong', 'close']);
    });
  }

  test('each has a name of its own', () => {
    assert.equal(new Set(VIOLATIONS.map(({ name }) => name)).size, VIOLATIONS.length);
    assert.deepEqual([...new Set(VIOLATIONS.map(({ code }) => code))].sort(), [1002, 1007, 1008, 1009]);
  });
});
