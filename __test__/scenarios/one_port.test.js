'use strict';

/** Several JavaScript threads on one port: by the kernel, and by an acceptor that is stormed while threads end. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { BOUND } = require('../support/server');
const { startWorker } = require('../support/worker_app');

const ONLY_LINUX = process.platform === 'linux' ? false : 'only Linux shares a port among sockets';

const WORKERS = ['a', 'b', 'c', 'd'];

/** The kernel chooses by the client's port: that it passes one of four by so often is a matter of 10^-60. */
const MOST_CLIENTS = 500;

test('worker threads that listen on the same port all get connections, and one that ends loses only its own', {
  ...BOUND,
  skip: ONLY_LINUX,
}, async (context) => {
  const [name, ...others] = WORKERS;
  const workers = new Map([[name, await startWorker(context, name, 0)]]);
  const port = workers.get(name).answer;
  for (const other of others) workers.set(other, await startWorker(context, other, port));
  for (const worker of workers.values()) assert.equal(worker.answer, port);

  const clients = new Map();
  const greet = async () => {
    const client = await connect(context, `ws://127.0.0.1:${port}`);
    const greeted = await client.text();
    clients.set(greeted, [...(clients.get(greeted) ?? []), client]);
    return greeted;
  };
  for (let count = 0; count < MOST_CLIENTS && clients.size < WORKERS.length; count++) await greet();
  assert.deepEqual([...clients.keys()].sort(), WORKERS);

  await workers.get('b').worker.terminate();
  for (const lost of clients.get('b')) assert.equal((await lost.closed).code, 1006);
  for (const kept of ['a', 'c', 'd'].flatMap((other) => clients.get(other))) {
    kept.send('still here');
    assert.equal(await kept.text(), 'still here');
  }
  for (let count = 0; count < 20; count++) assert.notEqual(await greet(), 'b');
});

const ROUNDS = 20;

/** Clients come without pause, while the threads that they are passed to end and others take their place. */
async function storm(rounds) {
  const { once } = require('node:events');
  const { Worker } = require('node:worker_threads');
  const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
  const WebSocket = require('./__test__/support/ws');
  const source = `
    const { parentPort } = require('node:worker_threads');
    const app = require('tidewire').App({ threads: 2 });
    app.ws('/*', { open: (ws) => ws.send('child') });
    parentPort.postMessage(app.getDescriptor());
  `;
  const acceptor = App();
  acceptor.ws('/*', { open: (ws) => ws.send('acceptor') });
  const token = await acceptor.listen('127.0.0.1', 0);
  const url = `ws://127.0.0.1:${us_socket_local_port(token)}`;
  const hire = async () => {
    const worker = new Worker(source, { eval: true });
    const [descriptor] = await once(worker, 'message');
    acceptor.addChildAppDescriptor(descriptor);
    return worker;
  };
  const workers = [await hire(), await hire()];
  let storming = true;
  const outcomes = { greeted: 0, lost: 0, strange: 0 };
  const client = async () => {
    while (storming) {
      const socket = new WebSocket(url);
      const outcome = await new Promise((resolve) => {
        socket.on('message', () => resolve('greeted'));
        // Reset, or ended before the 101: its thread had it already, and is gone.
        socket.on('error', ({ code, message }) => {
          resolve(code === 'ECONNRESET' || message === 'socket hang up' ? 'lost' : 'strange');
        });
        socket.on('close', () => resolve('lost'));
      });
      outcomes[outcome]++;
      socket.terminate();
    }
  };
  const clients = Array.from({ length: 20 }, client);
  for (let round = 0; round < rounds; round++) {
    const before = outcomes.greeted;
    // The last rounds have a time without any child.
    const replacement = round % 3 === 2 ? undefined : hire();
    await workers[round % 2].terminate();
    workers[round % 2] = (await replacement) ?? (await hire());
    while (outcomes.greeted < before + 20) await new Promise(setImmediate);
    console.log(JSON.stringify(round));
  }
  storming = false;
  await Promise.all(clients);
  us_listen_socket_close(token);
  console.log(JSON.stringify(outcomes));
}

test('threads end and others take their place while connections come without pause', {
  timeout: 120_000,
}, async (context) => {
  const child = runScript(context, storm, ROUNDS);
  for (let round = 0; round < ROUNDS; round++) assert.equal(await child.value(), round);
  const { greeted, lost, strange } = await child.value();
  assert.equal(strange, 0);
  assert.ok(greeted >= ROUNDS * 20);
  // One thread's share of those that were under way, at most: 20 clients.
  assert.ok(lost <= ROUNDS * 20, `${lost} lost, ${greeted} greeted`);
  // Nothing was terminated at the end: the threads have ended by themselves.
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
