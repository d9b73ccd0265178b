'use strict';

/** What hostile clients do inside of TLS, and to it: others are served, and nothing is left behind. */

const assert = require('node:assert/strict');
const { existsSync } = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const tls = require('node:tls');
const { attacks } = require('../support/attacks');
const { localhost } = require('../support/certificates');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { trust } = require('../support/tls');
const { LIMITS } = require('../support/violations');

const MIB = 1024 * 1024;

/** Attacks that go on at the same time. */
const AT_ONCE = 20;

/** Clients that are no part of it. */
const CLIENTS = 5;

const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The server: echoes, and for each line that it reads tells what it holds. */
function server({ limits, key, cert }) {
  const uWS = require('tidewire');
  const app = uWS.SSLApp({ key, cert, threads: 2 });
  const open = new Set();
  const wrong = [];
  app.ws('/', {
    ...limits,
    compression: uWS.SHARED_COMPRESSOR,
    open: (ws) => open.add(ws),
    message: (ws, message, isBinary) => {
      if (!open.has(ws)) wrong.push('a message of nobody');
      ws.send(message, isBinary, true);
    },
    close: (ws, code) => {
      if (!open.delete(ws)) wrong.push(`a second close: ${code}`);
    },
  });
  app.listen('127.0.0.1', 0, (token) => console.log(uWS.us_socket_local_port(token)));
  process.stdin.on('data', () => {
    global.gc();
    console.log(JSON.stringify({ stats: app.stats(), open: open.size, wrong, ...process.memoryUsage() }));
  });
  process.stdin.on('end', () => app.close());
}

/** A socket of TLS that can be reset, as one of TCP can. */
function dialer(maxVersion) {
  return (port) => {
    const wire = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const socket = tls.connect({ socket: wire, host: '127.0.0.1', maxVersion, ...trust() });
    wire.on('error', () => socket.destroy());
    wire.on('close', () => {
      socket.destroy();
      // Node 18 does not say so itself where the wire was reset; others have, and nobody hears it twice.
      socket.emit('close');
    });
    return Object.assign(socket, { resetAndDestroy: () => wire.resetAndDestroy() });
  };
}

/** Makes all attacks: those of the protocols inside of TLS, and all of them without it. */
async function attackAll(port, rounds) {
  const waiting = rounds.flatMap((round) => {
    const inside = attacks(round).map(
      ([, run]) =>
        () =>
          run(port, dialer(VERSIONS[round % 2])),
    );
    const outside = attacks(round).map(
      ([, run]) =>
        () =>
          run(port),
    );
    return [...inside, ...outside];
  });
  const lane = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await next();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

test('everything hostile, inside of TLS and without it', { timeout: 180_000 }, async (context) => {
  const { key, cert } = localhost();
  const child = runScript(context, server, { limits: LIMITS, key, cert }, ['--expose-gc']);
  const port = await child.value();
  const ask = () => child.ask();
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
    Array.from({ length: CLIENTS }, () => connect(context, `wss://127.0.0.1:${port}`, trust())),
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

  // The first rounds reach every page that is used at all.
  await attackAll(port, [1, 2]);
  const before = await askUntil(isQuiet);
  await attackAll(port, [3, 4]);
  const after = await askUntil((answer) => isQuiet(answer) && answer.rss < before.rss + 8 * MIB);
  isOver = true;
  for (const count of await Promise.all(echoes)) assert.ok(count > 10, `${count} echoes`);
  assert.ok(clients.every(({ socket }) => socket.readyState === 1));

  assert.ok(isQuiet(after), JSON.stringify(after));
  assert.deepEqual(after.wrong, []);
  const { stats } = after;
  const closes = Object.values(stats.closes).reduce((sum, count) => sum + count);
  assert.equal(stats.opened, closes + CLIENTS);
  assert.equal(stats.gate.upgraded, stats.opened);
  assert.ok(stats.closes.protocol > 200, `${stats.closes.protocol} violations`);
  const { handshakes, failed } = stats.gate.tls;
  assert.ok(handshakes > 400 && failed.plainHttp > 100 && failed.notTls > 10, JSON.stringify(stats.gate.tls));
  assert.equal(failed.internal, undefined);
  const { outboxBytes, parkedBytes, arrivals } = stats.waiting;
  assert.deepEqual({ outboxBytes, parkedBytes, arrivals }, { outboxBytes: 0, parkedBytes: 0, arrivals: 0 });
  const grown = after.rss - before.rss;
  if (existsSync('/proc')) assert.ok(grown < 16 * MIB, `${grown} bytes more than before`);

  for (const client of clients) client.socket.close(1000);
  child.process.stdin.end();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
