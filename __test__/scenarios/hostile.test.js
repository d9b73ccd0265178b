'use strict';

const assert = require('node:assert/strict');
const { existsSync } = require('node:fs');
const { test } = require('node:test');
const { attacks, slowHandshake } = require('../support/attacks');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { LIMITS } = require('../support/violations');

const MIB = 1024 * 1024;

/** Attacks that go on at the same time. */
const AT_ONCE = 40;

/** Clients that are no part of it. */
const CLIENTS = 5;

/** Handshakes that go on through all of it, until the server has waited for long enough. */
const SLOW_HANDSHAKES = 100;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The server: echoes, and for each line that it reads tells what it holds. */
function server(limits) {
  const uWS = require('tidewire');
  const { App, us_socket_local_port } = uWS;
  const app = App({ threads: 2 });
  const open = new Set();
  const wrong = [];
  app.ws('/', {
    ...limits,
    compression: uWS.DEDICATED_COMPRESSOR_4KB | uWS.DEDICATED_DECOMPRESSOR_4KB,
    open: (ws) => open.add(ws),
    message: (ws, message, isBinary) => {
      if (!open.has(ws)) wrong.push('a message of nobody');
      if (message.byteLength > limits.maxPayloadLength) wrong.push(`a message of ${message.byteLength}`);
      ws.send(message, isBinary, true);
    },
    close: (ws, code, reason) => {
      if (!open.delete(ws)) wrong.push(`a second close: ${code}`);
      const text = Buffer.from(reason).toString();
      const known = /^$|^Received |^again$/.test(text) && [1000, 1005, 1006].includes(code);
      if (!known) wrong.push(`closed with ${code} ${text}`);
    },
  });
  app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
  process.stdin.on('data', () => {
    global.gc();
    console.log(JSON.stringify({ stats: app.stats(), open: open.size, wrong, ...process.memoryUsage() }));
  });
  process.stdin.on('end', () => app.close());
}

/** Makes all attacks of the given rounds. */
async function attackAll(port, rounds) {
  const waiting = rounds.flatMap((round) => attacks(round));
  const names = new Set();
  const lane = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [name, run] = next;
      names.add(name);
      await run(port);
      names.delete(name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  assert.equal(names.size, 0);
}

test('everything hostile at once: others are served, and nothing is left behind', {
  timeout: 180_000,
}, async (context) => {
  const child = runScript(context, server, LIMITS, ['--expose-gc']);
  const port = await child.value();
  const ask = () => child.ask();
  /** Asks until the answer is as wanted, for a minute at most, and returns the last one. */
  const askUntil = async (wanted) => {
    let answer = await ask();
    for (let turn = 0; turn < 240 && !wanted(answer); turn++) {
      await pause(250);
      answer = await ask();
    }
    return answer;
  };
  const isQuiet = ({ stats, open }) =>
    open === CLIENTS && stats.connections === CLIENTS && stats.gate.handshakes === 0;

  let isOver = false;
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => connect(context, `ws://127.0.0.1:${port}`)),
  );
  const echoes = clients.map(async (client, which) => {
    let number = 0;
    for (; !isOver; number++) {
      client.send(`${which}: ${number}`);
      assert.equal(await client.text(), `${which}: ${number}`);
      await pause(1);
    }
    return number;
  });

  const slow = Array.from({ length: SLOW_HANDSHAKES }, () => slowHandshake(port));

  // The first rounds reach every page that is used at all.
  await attackAll(port, [1, 2]);
  const before = await askUntil(({ open }) => open === CLIENTS);
  await attackAll(port, [3, 4, 5, 6, 7]);
  const after = await askUntil((answer) => isQuiet(answer) && answer.rss < before.rss + 8 * MIB);
  await Promise.all(slow);
  isOver = true;

  const echoed = await Promise.all(echoes);
  assert.ok(
    echoed.every((count) => count > 10),
    `${echoed} echoes`,
  );
  assert.ok(
    clients.every(
      ({ socket, messages }, at) => socket.readyState === 1 && messages.all.length === echoed[at],
    ),
  );

  assert.ok(isQuiet(after), JSON.stringify(after));
  assert.deepEqual(after.wrong, []);
  const { stats } = after;
  const closes = Object.values(stats.closes).reduce((sum, count) => sum + count);
  assert.equal(stats.opened, closes + CLIENTS);
  assert.equal(stats.gate.upgraded, stats.opened);
  assert.ok(stats.closes.protocol > 500, `${stats.closes.protocol} violations`);
  // What JavaScript and the reactor have not taken yet is on its way.
  const { outboxBytes, parkedBytes, arrivals } = stats.waiting;
  assert.deepEqual({ outboxBytes, parkedBytes, arrivals }, { outboxBytes: 0, parkedBytes: 0, arrivals: 0 });
  const grown = after.rss - before.rss;
  if (existsSync('/proc')) assert.ok(grown < 16 * MIB, `${grown} bytes more than before`);
  assert.ok(after.heapUsed - before.heapUsed < 2 * MIB, `heap: ${after.heapUsed - before.heapUsed}`);

  for (const client of clients) client.socket.close(1000);
  child.process.stdin.end();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
