'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { BINARY, CLOSE, TEXT, connectRaw, frame } = require('../support/raw_client');
const { BOUND, serve } = require('../support/server');

const MEBIBYTE = 1024 * 1024;
const BUDGET = 8 * MEBIBYTE;
const options = { memoryBudget: BUDGET };
const PATIENT = { timeout: 60_000 };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until something is so. */
async function until(isSo) {
  while (!isSo()) await pause(5);
}

/** What adds up, whatever happened. */
function assertSums({ budget, closes, reactors }) {
  assert.equal(
    budget.used,
    Object.values(budget.byKind).reduce((one, other) => one + other),
  );
  assert.equal(
    closes.memory,
    reactors.reduce((sum, reactor) => sum + reactor.closes.memory, 0),
  );
  assert.ok(budget.closed >= closes.memory);
}

/** An App on two threads that answers texts and notes who is closed. */
function serveNoting(context, behavior = {}) {
  const closed = [];
  const { app, port, url } = serve(
    context,
    {
      maxBackpressure: 0,
      maxPayloadLength: 16 * MEBIBYTE,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, reason) => closed.push([ws, code, Buffer.from(reason).toString(), ws.closeCause]),
      ...behavior,
    },
    { options: { ...options, threads: 2 } },
  );
  return { app, port, url, closed };
}

/** A healthy client still gets its answers. */
async function assertServes(client, text) {
  client.send(text);
  assert.equal(await client.text(), text);
}

test(
  'slow readers do not grow beyond the budget: the worst are closed, and others served',
  PATIENT,
  async (context) => {
    const sockets = [];
    const { app, port, url, closed } = serveNoting(context, { open: (ws) => sockets.push(ws) });
    const healthy = await connect(context, url);
    await until(() => sockets.length === 1);
    const slow = await Promise.all(
      Array.from({ length: 8 }, () => connectRaw(context, port, { reads: false })),
    );
    await until(() => sockets.length === 9);
    assert.equal(app.stats().budget.acceptingStops, 0);
    // The one of the healthy client gets nothing but what it asked for.
    const [, ...others] = sockets;
    const chunk = Buffer.alloc(256 * 1024);
    let sent = 0;
    for (let turn = 0; closed.length < 4; turn++) {
      assert.ok(turn < 2_000, 'nobody was closed');
      for (const ws of others) {
        if (ws.readyState === 1 && ws.send(chunk, true) !== 2) sent += chunk.length;
      }
      const { budget } = app.stats();
      // What JavaScript has handed over since the last turn may be beyond it.
      assert.ok(budget.used < BUDGET + 16 * MEBIBYTE, `${budget.used} bytes`);
      await pause(1);
    }
    assert.ok(sent > 2 * BUDGET, `${sent} bytes were sent`);
    for (const [ws, code, reason, cause] of closed) {
      assert.notEqual(ws, sockets[0]);
      assert.deepEqual([code, reason, cause], [1013, 'the server is short of memory', 'memory']);
    }
    await assertServes(healthy, 'in the middle');
    const stats = app.stats();
    assertSums(stats);
    assert.equal(stats.closes.memory, closed.length);
    const { readingStops, acceptingStops, closings } = stats.budget;
    assert.ok(closings > 0 && readingStops > 0 && acceptingStops > 0);
    // Those that are left get what waits for them.
    for (const client of slow) client.read();
    await until(() => app.stats().budget.used < BUDGET / 100);
    await assertServes(healthy, 'afterwards');
  },
);

test('halves of messages do not, either: their clients get 1013', PATIENT, async (context) => {
  const { app, port, url, closed } = serveNoting(context);
  const healthy = await connect(context, url);
  const clients = await Promise.all(Array.from({ length: 12 }, () => connectRaw(context, port)));
  // What one has sent takes up to twice as much, since its buffer doubles.
  const piece = frame(BINARY, Buffer.alloc(640 * 1024), { fin: false });
  for (const client of clients) client.write(piece);
  await until(() => closed.length > 0);
  const [[, code, , cause]] = closed;
  assert.deepEqual([code, cause], [1013, 'memory']);
  const told = await Promise.race(clients.map((client) => client.closeFrame()));
  assert.deepEqual(told, { code: 1013, reason: 'the server is short of memory' });
  assertSums(app.stats());
  for (const client of clients) client.socket.destroy();
  await until(() => app.stats().budget.used < BUDGET / 100);
  await assertServes(healthy, 'afterwards');
});

/** A server that is blocked from the first message on, until its standard input has a byte. */
function server(budget) {
  const { readSync } = require('node:fs');
  const { App, us_socket_local_port } = require('tidewire');
  const app = App({ memoryBudget: budget, binaryType: 'nodebuffer', textType: 'string' });
  let messages = 0;
  app.ws('/*', {
    message: (ws, message) => {
      if (messages++ === 0) {
        console.log(JSON.stringify(process.memoryUsage.rss()));
        readSync(0, Buffer.alloc(1));
        console.log(JSON.stringify([app.stats(), process.memoryUsage.rss()]));
      }
      if (typeof message === 'string') ws.send(String(messages));
    },
  });
  app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
}

test('a flood that JavaScript does not take stops at the budget, closes nobody, and arrives whole', {
  ...PATIENT,
  // Its standard input cannot be read synchronously there.
  skip: process.platform === 'win32',
}, async (context) => {
  const FLOOD = 1_200;
  const FLOODERS = 4;
  const child = runScript(context, server, BUDGET);
  const port = await child.value();
  const flooders = await Promise.all(
    Array.from({ length: FLOODERS }, () => connect(context, `ws://127.0.0.1:${port}`)),
  );
  for (const flooder of flooders) {
    for (let number = 0; number < FLOOD; number++) flooder.send(Buffer.alloc(16_000));
  }
  const before = await child.value();
  const waiting = () => flooders.reduce((sum, { socket }) => sum + socket.bufferedAmount, 0);
  for (let last = -1; waiting() !== last; ) {
    last = waiting();
    await pause(1_500);
  }
  child.process.stdin.write('!');
  const [stats, after] = await child.value();
  assertSums(stats);
  assert.ok(stats.budget.used > 0.9 * BUDGET && stats.budget.used < 1.5 * BUDGET, `${stats.budget.used}`);
  assert.equal(stats.budget.closed, 0);
  assert.ok(stats.budget.readingStops >= 1);
  assert.ok(after - before < 6 * BUDGET, `${after - before} bytes more were resident`);
  for (const flooder of flooders) flooder.send('done?');
  const counts = await Promise.all(flooders.map(async (flooder) => Number(await flooder.text())));
  assert.equal(Math.max(...counts), FLOODERS * (FLOOD + 1));
  assert.equal(child.errors, '');
});

test(
  'responses that HTTP clients do not take count, and the worst of those clients is cut off',
  PATIENT,
  async (context) => {
    const { app, port, closed } = serveNoting(context);
    let aborted = 0;
    app.get('/streamed', (res) => {
      res.onAborted(() => aborted++);
      for (let number = 0; number < 12 * 64; number++) res.write(Buffer.alloc(16 * 1024));
    });
    app.get('/whole', (res) => res.end(Buffer.alloc(12 * MEBIBYTE)));
    for (let number = 0; number < 6; number++) {
      const socket = net.connect({ port, host: '127.0.0.1' });
      context.after(() => socket.destroy());
      socket.on('error', () => {});
      socket.pause();
      await once(socket, 'connect');
      socket.write(`GET /${number % 2 ? 'streamed' : 'whole'} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await pause(20);
      // What has come from JavaScript since the last look may be beyond it.
      const { used } = app.stats().budget;
      assert.ok(used < BUDGET + 36 * MEBIBYTE, `${used} bytes`);
    }
    await until(() => app.stats().budget.closed > 0);
    const stats = app.stats();
    assertSums(stats);
    assert.ok(aborted <= 3, `${aborted} were aborted`);
    assert.equal(closed.length, 0);
  },
);

test('without a budget nobody is closed', BOUND, async (context) => {
  const sockets = [];
  const { app, port } = serve(
    context,
    { maxBackpressure: 0, open: (ws) => sockets.push(ws) },
    { options: { memoryBudget: 0 } },
  );
  const client = await connectRaw(context, port, { reads: false });
  await until(() => sockets.length === 1);
  for (let number = 0; number < 64; number++) sockets[0].send(Buffer.alloc(256 * 1024), true);
  await until(() => app.stats().budget.byKind.outboxes > BUDGET);
  assert.deepEqual([app.stats().budget.closed, app.stats().budget.limit], [0, 0]);
  client.read();
  await client.frames.take(64);
  client.write(frame(CLOSE), frame(TEXT));
});
