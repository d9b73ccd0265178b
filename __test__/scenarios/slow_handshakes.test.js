'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { connect } = require('../support/client');
const { opening } = require('../support/raw_client');
const { observe } = require('../support/server');

const SLOW_CLIENTS = 1_000;
/** Sent byte by byte, it takes longer than the ten seconds that a handshake may take. */
const REQUEST = opening('/').replace('\r\n\r\n', `\r\nX: ${'x'.repeat(100)}\r\n\r\n`);

test('a thousand clients that send a byte a second delay nobody, and are ended', {
  timeout: 60_000,
}, async (context) => {
  const { app, port, url } = observe(context, { message: (ws, message) => ws.send(message) });
  const stats = async (wanted) => {
    for (;;) {
      const { gate } = app.stats();
      if (wanted(gate)) return gate;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  const ended = [];
  const slow = await Promise.all(
    Array.from({ length: SLOW_CLIENTS }, async () => {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      context.after(() => socket.destroy());
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.on('data', (data) => assert.fail(`it was answered: ${data}`));
      socket.on('close', () => ended.push(socket));
      return socket;
    }),
  );
  let sent = 0;
  const drip = () => {
    for (const socket of slow) if (socket.writable) socket.write(REQUEST[sent]);
    sent++;
  };
  drip();
  const timer = setInterval(drip, 1_000);
  context.after(() => clearInterval(timer));
  await stats((gate) => gate.handshakes === SLOW_CLIENTS);

  // Others come in and are served while all of the slow ones are there.
  let served = 0;
  for (; ended.length === 0 && served < 100; served++) {
    const client = await connect(context, url);
    client.send(`number ${served}`);
    assert.equal(await client.text(), `number ${served}`);
    client.socket.close();
  }
  assert.equal(ended.length, 0, `only ${served} others were served before the first slow client was ended`);
  assert.ok((await stats(() => true)).handshakes >= SLOW_CLIENTS);

  // A byte each second buys nobody more time.
  const gate = await stats(({ timedOut }) => timedOut === SLOW_CLIENTS);
  assert.ok(sent < REQUEST.length);
  assert.deepEqual([gate.upgraded, gate.refused], [served, {}]);
  while (ended.length < SLOW_CLIENTS) await new Promise((resolve) => setTimeout(resolve, 10));
});
