'use strict';

/** Worker threads with an App, each terminated under load: nothing of them stays in the process. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { localhost } = require('../../support/certificates');
const { runScript } = require('../../support/child');

const ROUNDS = 100;
/** Rounds in which what is loaded and made once is loaded and made. */
const WARM_UP = 5;
/** The moments of the ends are drawn from here, so that a run can be had again. */
const SEED = 20_261;

/** Prints for each round when it ended, and what was left of it. */
async function rounds({ count, seed, key, cert }) {
  const { readdirSync, readFileSync } = require('node:fs');
  const { once } = require('node:events');
  const { Worker } = require('node:worker_threads');
  const WebSocket = require('./__test__/support/ws');
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { App, SSLApp, us_socket_local_port } = require('tidewire');
    const { key, cert } = workerData;
    const app = key === undefined ? App({ threads: 2 }) : SSLApp({ threads: 2, key, cert });
    app.get('/never', (res) => res.onAborted(() => {}));
    app.ws('/*', {
      open: (ws) => ws.subscribe('all'),
      message: (ws, message, isBinary) => {
        for (let copy = 0; copy < 5; copy++) ws.send(message, isBinary);
        app.publish('all', 'news');
      },
    });
    app.listen('127.0.0.1', 0, (token) => parentPort.postMessage(us_socket_local_port(token)));
  `;
  /** Names of the process's threads that are the engine's. */
  const threads = () =>
    readdirSync('/proc/self/task').filter((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('tidewire');
      } catch {
        return false;
      }
    }).length;
  const descriptors = () => readdirSync('/proc/self/fd').length;
  let state = seed;
  const random = (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < count; round++) {
    const isSecure = round % 3 === 2;
    const worker = new Worker(source, { eval: true, workerData: isSecure ? { key, cert } : {} });
    const [port] = await once(worker, 'message');
    const ran = threads();
    let heard = 0;
    const clients = Array.from({ length: 10 }, (_, number) => {
      const client = new WebSocket(`${isSecure ? 'wss' : 'ws'}://127.0.0.1:${port}`, {
        rejectUnauthorized: false,
      });
      client.on('error', () => {});
      client.on('open', () => {
        for (let at = 0; at < 50; at++) client.send(Buffer.alloc(number % 2 ? 6_000 : 20));
      });
      client.on('message', () => {
        if (++heard % 5 === 0 && client.readyState === 1) client.send('more');
      });
      return client;
    });
    const closes = clients.map((client) => new Promise((resolve) => client.on('close', resolve)));
    const until = performance.now() + random(120);
    while (performance.now() < until) await new Promise(setImmediate);
    const began = performance.now();
    await worker.terminate();
    const left = threads();
    const milliseconds = performance.now() - began;
    await Promise.all(closes);
    console.log(JSON.stringify({ ran, left, milliseconds, heard, descriptors: descriptors() }));
  }
}

test(`${ROUNDS} worker threads are terminated under load, at any moment`, {
  timeout: 1_800_000,
  skip: process.platform !== 'linux' && 'threads are counted in /proc',
}, async (context) => {
  const { key, cert } = localhost();
  const child = runScript(context, rounds, { count: WARM_UP + ROUNDS, seed: SEED, key, cert });
  const ends = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) ends.push(await child.value());
  const times = ends.map(({ milliseconds }) => milliseconds).sort((one, other) => one - other);
  const [median, most, slowest] = [0.5, 0.95, 1].map((share) => times[Math.ceil(share * times.length) - 1]);
  const heard = ends.reduce((sum, end) => sum + end.heard, 0);
  context.diagnostic(JSON.stringify({ median, most, slowest, heard }));
  // Joined, not only told to end: they are gone once `terminate` has resolved.
  for (const [round, { left }] of ends.entries()) assert.deepEqual({ round, left }, { round, left: 0 });
  // A thread has its name when it has begun to run.
  assert.equal(Math.max(...ends.map(({ ran }) => ran)), 3);
  assert.ok(heard > ROUNDS, 'there was load');
  // Of the slowest a busy machine decides.
  assert.ok(most < 1_000, `one end in twenty took ${most} ms or more`);
  const descriptors = ends.map((end) => end.descriptors);
  assert.equal(descriptors.at(-1), descriptors[WARM_UP - 1]);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
