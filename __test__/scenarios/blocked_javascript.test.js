'use strict';

const assert = require('node:assert/strict');
const { existsSync, readFileSync } = require('node:fs');
const { describe, test } = require('node:test');
const { connect } = require('../support/client');
const { runScript } = require('../support/child');

const BLOCKED_SECONDS = 15;
const FLOOD_BYTES = 16 * 1024;
/** What may wait for JavaScript, and what one turn adds above it at most. */
const INTAKE_BYTES = { least: 64 * 1024 * 1024, most: 65 * 1024 * 1024 };
/** Far more than the 64 MiB that may wait for JavaScript: 188 MiB. */
const FLOOD_MESSAGES = 12_000;
/** Memory that those take in the process, with what the flood needs beside them, in KiB. */
const FLOOD_KIBIBYTES = { least: 48 * 1024, most: 112 * 1024 };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The server: echoes, and is busy for a while when it is told so. */
function server(seconds) {
  const { App, us_socket_local_port } = require('tidewire');
  const app = App({ binaryType: 'nodebuffer', textType: 'string' });
  app.ws('/*', {
    idleTimeout: 8,
    maxBackpressure: 0,
    message: (ws, message, isBinary) => {
      if (message !== 'block') return ws.send(message, isBinary);
      console.log(JSON.stringify('blocking'));
      for (const end = performance.now() + seconds * 1_000; performance.now() < end; );
      // Before any event is taken: what has come meanwhile.
      console.log(JSON.stringify(app.stats().waiting));
    },
    close: (_, code, reason) => console.log(JSON.stringify({ code, reason: String(reason) })),
  });
  app.ws('/flood', {
    idleTimeout: 8,
    maxPayloadLength: 16 * 1024,
    message: (ws, message) => {
      ws.expected ??= 0;
      if (message.readUInt32BE() !== ws.expected++) throw new Error('out of order');
      if (message.readUInt32BE(4) === 1) ws.send(String(ws.expected));
    },
  });
  app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
  process.once('SIGINT', () => app.close());
}

/** Starts a server, connects a few clients, and blocks its JavaScript. */
async function blocked(context) {
  const child = runScript(context, server, BLOCKED_SECONDS);
  const url = `ws://127.0.0.1:${await child.value()}`;
  const connectMany = (count) => Promise.all(Array.from({ length: count }, () => connect(context, url)));
  const [talkers, pingers, silent] = [await connectMany(10), await connectMany(10), await connectMany(5)];
  const flooder = await connect(context, `${url}/flood`);
  const everybody = [...talkers, ...pingers, ...silent, flooder];
  const closed = [];
  for (const client of everybody) client.closed.then((how) => closed.push(how));

  const blocker = await connect(context, url);
  blocker.send('block');
  assert.equal(await child.value(), 'blocking');
  const state = { isFree: false };
  const released = child.value().then((waiting) => {
    state.isFree = true;
    return waiting;
  });

  /** Nobody was closed, until the server closes them all. */
  const end = async () => {
    for (const client of silent) {
      assert.ok(client.pings.all.length > 0, 'a silent client got no pings');
      client.send('I was silent');
      assert.equal(await client.text(), 'I was silent');
    }
    assert.deepEqual(closed, []);
    child.signal('SIGINT');
    for (const client of everybody) assert.equal((await client.closed).code, 1006);
    assert.deepEqual(await child.ended(), { code: 0, signal: null });
    assert.equal(child.errors, '');
  };
  return { process: child.process, talkers, pingers, flooder, state, released, end };
}

/** Resident memory of a process in KiB; 0 where that cannot be known so. */
function residentKibibytes({ pid }) {
  const file = `/proc/${pid}/status`;
  return existsSync(file) ? Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(file, 'utf8'))[1]) : 0;
}

/** The next `count` messages are those of the rounds, in order. */
async function assertEchoes(clients, count) {
  const expected = Array.from({ length: count }, (_, number) => `message ${number}`);
  for (const client of clients) {
    const messages = await client.messages.take(count);
    assert.deepEqual(
      messages.map(([data]) => data.toString()),
      expected,
    );
  }
}

describe('JavaScript that is blocked for 15 s', { concurrency: true }, () => {
  test('drops nobody: pongs come, messages arrive later, in order', { timeout: 60_000 }, async (context) => {
    const { talkers, pingers, state, released, end } = await blocked(context);
    let rounds = 0;
    let answered = 0;
    while (!state.isFree) {
      for (const client of talkers) client.send(`message ${rounds}`);
      for (const client of [...talkers, ...pingers]) client.socket.ping(`ping ${rounds}`);
      for (const client of [...talkers, ...pingers])
        assert.equal(await client.pongs.next(), `ping ${rounds}`);
      rounds++;
      // What is asked while JavaScript is blocked is answered before it is free.
      if (!state.isFree) answered = rounds;
      await pause(300);
    }
    await released;
    assert.ok(answered >= 10, `only ${answered} rounds of pings were answered`);
    await assertEchoes(talkers, rounds);
    await end();
  });

  test('drops nobody even if more comes than may wait for it', { timeout: 60_000 }, async (context) => {
    const { process, talkers, pingers, flooder, state, released, end } = await blocked(context);
    const before = residentKibibytes(process);
    let most = before;
    for (let number = 0; number < FLOOD_MESSAGES; number++) {
      const message = Buffer.alloc(FLOOD_BYTES, number);
      message.writeUInt32BE(number);
      message.writeUInt32BE(number === FLOOD_MESSAGES - 1 ? 1 : 0, 4);
      flooder.send(message);
    }
    let rounds = 0;
    let answered = 0;
    while (!state.isFree) {
      // Messages wait in the kernel, and with them what is behind them; a ping alone is answered.
      for (const client of talkers) client.send(`message ${rounds}`);
      for (const client of pingers) client.socket.ping(`ping ${rounds}`);
      for (const client of pingers) assert.equal(await client.pongs.next(), `ping ${rounds}`);
      rounds++;
      if (!state.isFree) {
        answered = rounds;
        most = Math.max(most, residentKibibytes(process));
      }
      await pause(300);
    }
    const { eventBytes } = await released;
    assert.ok(
      eventBytes >= INTAKE_BYTES.least && eventBytes < INTAKE_BYTES.most,
      `${eventBytes} bytes waited`,
    );
    assert.ok(answered >= 10, `only ${answered} rounds of pings were answered`);
    if (before > 0) {
      const grown = most - before;
      assert.ok(
        grown >= FLOOD_KIBIBYTES.least && grown <= FLOOD_KIBIBYTES.most,
        `it has grown by ${grown} KiB`,
      );
    }
    await assertEchoes(talkers, rounds);
    assert.equal(await flooder.text(), String(FLOOD_MESSAGES));
    await end();
  });
});
