'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const { test } = require('node:test');
const { build, load } = require('../../../bench/client');
const launch = require('../../../bench/launch');
const { canPin } = require('../../../bench/measure');
const { runBehind } = require('../../support/child');
const { opening } = require('../../support/raw_client');
const { lacking } = require('../../support/requirements');

const CLIENTS = 10_000;
/** Handshakes under way at a time. */
const ARRIVING = 200;
/** Each message of the server reaches all of 10,000: minutes on a busy machine. */
const LONG = { timeout: 570_000, skip: lacking('linux') };
/** So many come and are reset before: those who hold 10,000 connections have seen others end. */
const WARMUP = 2_000;
/** Herds: one is over in half a second, in which a single pause of the machine decides what the p99 is. */
const HERDS = 5;

/** An App that does what its standard input says, a line each, and answers by a line of JSON. */
function server() {
  const { App, us_socket_local_port } = require('tidewire');
  const tell = (value) => console.log(JSON.stringify(value));
  const sockets = new Set();
  // Of those that one client alone was sent, and that were published.
  const stuffing = { sent: 0, dropped: 0, bytes: 64 * 1024 };
  let dropped = 0;
  const app = App();
  app.ws('/*', {
    maxBackpressure: 256 * 1024,
    // No pings: clients know each byte that they are to get.
    idleTimeout: 0,
    open: (ws) => sockets.add(ws),
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    dropped: (_ws, message) => {
      if (message.byteLength === stuffing.bytes) stuffing.dropped++;
      else dropped++;
    },
    close: (ws) => sockets.delete(ws),
  });
  const pause = () => new Promise(setImmediate);
  const topics = (count) => Array.from({ length: count }, (_, number) => `topic ${number}`);
  const asked = {
    stats: () => ({ ...app.stats(), known: sockets.size, dropped, stuffing }),
    counts: (count) => topics(count).map((topic) => app.numSubscribers(topic)),
    subscribe: async (count) => {
      for (const [at, topic] of topics(count).entries()) {
        for (const ws of sockets) ws.subscribe(topic);
        if (at % 10 === 9) await pause();
      }
    },
    unsubscribe: async (count) => {
      // Every second one topic by topic, the others by their close.
      let number = 0;
      for (const ws of [...sockets]) {
        if (number++ % 2) ws.close();
        else for (const topic of topics(count)) if (!ws.unsubscribe(topic)) throw new Error(topic);
        if (number % 500 === 0) await pause();
      }
    },
    // What those get that came last, until it is dropped.
    stuff: async (count) => {
      const wanted = [...sockets].slice(-count);
      for (const ws of wanted) {
        for (let status = 1; status !== 2; stuffing.sent++) {
          status = ws.send(Buffer.alloc(stuffing.bytes), true);
          await pause();
        }
      }
    },
    publish: async ([count, of, bytes]) => {
      for (let number = 0; number < count; number++) {
        app.publish(`topic ${number % of}`, String(number).padStart(bytes, '.'), true);
        // What waits for clients that read is not to come near their limit.
        if (number % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    collect: () => global.gc(),
    end: () => process.exit(),
  };
  const lines = require('node:readline').createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const [what, argument] = JSON.parse(line);
    tell((await asked[what](argument)) ?? null);
  });
  app.listen('0.0.0.0', 0, (token) => tell(us_socket_local_port(token)));
}

/** Starts it, behind a command that runs another; `ask` has it do something. */
async function start(context, command = ['env']) {
  const child = runBehind(context, command, server, null, ['--expose-gc']);
  const port = await child.value();
  const ask = (what, argument) => {
    child.process.stdin.write(`${JSON.stringify([what, argument])}\n`);
    return child.value();
  };
  const statsWhen = async (wanted) => {
    for (;;) {
      const stats = await ask('stats');
      if (wanted(stats)) return stats;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const memory = async () => {
    await ask('collect');
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(
      readFileSync(`/proc/${child.process.pid}/status`, 'utf8'),
    );
    return kibibytes * 1024;
  };
  return { port, pid: child.process.pid, ask, statsWhen, memory };
}

/**
 * Many subscribers, all of which must get the same bytes: that is how each knows what it lacks. They are bare sockets,
 * since the bytes need no parser.
 */
class Crowd {
  sockets = [];
  /** What each gets. */
  expected = Buffer.alloc(0);
  /** How much of it each has got. */
  heard = [];
  /** Of those that got something else. */
  wrong = new Map();
  complete = 0;

  constructor(context, port) {
    this.port = port;
    context.after(() => {
      for (const socket of this.sockets) socket.destroy();
    });
  }

  async open(count) {
    for (let opened = 0; opened < count; opened += ARRIVING) {
      await Promise.all(Array.from({ length: Math.min(ARRIVING, count - opened) }, () => this.#connect()));
    }
  }

  async #connect() {
    const socket = net.connect({ port: this.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(opening());
    const [answer] = await once(socket, 'data');
    assert.match(answer.toString(), /^HTTP\/1\.1 101[\s\S]*\r\n\r\n$/);
    const id = this.sockets.push(socket) - 1;
    this.heard[id] = 0;
    socket.on('data', (bytes) => this.#hear(id, bytes));
  }

  #hear(id, bytes) {
    const from = this.heard[id];
    this.heard[id] += bytes.length;
    if (this.expected.compare(bytes, 0, bytes.length, from, Math.min(this.heard[id], this.expected.length)))
      this.wrong.set(
        id,
        `client ${id}, at ${from} of ${this.expected.length}: ${bytes.subarray(0, 200).toString('latin1')}`,
      );
    if (this.heard[id] === this.expected.length) this.complete++;
  }

  /** From now on each gets these frames. */
  expect(frames) {
    this.expected = Buffer.concat(frames);
    this.heard.fill(0);
    this.complete = 0;
  }

  /** Until so many have got all of it, and nobody anything else. */
  async all(count) {
    while (this.complete < count && this.wrong.size === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual([...this.wrong.values()].slice(0, 3), [], `${this.wrong.size} got something else`);
  }
}

/** What a server sends for `publish`. */
const published = (count, bytes) =>
  Array.from({ length: count }, (_, number) =>
    Buffer.concat([
      bytes < 126 ? Buffer.of(0x82, bytes) : Buffer.of(0x82, 126, bytes >>> 8, bytes & 255),
      Buffer.from(String(number).padStart(bytes, '.')),
    ]),
  );

/** Figures for who reads the output, by people and by programs. */
const report = (context, figures) => context.diagnostic(JSON.stringify(figures));

test('10,000 connections are reset at once and come back; others are served meanwhile, and nothing is lost', {
  ...LONG,
  skip: lacking('linux', 'cargo'),
}, async (context) => {
  // The client does not sleep: where there are two processors, each has its own.
  const pinned = canPin();
  const { port, pid, ask, statsWhen } = await start(context, pinned ? ['taskset', '-c', '0'] : ['env']);
  const { load: program, raw } = build();
  const options = ['herd', '--connections', String(CLIENTS), '--live', '50', '--warmup', String(WARMUP)];
  options.push('--rounds', String(HERDS), '--calm-seconds', '1');
  // It verifies each answer of those that talk, and that each that is back at last gets one.
  const found = await load(program, options, { port, pid }, { core: pinned ? 1 : undefined, seconds: 120 });
  assert.equal(found.back, HERDS * CLIENTS);
  assert.deepEqual(found.faults, { lost: 0, duplicated: 0, disordered: 0, corrupt: 0 });
  const ratio = ({ herdMicros, calmMicros }) => herdMicros.p99 / calmMicros.p99;
  report(context, {
    scenario: 'herd',
    connections: CLIENTS,
    resetSeconds: found.resetSeconds,
    backSeconds: found.backSeconds,
    calmP99Micros: found.calmMicros.p99,
    herdP99Micros: found.herdMicros.p99,
    resetP99Micros: found.resetMicros.p99,
    backP99Micros: found.backMicros.p99,
    p99Ratio: ratio(found),
  });
  const stats = await statsWhen(({ connections, known }) => connections === 0 && known === 0);
  assert.equal(stats.opened, WARMUP + (1 + HERDS) * CLIENTS + 50);
  assert.equal(stats.waiting.outboxBytes, 0);
  await ask('end').catch(() => {});

  // The same with a server that does nothing else: what machine and kernel let anyone have.
  const bare = await launch.start({ command: [raw] }, { core: pinned ? 0 : undefined });
  context.after(() => bare.stop());
  const bound = await load(program, options, bare, { core: pinned ? 1 : undefined, seconds: 120 });
  report(context, {
    scenario: 'herd, bare epoll server',
    calmP99Micros: bound.calmMicros.p99,
    herdP99Micros: bound.herdMicros.p99,
    p99Ratio: ratio(bound),
  });
});

test(
  '10,000 connections subscribe to 100 topics and unsubscribe: counts are exact, and the memory comes back',
  LONG,
  async (context) => {
    const TOPICS = 100;
    const { port, ask, statsWhen, memory } = await start(context);
    const crowd = new Crowd(context, port);
    await crowd.open(CLIENTS);
    await statsWhen(({ known }) => known === CLIENTS);
    const readings = [];
    for (let round = 0; round < 3; round++) {
      const before = await memory();
      const began = performance.now();
      await ask('subscribe', TOPICS);
      const subscribed = performance.now();
      assert.deepEqual(await ask('counts', TOPICS), Array(TOPICS).fill(CLIENTS));
      const full = await memory();

      crowd.expect(published(TOPICS, 20));
      await ask('publish', [TOPICS, TOPICS, 20]);
      await crowd.all(CLIENTS);

      const leaving = performance.now();
      await ask('unsubscribe', TOPICS);
      const left = performance.now();
      assert.deepEqual(await ask('counts', TOPICS), Array(TOPICS).fill(0));
      await statsWhen(({ connections, known }) => connections === CLIENTS / 2 && known === CLIENTS / 2);
      const { subscriptions, memory: held } = await ask('stats');
      assert.equal(subscriptions, 0);
      assert.ok(held.subscriptions < 1e6, `${held.subscriptions} bytes for no subscription`);
      // The allocator's part is given back some time after the traffic has ebbed, up to a minute.
      let after = await memory();
      while (after > before + (full - before) / 2) {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        after = await memory();
      }
      readings.push({
        before,
        full,
        after,
        subscribeMilliseconds: subscribed - began,
        unsubscribeMilliseconds: left - leaving,
        memoryBackMilliseconds: performance.now() - left,
      });
      await crowd.open(CLIENTS / 2);
      await statsWhen(({ known }) => known === CLIENTS);
    }
    report(context, { scenario: 'subscribe', connections: CLIENTS, topics: TOPICS, rounds: readings });
    const [{ before, full }] = readings;
    assert.ok(full - before < CLIENTS * TOPICS * 150, `${full - before} bytes for a million subscriptions`);
  },
);

test(
  '100 stalled readers among 10,000 of a busy topic cost their maxBackpressure, and the others get everything',
  LONG,
  async (context) => {
    const [MESSAGES, BYTES, STALLED, LIMIT] = [500, 200, 100, 256 * 1024];
    const { port, ask, statsWhen, memory } = await start(context);
    const crowd = new Crowd(context, port);
    await crowd.open(CLIENTS - STALLED);
    await statsWhen(({ known }) => known === CLIENTS - STALLED);
    const stalled = new Crowd(context, port);
    await stalled.open(STALLED);
    for (const socket of stalled.sockets) socket.pause();
    await statsWhen(({ known }) => known === CLIENTS);
    await ask('subscribe', 1);
    const before = await memory();
    await ask('stuff', STALLED);
    const stuffed = await statsWhen(({ stuffing }) => stuffing.dropped >= STALLED);
    const most = STALLED * (LIMIT + 2 * 64 * 1024);
    assert.ok(stuffed.waiting.outboxBytes > 0 && stuffed.waiting.outboxBytes <= most);

    crowd.expect(published(MESSAGES, BYTES));
    const began = performance.now();
    await ask('publish', [MESSAGES, 1, BYTES]);
    const stats = await ask('stats');
    await crowd.all(CLIENTS - STALLED);
    const seconds = (performance.now() - began) / 1_000;
    const done = await ask('stats');
    assert.ok(stats.waiting.outboxBytes <= most + (CLIENTS - STALLED) * LIMIT);
    assert.ok(done.waiting.outboxBytes <= most, `${done.waiting.outboxBytes} bytes wait`);
    assert.equal(done.connections, CLIENTS);
    const after = await memory();
    assert.ok(after - before < 4 * most, `${after - before} bytes more for ${STALLED} stalled readers`);
    report(context, {
      scenario: 'stalled',
      connections: CLIENTS,
      stalled: STALLED,
      deliveriesPerSecond: ((CLIENTS - STALLED) * MESSAGES) / seconds,
      waitingBytes: done.waiting.outboxBytes,
      residentBytesMore: after - before,
    });

    // When they read again they get what was kept for them, and the next message behind it: what was neither dropped nor
    // read would be missing here.
    const last = published(1, 9);
    let heard = 0;
    for (const socket of stalled.sockets) {
      socket.removeAllListeners('data');
      socket.on('data', (bytes) => {
        heard += bytes.length;
      });
      socket.resume();
    }
    await statsWhen(({ waiting }) => waiting.outboxBytes === 0);
    crowd.expect(last);
    await ask('publish', [1, 1, 9]);
    await crowd.all(CLIENTS - STALLED);
    const { stuffing, dropped } = await ask('stats');
    assert.ok(dropped > 0, 'nothing was dropped');
    const expected =
      (stuffing.sent - stuffing.dropped) * (stuffing.bytes + 10) +
      (STALLED * MESSAGES - dropped) * published(1, BYTES)[0].length +
      STALLED * last[0].length;
    while (heard < expected) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(heard, expected);
  },
);
