'use strict';

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const { test } = require('node:test');
const { Network } = require('../../support/network');
const { lacking } = require('../../support/requirements');

/** Time limit of a test, and what it needs. */
const LONG = { timeout: 300_000, skip: lacking('linux', 'root', 'ip', 'cargo') };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * An echo that holds what it gets against the running numbers and checksums. It answers each line of its standard input
 * by its numbers.
 */
function server({ host, behavior = {}, greeting = 0 }) {
  const { App, us_socket_local_port } = require('tidewire');
  const { fault, numbered } = require('./__test__/support/numbered');
  const tell = (value) => console.log(JSON.stringify(value));
  const causes = {};
  const faults = [];
  let messages = 0;
  const app = App({ binaryType: 'nodebuffer' });
  app.ws('/*', {
    maxPayloadLength: 1 << 20,
    maxBackpressure: 0,
    ...behavior,
    open: (ws) => {
      ws.expected = 0;
      for (let number = 0; number < greeting; number++) ws.send(numbered(number, 2_000), true);
    },
    message: (ws, message) => {
      const wrong = fault(message, ws.expected++);
      if (wrong !== undefined) faults.push(wrong);
      messages++;
      ws.send(message, true);
    },
    close: (ws) => {
      causes[ws.closeCause] = (causes[ws.closeCause] ?? 0) + 1;
    },
  });
  process.stdin.on('data', () => tell({ ...app.stats(), messages, faults: faults.slice(0, 10), causes }));
  app.listen(host, 0, (token) => tell(us_socket_local_port(token)));
}

/**
 * Clients that send numbered messages, with some of each without an answer, and hold the answers against them. It tells
 * when all are connected, and at the end what was wrong.
 */
async function clients({ url, count, messages, bytes, inFlight }) {
  const WebSocket = require('./__test__/support/ws');
  const { fault, numbered } = require('./__test__/support/numbered');
  const tell = (value) => console.log(JSON.stringify(value));
  const faults = [];
  const begin = () => {
    const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 0 });
    let [sent, heard] = [0, 0];
    const send = () => sent < messages && socket.send(numbered(sent++, bytes));
    const ended = new Promise((resolve) => {
      socket.on('message', (message) => {
        const wrong = fault(message, heard++);
        if (wrong !== undefined) faults.push(wrong);
        send();
        if (heard === messages) resolve();
      });
      socket.on('close', (code) => {
        if (heard < messages) faults.push(`closed with ${code} after ${heard} of ${messages}`);
        resolve();
      });
    });
    socket.on('error', (error) => faults.push(error.message));
    const opened = new Promise((resolve) => {
      socket.on('open', resolve);
    });
    return { socket, ended, opened, start: () => Array.from({ length: inFlight }, send) };
  };
  const all = Array.from({ length: count }, begin);
  await Promise.all(all.map(({ opened }) => opened));
  tell('open');
  for (const { start } of all) start();
  await Promise.all(all.map(({ ended }) => ended));
  for (const { socket } of all) socket.close(1000);
  tell(faults.slice(0, 10));
}

/** A network, an echo on it, and how to ask that for its numbers. */
async function begin(context, setting = {}) {
  const network = new Network(context);
  const child = network.run('server', server, { host: network.host, ...setting });
  const url = `ws://${network.host}:${await child.value()}`;
  const stats = () => child.ask();
  const statsWhen = (wanted) => child.askUntil(wanted);
  const { pid } = child.process;
  const descriptors = () => readdirSync(`/proc/${pid}/fd`).length;
  const memory = () => {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return kibibytes * 1024;
  };
  return { network, url, stats, statsWhen, descriptors, memory };
}

/** A crowd that talks until all of its messages are answered, and nothing was wrong on either side. */
async function talk(place, plan) {
  const { network, url, stats, statsWhen } = place;
  const before = (await stats()).messages;
  const child = network.run('client', clients, { url, ...plan });
  assert.equal(await child.value(), 'open');
  return {
    child,
    done: async () => {
      assert.deepEqual(await child.value(), []);
      const { messages, faults } = await statsWhen(({ connections }) => connections === (plan.left ?? 0));
      assert.deepEqual(faults, []);
      assert.equal(messages - before, plan.count * plan.messages);
    },
  };
}

test('packets that are lost, late, out of order and doubled: no message is', LONG, async (context) => {
  const place = await begin(context);
  await place.network.faults('delay=10 jitter=15 loss=0.01 doubled=0.01');
  const plan = { count: 30, messages: 300, bytes: 6_000, inFlight: 8 };
  const { done } = await talk(place, plan);
  await done();
  const wire = await place.network.faults('');
  context.diagnostic(JSON.stringify({ scenario: 'faulty cable', ...plan, wire }));
  for (const fault of ['lost', 'doubled', 'overtaken'])
    assert.ok(wire[fault] > 50, `${wire[fault]} ${fault}`);
});

test('packets of 140 bytes: large messages arrive in thousands of segments', LONG, async (context) => {
  const place = await begin(context);
  place.network.mtu(140);
  await place.network.faults('delay=1 loss=0.001');
  const { done } = await talk(place, { count: 10, messages: 50, bytes: 60_000, inFlight: 2 });
  const [, segment] = /\bmss:(\d+)/.exec(place.network.sockets('server')) ?? [];
  assert.ok(segment <= 100, `a segment has ${segment} bytes`);
  await done();
});

/**
 * A client that takes a byte at a time from its kernel, and verifies the messages that greet it, or that answer its own.
 * It tells when it has the server's handshake, when `early` bytes of messages are there, and when all are.
 */
function nibbler({ host, port, messages, bytes, early, asks = false }) {
  const net = require('node:net');
  const { BINARY, frame, opening } = require('./__test__/support/raw_client');
  const { numbered } = require('./__test__/support/numbered');
  const tell = (value) => console.log(JSON.stringify(value));
  const contents = Array.from({ length: messages }, (_, number) => numbered(number, bytes));
  const expected = Buffer.concat(contents.map((content) => frame(BINARY, content, { masked: false })));
  let head = '';
  let heard = 0;
  let wrong = 0;
  const begin = () => {
    tell({ headBytes: head.length });
    if (asks) for (const content of contents) socket.write(frame(BINARY, content));
  };
  const take = (count, [byte]) => {
    if (count !== 1) throw new Error('more than a byte at once');
    if (!head.endsWith('\r\n\r\n')) {
      head += String.fromCharCode(byte);
      if (head.endsWith('\r\n\r\n')) begin();
      return true;
    }
    if (byte !== expected[heard++]) wrong++;
    if (heard === early || heard === expected.length) tell({ heard, wrong });
    return true;
  };
  const socket = net.connect({ host, port, onread: { buffer: Buffer.alloc(1), callback: take } });
  socket.write(opening());
}

test('a window of two kilobytes, and a client that takes a byte at a time', LONG, async (context) => {
  const MESSAGES = 150;
  const place = await begin(context, { greeting: MESSAGES, behavior: { idleTimeout: 0 } });
  const { network, url } = place;
  network.sysctl('client', 'net.ipv4.tcp_rmem', '2304 2304 2304');
  const { port } = new URL(url);
  const slow = Array.from({ length: 5 }, () =>
    network.run('client', nibbler, { host: network.host, port, messages: MESSAGES, bytes: 2_000 }),
  );
  for (const child of slow) {
    await child.value();
    const { heard, wrong } = await child.value();
    assert.ok(heard > 20_000);
    assert.equal(wrong, 0);
  }
  assert.equal((await place.stats()).waiting.outboxBytes, 0);
  for (const child of slow) child.process.kill('SIGKILL');
  await place.statsWhen(({ connections }) => connections === 0);
});

test('peers that acknowledge one byte at a time, beside others', LONG, async (context) => {
  const SLOW = 5;
  // Of 15 bytes, 18, and so on, behind a header of 2. The kernel sends a byte each 200 ms, by its timer of probes.
  const answers = { messages: 60, bytes: 1_978 };
  const EARLY_BYTES = 17;
  const place = await begin(context, { behavior: { idleTimeout: 0 } });
  const { network, url, stats, statsWhen } = place;
  const [host, { port }] = [network.host, new URL(url)];
  // Little is in the kernel: most of it waits in the server.
  network.sysctl('server', 'net.ipv4.tcp_wmem', '4608 4608 4608');
  await network.faults('window=1');
  const began = performance.now();
  const slow = Array.from({ length: SLOW }, () =>
    network.run('client', nibbler, { host, port, ...answers, early: EARLY_BYTES, asks: true }),
  );
  let bytes = 0;
  for (const child of slow) bytes += (await child.value()).headBytes + EARLY_BYTES;
  await statsWhen(({ messages }) => messages === SLOW * answers.messages);
  // For those who come from now on, the cable is a good one.
  await network.faults('');
  const { done } = await talk(place, { count: 20, messages: 100, bytes: 2_000, inFlight: 2, left: SLOW });
  await done();
  for (const child of slow) assert.deepEqual(await child.value(), { heard: EARLY_BYTES, wrong: 0 });
  const seconds = (performance.now() - began) / 1_000;
  const { outboxBytes } = (await stats()).waiting;
  const { narrow } = await network.faults('window=65535');
  context.diagnostic(
    JSON.stringify({ scenario: 'window of a byte', bytes, seconds, outboxBytes, ...narrow }),
  );
  assert.equal(narrow.largestSegment, 1);
  assert.equal(narrow.largestAcknowledged, 1);
  assert.ok(narrow.segments >= bytes, `${narrow.segments} segments for ${bytes} bytes`);
  assert.ok(outboxBytes > SLOW * 3_000, `${outboxBytes} bytes wait`);
  for (const child of slow) {
    const { heard, wrong } = await child.value();
    assert.ok(heard > 5_000);
    assert.equal(wrong, 0);
  }
  const { connections, waiting, faults, causes } = await stats();
  assert.deepEqual(
    { connections, faults, outboxBytes: waiting.outboxBytes },
    { connections: SLOW, faults: [], outboxBytes: 0 },
  );
  assert.equal(causes.timeout, undefined);
  for (const child of slow) child.process.kill('SIGKILL');
  await statsWhen(({ connections }) => connections === 0);
});

test(
  'peers in a black hole are freed by the idle timeout, with their memory and descriptors',
  LONG,
  async (context) => {
    const COUNT = 300;
    const place = await begin(context, { behavior: { idleTimeout: 8 } });
    const { network, stats, statsWhen, descriptors, memory } = place;
    const plan = { count: COUNT, messages: 1_000_000, bytes: 4_000, inFlight: 4 };
    // Once before, so that what a process grows by for good is there.
    const readings = [];
    for (let round = 1; round <= 3; round++) {
      const before = descriptors();
      const { child } = await talk(place, plan);
      await statsWhen(({ connections, messages }) => connections === COUNT && messages > 3_000 * round);
      assert.ok(descriptors() >= before + COUNT);
      await network.faults('cut');
      const began = performance.now();
      const { causes, waiting, faults } = await statsWhen(({ connections }) => connections === 0);
      readings.push({ seconds: (performance.now() - began) / 1_000, residentBytes: memory() });
      // Some find out earlier that their peer cannot be reached: the timeout of TCP is longer than ours.
      assert.deepEqual(causes, { timeout: round * COUNT });
      assert.equal(waiting.outboxBytes, 0);
      assert.deepEqual(faults, []);
      while (descriptors() > before) await pause(100);
      child.process.kill('SIGKILL');
      network.restart('client');
      await network.faults('');
    }
    context.diagnostic(JSON.stringify({ scenario: 'black hole', connections: COUNT, rounds: readings }));
    const [first, , last] = readings;
    assert.ok(last.residentBytes < first.residentBytes + 32e6, JSON.stringify(readings));

    const { done } = await talk(place, { ...plan, messages: 20 });
    await done();
    assert.equal((await stats()).connections, 0);
  },
);

test(
  'a cable that is cut and mended: who lives goes on, and a host that has started anew resets what it forgot',
  LONG,
  async (context) => {
    const [LIVING, FORGOTTEN] = [40, 60];
    const place = await begin(context, { behavior: { idleTimeout: 60 } });
    const { network, statsWhen } = place;
    await network.faults('delay=5');
    const living = await talk(place, { count: LIVING, messages: 400, bytes: 2_000, inFlight: 2 });
    await statsWhen(({ messages }) => messages > 1_000);
    await network.faults('cut');
    await pause(4_000);
    await network.faults('delay=5 loss=0.01');
    await living.done();

    const forgotten = await talk(place, { count: FORGOTTEN, messages: 1_000_000, bytes: 2_000, inFlight: 2 });
    await statsWhen(({ connections }) => connections === FORGOTTEN);
    await network.faults('cut');
    forgotten.child.process.kill('SIGKILL');
    await forgotten.child.exited;
    network.restart('client');
    await network.faults('');
    // What the server sends again, or its ping, is answered by a reset: nobody waits for the idle timeout.
    const { causes, faults } = await statsWhen(({ connections }) => connections === 0);
    context.diagnostic(JSON.stringify({ scenario: 'mended cable', causes }));
    assert.equal((causes.reset ?? 0) + (causes.timeout ?? 0), FORGOTTEN);
    assert.deepEqual(faults, []);
    const again = await talk(place, { count: LIVING, messages: 50, bytes: 2_000, inFlight: 2 });
    await again.done();
  },
);
