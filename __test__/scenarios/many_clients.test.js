'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('../support/client');
const { BOUND, serve } = require('../support/server');

const CLIENTS = 1_000;
const MESSAGES = 100;
/** Handshakes under way at a time. */
const ARRIVING = 100;

for (const threads of [1, 2]) {
  test(`1,000 clients with 100 messages each lose, double and reorder none, threads: ${threads}`, {
    timeout: 2 * BOUND.timeout,
  }, async (context) => {
    let opened = 0;
    let closed = 0;
    const { url } = serve(
      context,
      {
        binaryType: 'nodebuffer',
        textType: 'string',
        open: () => opened++,
        message: (ws, message, isBinary) => {
          ws.received ??= [];
          ws.received.push(isBinary ? message.readUInt32BE() : Number(message));
          ws.send(message, isBinary);
          if (ws.received.length === MESSAGES) ws.send(ws.received.join());
        },
        close: () => closed++,
      },
      { options: { threads } },
    );
    const clients = [];
    while (clients.length < CLIENTS) {
      const arriving = Array.from({ length: ARRIVING }, () => connect(context, url));
      clients.push(...(await Promise.all(arriving)));
    }
    const expectedOf = (number) => Array.from({ length: MESSAGES }, (_, at) => number * MESSAGES + at);
    for (let at = 0; at < MESSAGES; at++) {
      for (const [number, client] of clients.entries()) {
        const value = number * MESSAGES + at;
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(value);
        client.send(at % 2 ? bytes : String(value));
      }
      if (at % 10 === 0) await new Promise(setImmediate);
    }
    for (const [number, client] of clients.entries()) {
      const answers = await client.messages.take(MESSAGES + 1);
      const [received] = answers.pop();
      const expected = expectedOf(number);
      assert.deepEqual(received.toString().split(',').map(Number), expected);
      const echoed = answers.map(([data, isBinary]) => (isBinary ? data.readUInt32BE() : Number(data)));
      assert.deepEqual(echoed, expected);
    }
    assert.equal(opened, CLIENTS);
    for (const client of clients) client.socket.close(1000);
    for (const client of clients) assert.equal((await client.closed).code, 1000);
    while (closed < CLIENTS) await new Promise(setImmediate);
    assert.ok(clients.every(({ messages }) => messages.all.length === MESSAGES + 1));
  });
}
