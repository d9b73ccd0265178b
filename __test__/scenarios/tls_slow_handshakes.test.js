'use strict';

/** Many clients begin handshakes of TLS that they never end: at each place where one can stop. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { connect } = require('../support/client');
const { helloBytes } = require('../support/tap');
const { serveTls, statsWhen, trust } = require('../support/tls');

const SLOW_CLIENTS = 1_000;

test(`${SLOW_CLIENTS} handshakes that stop delay nobody, and are ended`, {
  timeout: 90_000,
}, async (context) => {
  const { app, port, url } = serveTls(context);
  const live = await connect(context, url, trust());
  const hello = await helloBytes();
  const stops = [hello, hello.subarray(0, 6), hello.subarray(0, hello.length - 1), Buffer.alloc(0)];
  const ended = [];
  await Promise.all(
    Array.from({ length: SLOW_CLIENTS }, async (_, number) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      context.after(() => socket.destroy());
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.on('close', () => ended.push(socket));
      socket.resume();
      socket.write(stops[number % stops.length]);
    }),
  );
  await statsWhen(app, ({ gate }) => gate.accepted === SLOW_CLIENTS + 1);

  // Others come in, and those that are in are served, while all of the slow ones are there.
  let served = 0;
  for (; ended.length === 0 && served < 50; served++) {
    const client = await connect(context, url, trust());
    for (const each of [client, live]) {
      each.send(`number ${served}`);
      assert.equal(await each.text(), `number ${served}`);
    }
    client.socket.close();
  }
  assert.ok(served > 0, 'nobody was served before the first slow client was ended');

  const { gate } = await statsWhen(app, ({ gate }) => gate.tls.failed.timedOut === SLOW_CLIENTS);
  assert.deepEqual(gate.tls, { handshakes: served + 1, resumed: 0, failed: { timedOut: SLOW_CLIENTS } });
  await statsWhen(app, ({ gate }) => gate.handshakes === 0);
  live.send('still here');
  assert.equal(await live.text(), 'still here');
});
