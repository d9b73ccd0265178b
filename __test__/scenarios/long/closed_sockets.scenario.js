'use strict';

/** A million sockets that open and close: what the process holds behind them is what it held before. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { test } = require('node:test');
const { build } = require('../../../bench/client');
const { runScript } = require('../../support/child');

const SOCKETS = 1_000_000;
/** Enough that everything which grows by pages has grown, and what is compiled is compiled. */
const WARM_UP = 100_000;
const CONCURRENCY = 64;
const STEP_SECONDS = 20;
const STEPS = 200;

/** The server: on each line of its standard input it tells what it holds, after garbage is collected. */
function server() {
  const { App, us_socket_local_port } = require('tidewire');
  const { createInterface } = require('node:readline');
  const { readdirSync } = require('node:fs');
  const counts = { opened: 0, closed: 0 };
  const sockets = new Set();
  const app = App({ threads: 2 });
  app.ws('/*', {
    open: (ws) => {
      counts.opened++;
      sockets.add(ws);
      ws.user = { name: `somebody ${counts.opened}` };
      ws.subscribe(`topic ${counts.opened % 1_000}`);
    },
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    close: (ws) => {
      counts.closed++;
      sockets.delete(ws);
    },
  });
  app.listen('0.0.0.0', 0, (token) => console.log(us_socket_local_port(token)));
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    if (line === 'counts') return console.log(JSON.stringify(counts));
    if (line === 'close') {
      lines.close();
      process.stdin.destroy();
      return app.close();
    }
    for (let turn = 0; turn < 5; turn++) {
      global.gc();
      await new Promise(setImmediate);
    }
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const { memory, connections, topics } = app.stats();
    const descriptors = readdirSync('/proc/self/fd').length;
    console.log(
      JSON.stringify({
        heapUsed,
        external,
        arrayBuffers,
        memory,
        connections,
        topics,
        descriptors,
        left: sockets.size,
      }),
    );
  });
}

/** Opens and closes connections for a while. */
function churn(program, port) {
  const options = [
    '--concurrency',
    CONCURRENCY,
    '--seconds',
    STEP_SECONDS,
    '--warmup-seconds',
    0,
    '--echo',
    '--json',
  ];
  const client = spawn(program, ['churn', '--port', port, ...options].map(String), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  client.stderr.on('data', (piece) => {
    errors += piece;
  });
  client.stdout.resume();
  return new Promise((resolve, reject) => {
    client.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`the load client: ${errors}`))));
  });
}

test(`${SOCKETS.toLocaleString('en')} sockets that open and close leave nothing behind`, {
  timeout: 3_600_000,
  skip: process.platform !== 'linux' && 'the load goes to many loopback addresses, which Linux alone has',
}, async (context) => {
  const { load } = build();
  const child = runScript(context, server, null, ['--expose-gc']);
  const port = await child.value();
  const ask = (line) => {
    child.process.stdin.write(`${line}\n`);
    return child.value();
  };
  const until = async (count) => {
    for (let step = 0; step < STEPS; step++) {
      const { opened } = await ask('counts');
      if (opened >= count) break;
      await churn(load, port);
    }
    for (let turn = 0; turn < 1_000; turn++) {
      const counts = await ask('counts');
      if (counts.closed === counts.opened) return counts;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('not each open has a close');
  };
  /** Of the reactors' memory what is given back when a burst has ebbed. */
  const settled = async () => {
    let held = await ask('held');
    for (let turn = 0; turn < 30; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const next = await ask('held');
      if (next.memory.total === held.memory.total && next.descriptors === held.descriptors) return next;
      held = next;
    }
    return held;
  };
  const { opened: warm } = await until(WARM_UP);
  const before = await settled();
  const { opened, closed } = await until(warm + SOCKETS);
  const after = await settled();
  context.diagnostic(JSON.stringify({ opened, closed, before, after }));
  assert.ok(opened - warm >= SOCKETS, `only ${opened - warm} were opened`);
  assert.equal(closed, opened);
  assert.deepEqual([after.left, after.connections, after.topics], [0, 0, 0]);
  assert.equal(after.descriptors, before.descriptors);
  for (const name of ['heapUsed', 'external', 'arrayBuffers']) {
    assert.ok(after[name] <= before[name] * 1.02, `${name}: ${before[name]} before, ${after[name]} after`);
  }
  assert.ok(after.memory.total <= before.memory.total * 1.02, 'the memory that app.stats() tells of');
  child.process.stdin.write('close\n');
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});
