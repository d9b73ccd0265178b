'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { opening } = require('../support/raw_client');

const FLOOD_BYTES = 16 * 1024;
/** More than the 64 MiB that may wait for JavaScript, and what the kernel buffers for a connection. */
const FLOOD_MESSAGES = 9_000;
const NEWCOMERS = 50;

/** The server: it is blocked from the first message on, until its standard input has a byte. */
function server() {
  const { readSync } = require('node:fs');
  const { App, us_socket_local_port } = require('tidewire');
  const app = App({ binaryType: 'nodebuffer', textType: 'string' });
  let messages = 0;
  app.ws('/*', {
    message: (ws, message) => {
      if (messages++ === 0) {
        console.log(JSON.stringify('blocked'));
        readSync(0, Buffer.alloc(1));
        // Before any event is taken: what the threads have done meanwhile.
        console.log(JSON.stringify(app.stats()));
      }
      if (typeof message === 'string') ws.send(message);
    },
  });
  process.once('SIGINT', () => {
    console.log(JSON.stringify(app.stats()));
    app.close();
  });
  app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
}

test('while a full intake waits for JavaScript, new clients wait in the kernel, and come in afterwards', {
  timeout: 60_000,
  // Its standard input cannot be read synchronously there.
  skip: process.platform === 'win32',
}, async (context) => {
  const child = runScript(context, server);
  const port = await child.value();
  const flooder = await connect(context, `ws://127.0.0.1:${port}`);
  for (let number = 0; number < FLOOD_MESSAGES; number++) flooder.send(Buffer.alloc(FLOOD_BYTES));
  assert.equal(await child.value(), 'blocked');
  // The flood stops when the intake is full and the kernel's buffers are, too; before, once for a second, in which
  // the reactor waits for JavaScript to take something.
  for (let last = -1; flooder.socket.bufferedAmount !== last; ) {
    last = flooder.socket.bufferedAmount;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
  assert.ok(flooder.socket.bufferedAmount > 0);

  const answers = Array.from({ length: NEWCOMERS }, async () => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(opening('/'));
    const [answer] = await once(socket, 'data');
    return String(answer).slice(0, 12);
  });
  // Time in which a gate that accepts them would have answered.
  const early = await Promise.race([
    Promise.any(answers),
    new Promise((resolve) => setTimeout(resolve, 1_000)),
  ]);
  assert.equal(early, undefined);

  child.process.stdin.write('!');
  const { gate, waiting } = await child.value();
  assert.ok(waiting.eventBytes >= 64 * 1024 * 1024, `${waiting.eventBytes} bytes waited`);
  // Those that the gate had taken when it looked last: none, or a few.
  assert.deepEqual(
    [gate.accepted, gate.acceptPauses.now, gate.acceptPauses.code],
    [1, true, 'TIDEWIRE_INTAKE_FULL'],
  );

  assert.deepEqual(await Promise.all(answers), Array(NEWCOMERS).fill('HTTP/1.1 101'));
  flooder.send('done?');
  assert.equal(await flooder.text(), 'done?');
  child.signal('SIGINT');
  const after = await child.value();
  assert.deepEqual([after.gate.accepted, after.gate.acceptPauses.now], [NEWCOMERS + 1, false]);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
