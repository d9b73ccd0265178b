'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { runScript } = require('../support/child');

const ROUNDS = 25;

/** Starts workers with an App each, and terminates them while clients send as fast as they can. */
async function rounds(count) {
  const { Worker } = require('node:worker_threads');
  const { once } = require('node:events');
  const WebSocket = require('./__test__/support/ws');
  const source = `
    const { parentPort } = require('node:worker_threads');
    const { App, us_socket_local_port } = require('tidewire');
    const app = App({ threads: 2 });
    app.ws('/*', {
      message: (ws, message, isBinary) => {
        for (let copy = 0; copy < 5; copy++) ws.send(message, isBinary);
      },
    });
    app.listen('127.0.0.1', 0, (token) => parentPort.postMessage(us_socket_local_port(token)));
  `;
  for (let round = 0; round < count; round++) {
    const worker = new Worker(source, { eval: true });
    const [port] = await once(worker, 'message');
    let echoed = 0;
    const clients = Array.from({ length: 10 }, () => new WebSocket(`ws://127.0.0.1:${port}`));
    const closes = clients.map((client, number) => {
      client.on('error', () => {});
      client.on('open', () => {
        for (let at = 0; at < 50; at++) client.send(Buffer.alloc(number % 2 ? 6_000 : 20));
      });
      client.on('message', () => {
        if (++echoed % 5 === 0 && client.readyState === 1) client.send('more');
      });
      return new Promise((resolve) => client.on('close', resolve));
    });
    // A round ends early, or in the middle of the load.
    while (echoed < (round % 5) * 200) await new Promise(setImmediate);
    await worker.terminate();
    await Promise.all(closes);
    console.log(JSON.stringify(round));
  }
}

test('a worker thread with an App is terminated under load, again and again', {
  timeout: 60_000,
}, async (context) => {
  const child = runScript(context, rounds, ROUNDS);
  for (let round = 0; round < ROUNDS; round++) assert.equal(await child.value(), round);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});

test('a worker thread ends by itself when its App has nothing left', { timeout: 60_000 }, async (context) => {
  const child = runScript(context, () => {
    const { Worker } = require('node:worker_threads');
    const source = `
      const { App } = require('tidewire');
      const app = App();
      app.listen('127.0.0.1', 0, () => setTimeout(() => app.close(), 20));
    `;
    new Worker(source, { eval: true }).on('exit', (code) => console.log(JSON.stringify({ code })));
  });
  assert.deepEqual(await child.value(), { code: 0 });
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test('a worker thread that exits in a handler takes nothing with it', {
  timeout: 60_000,
}, async (context) => {
  const child = runScript(context, async () => {
    const { Worker } = require('node:worker_threads');
    const WebSocket = require('./__test__/support/ws');
    const source = `
      const { parentPort } = require('node:worker_threads');
      const { App, us_socket_local_port } = require('tidewire');
      const app = App();
      app.ws('/*', { message: () => process.exit(3) });
      app.listen('127.0.0.1', 0, (token) => parentPort.postMessage(us_socket_local_port(token)));
    `;
    for (let round = 0; round < 10; round++) {
      const worker = new Worker(source, { eval: true });
      worker.on('message', (port) => {
        const client = new WebSocket(`ws://127.0.0.1:${port}`);
        client.on('error', () => {});
        client.on('open', () => client.send('x'));
      });
      const code = await new Promise((resolve) => worker.on('exit', resolve));
      console.log(JSON.stringify(code));
    }
  });
  for (let round = 0; round < 10; round++) assert.equal(await child.value(), 3);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});
