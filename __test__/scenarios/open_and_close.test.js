'use strict';

const assert = require('node:assert/strict');
const { existsSync } = require('node:fs');
const { test } = require('node:test');
const { runScript } = require('../support/child');

/** So many may be open in the end that were not before. */
const SPARE_DESCRIPTORS = 8;

/** Opens and closes connections in every way, and prints what the process holds before and after. */
async function cycles({ warmUp, measured }) {
  const { App, us_socket_local_port } = require('tidewire');
  const { existsSync, readdirSync } = require('node:fs');
  const net = require('node:net');
  const { closeFrame, frame, opening } = require('./__test__/support/raw_client');
  const counts = { opened: 0, closed: 0 };
  const sockets = new Set();
  const app = App({ threads: 2 });
  app.ws('/*', {
    open: (ws) => {
      counts.opened++;
      sockets.add(ws);
      ws.user = { name: 'somebody', data: 'x'.repeat(100) };
    },
    message: (ws, message) => {
      const way = Buffer.from(message).toString();
      if (way === 'end') ws.end(1000, 'you asked for it');
      else if (way === 'close') ws.close();
      else ws.send(message);
    },
    close: (ws) => {
      counts.closed++;
      sockets.delete(ws);
    },
  });
  const port = us_socket_local_port(await app.listen('127.0.0.1', 0));

  const ways = [
    (socket) => socket.write(closeFrame(1000, 'bye')),
    (socket) => socket.write(frame(1, 'end')),
    (socket) => socket.write(frame(1, 'close')),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.end(frame(1, 'half a message', { fin: false })),
    (socket) => socket.write(frame(3)),
  ];
  const cycle = (number) =>
    new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.on('close', resolve);
      socket.write(opening());
      socket.once('data', () => ways[number % ways.length](socket));
    });
  const run = async (count) => {
    let number = 0;
    const lane = async () => {
      while (number < count) await cycle(number++);
    };
    await Promise.all(Array.from({ length: 50 }, lane));
    while (counts.closed < counts.opened) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const descriptors = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);
  /** After garbage is collected, and the last sockets of the engine are gone. */
  const held = async (most) => {
    for (let turn = 0; turn < 1_000 && descriptors() > most; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (let turn = 0; turn < 3; turn++) {
      global.gc();
      await new Promise(setImmediate);
    }
    const { heapUsed, external } = process.memoryUsage();
    return { descriptors: descriptors(), heap: heapUsed, external };
  };

  await run(warmUp);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const idle = descriptors();
  const before = await held(idle);
  await run(measured);
  const after = await held(before.descriptors);
  console.log(JSON.stringify({ before, after, counts, left: sockets.size }));
  app.close();
}

test('10,000 connections that open and close leave nothing behind', { timeout: 60_000 }, async (context) => {
  const measured = 10_000;
  const warmUp = 1_000;
  const child = runScript(context, cycles, { warmUp, measured }, ['--expose-gc']);
  const { before, after, counts, left } = await child.value();
  assert.deepEqual(counts, { opened: warmUp + measured, closed: warmUp + measured });
  assert.equal(left, 0);
  // A leak would be of thousands; a few may be the runtime's own, as Deno's are.
  const more = after.descriptors - before.descriptors;
  if (existsSync('/proc/self/fd')) assert.ok(more <= SPARE_DESCRIPTORS, `${more} descriptors more`);
  const grown = after.heap - before.heap;
  // A hundred bytes kept for each connection would be a megabyte.
  assert.ok(grown < 700_000, `the heap has grown by ${grown} bytes`);
  assert.ok(
    after.external - before.external < 2 * 1024 * 1024,
    `external memory: ${after.external - before.external}`,
  );
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});
