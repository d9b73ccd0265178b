'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { DEDICATED_COMPRESSOR, DEDICATED_DECOMPRESSOR, SHARED_COMPRESSOR } = require('tidewire');
const { BINARY, CLOSE, PING, PONG, TEXT, connectRaw, frame } = require('./support/raw_client');
const { BOUND, observe } = require('./support/server');
const { COMPRESSED_VIOLATIONS, LIMITS, OFFER, VIOLATIONS } = require('./support/violations');

const echo = (ws, message, isBinary) => ws.send(message, isBinary);

/** What the close handler gets. */
async function closeOf(events) {
  for (;;) {
    const [name, , code, reason] = await events.next();
    if (name === 'close') return { code, reason };
  }
}

/**
 * The peer is told, the handler is told once, what came before is delivered and echoed, what comes behind is not.
 * @param {import('node:test').TestContext} context
 * @param {typeof VIOLATIONS[number]} violation
 * @param {number} [compression] that the client agrees on
 */
async function checkViolation(context, { bytes, code, reason }, compression) {
  const { port, events } = observe(context, { ...LIMITS, compression, message: echo });
  const client = await connectRaw(context, port, compression === undefined ? {} : { extensions: OFFER });
  client.write(frame(TEXT, 'first'), frame(BINARY, 'second'), frame(PONG, 'third'), bytes);
  assert.deepEqual(await closeOf(events), { code: 1006, reason });

  const answer = [];
  while (answer.at(-1)?.opcode !== CLOSE) answer.push(await client.frames.next());
  const close = answer.pop();
  assert.equal(close.payload.readUInt16BE(), code);
  assert.match(close.payload.toString('utf8', 2), /^[ -~]{5,}$/);
  const echoed = answer.filter(({ opcode }) => opcode !== PONG).map(({ payload }) => `${payload}`);
  assert.deepEqual(echoed, ['first', 'second']);

  client.write(frame(TEXT, 'late'), frame(PING, 'late'), bytes);
  client.socket.end();
  assert.equal(await client.ended, 'fin');
  const told = events.all.map(([event]) => event).filter((event) => event !== 'ping');
  assert.deepEqual(told, ['open', 'message', 'message', 'pong', 'close']);
}

describe('a violation', () => {
  for (const violation of VIOLATIONS) {
    test(`${violation.name}: ${violation.code} for the peer`, BOUND, (context) =>
      checkViolation(context, violation),
    );
  }

  test('each has a name of its own', () => {
    assert.equal(new Set(VIOLATIONS.map(({ name }) => name)).size, VIOLATIONS.length);
    assert.deepEqual([...new Set(VIOLATIONS.map(({ code }) => code))].sort(), [1002, 1007, 1008, 1009]);
  });
});

const WAYS = { shared: SHARED_COMPRESSOR, dedicated: DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR };

for (const [name, compression] of Object.entries(WAYS)) {
  describe(`a violation where compression is ${name}`, () => {
    for (const violation of COMPRESSED_VIOLATIONS) {
      test(`${violation.name}: ${violation.code} for the peer`, BOUND, (context) =>
        checkViolation(context, violation, compression),
      );
    }
  });
}
