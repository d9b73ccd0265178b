'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { runScript } = require('../support/child');

const BOUND = { timeout: 60_000 };
const MESSAGES = 200;

/** Every handler of a WebSocket fails each time, and none of that keeps it from its work. Prints what was counted. */
async function websockets({ fails, messages }) {
  const { App, us_socket_local_port } = require('tidewire');
  const { closeFrame, connectRaw, frame } = require('./__test__/support/raw_client');
  const caught = { uncaughtException: {}, unhandledRejection: {} };
  const calls = {};
  const count = (counts, name) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const event of Object.keys(caught)) process.on(event, ({ message }) => count(caught[event], message));
  /** A handler that does its work, and fails behind it. */
  const failing = (name, work = () => {}) => {
    const run = (...values) => {
      count(calls, name);
      work(...values);
      throw new Error(name);
    };
    // What an async one has done before its first await is done as at once.
    return fails === 'throws' ? run : async (...values) => run(...values);
  };
  const order = [];
  const app = App();
  app.ws('/*', {
    maxBackpressure: 64 * 1024,
    upgrade: failing('upgrade', (res, req, context) => {
      const header = (name) => req.getHeader(name);
      const values = ['key', 'protocol', 'extensions'].map((name) => header(`sec-websocket-${name}`));
      res.upgrade({}, ...values, context);
    }),
    open: failing('open', (ws) => ws.subscribe('all')),
    message: failing('message', (ws, message, isBinary) => {
      const text = Buffer.from(message).toString();
      if (text !== 'fill') {
        order.push(Number(text));
        ws.send(message, isBinary);
        return;
      }
      // More than the kernel takes of a peer that does not read, and more than may wait beside that.
      for (let piece = 0; piece < 60; piece++) ws.send(Buffer.alloc(256 * 1024), true);
    }),
    dropped: failing('dropped'),
    drain: failing('drain'),
    ping: failing('ping'),
    pong: failing('pong'),
    subscription: failing('subscription'),
    close: failing('close'),
  });
  const port = us_socket_local_port(await app.listen('127.0.0.1', 0));
  const context = { after: () => {} };

  const talker = await connectRaw(context, port);
  const numbers = Array.from({ length: messages }, (_, number) => frame(1, String(number)));
  talker.write(...numbers, frame(9, 'ping'), frame(10, 'pong'));
  const echoed = [];
  while (echoed.length < messages) {
    const { opcode, payload } = await talker.frames.next();
    if (opcode === 1) echoed.push(Number(payload.toString()));
  }
  const slow = await connectRaw(context, port);
  slow.socket.pause();
  slow.write(frame(1, 'fill'));
  while (!calls.dropped) await new Promise(setImmediate);
  slow.socket.resume();
  while (!calls.drain) await new Promise(setImmediate);
  for (const client of [talker, slow]) {
    client.write(closeFrame(1000));
    await client.ended;
  }
  while (calls.close !== 2) await new Promise(setImmediate);
  await new Promise(setImmediate);
  const { connections, opened } = app.stats();
  console.log(JSON.stringify({ calls, caught, order, echoed, connections, opened }));
  app.close();
}

/** The same for handlers of HTTP. */
async function http({ fails }) {
  const { once } = require('node:events');
  const { App, us_socket_local_port } = require('tidewire');
  const net = require('node:net');
  const caught = { uncaughtException: [], unhandledRejection: [] };
  for (const event of Object.keys(caught)) process.on(event, ({ message }) => caught[event].push(message));
  const failing = (name, work = () => {}) => {
    const run = (...values) => {
      work(...values);
      throw new Error(name);
    };
    return fails === 'throws' ? run : async (...values) => run(...values);
  };
  const app = App();
  app.filter(failing('filter'));
  app.get('/unanswered', failing('unanswered'));
  app.get(
    '/answered',
    failing('answered', (res) => res.end('answered')),
  );
  app.get(
    '/begun',
    failing('begun', (res) => res.write('the beginning')),
  );
  app.get(
    '/later',
    failing('later', (res) => res.onAborted(() => {})),
  );
  app.post('/data', (res) => {
    res.onAborted(() => {});
    res.onData(
      failing('onData', (_, isLast) => {
        if (isLast) res.end('all of it');
      }),
    );
  });
  let aborted;
  const isAborted = new Promise((resolve) => {
    aborted = resolve;
  });
  app.get('/aborted', (res) => res.onAborted(failing('onAborted', aborted)));
  app.get('/writable', (res) => {
    res.onAborted(() => {});
    const content = Buffer.alloc(20_000_000);
    res.onWritable(
      failing('onWritable', (offset) => {
        res.tryEnd(content.subarray(offset), content.length);
      }),
    );
    res.tryEnd(content, content.length);
  });
  app.get('/fine', (res) => res.end('fine'));
  app.ws('/refused', { upgrade: failing('upgrade') });
  const port = us_socket_local_port(await app.listen('127.0.0.1', 0));
  const ask = (path, options) =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' }, ...options })
      .then(async (response) => [response.status, (await response.arrayBuffer()).byteLength])
      .catch(() => 'broken');
  const answers = {};
  for (const path of ['unanswered', 'answered', 'begun', 'later', 'writable'])
    answers[path] = await ask(`/${path}`);
  answers.data = await ask('/data', { method: 'POST', body: 'x' });
  const leaver = net.connect(port, '127.0.0.1');
  leaver.write('GET /aborted HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  leaver.resetAndDestroy();
  await isAborted;
  const headers = [
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  const client = net.connect(port, '127.0.0.1');
  client.write(
    `GET /refused HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\n${headers.join('\r\n')}\r\n\r\n`,
  );
  const [refusal] = await once(client, 'data');
  answers.upgrade = String(refusal).split('\r\n', 1)[0];
  client.destroy();
  answers.fine = await ask('/fine');
  await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(JSON.stringify({ answers, caught }));
  app.close();
}

for (const [fails, event, other] of [
  ['throws', 'uncaughtException', 'unhandledRejection'],
  ['rejects', 'unhandledRejection', 'uncaughtException'],
]) {
  describe(`a handler that ${fails}, each time`, () => {
    test('of WebSockets: the error is told, and everything else goes on', BOUND, async (context) => {
      const child = runScript(context, websockets, { fails, messages: MESSAGES });
      const { calls, caught, order, echoed, connections, opened } = await child.value();
      const numbers = Array.from({ length: MESSAGES }, (_, number) => number);
      assert.deepEqual([order, echoed], [numbers, numbers]);
      const { dropped, drain, ...exact } = calls;
      assert.deepEqual(exact, {
        upgrade: 2,
        open: 2,
        message: MESSAGES + 1,
        ping: 1,
        pong: 1,
        // Each connection takes up a topic, and gives it up.
        subscription: 4,
        close: 2,
      });
      assert.ok(dropped >= 1 && drain >= 1);
      assert.deepEqual(caught, { [event]: calls, [other]: {} });
      assert.deepEqual([connections, opened], [0, 2]);
      assert.deepEqual(await child.exited, { code: 0, signal: null });
      assert.equal(child.errors, '');
    });

    test('of HTTP: the client gets its answer, or 500, or the end', BOUND, async (context) => {
      const child = runScript(context, http, { fails });
      const { answers, caught } = await child.value();
      assert.deepEqual(answers, {
        unanswered: [500, 0],
        answered: [200, 8],
        begun: 'broken',
        later: [500, 0],
        writable: [200, 20_000_000],
        data: [200, 9],
        upgrade: 'HTTP/1.1 500 Internal Server Error',
        fine: [200, 4],
      });
      const told = caught[event];
      assert.deepEqual(caught[other], []);
      for (const name of ['unanswered', 'answered', 'begun', 'later', 'onAborted', 'upgrade']) {
        assert.equal(told.filter((message) => message === name).length, 1, name);
      }
      for (const name of ['onData', 'onWritable', 'filter']) assert.ok(told.includes(name), name);
      assert.deepEqual(await child.exited, { code: 0, signal: null });
      assert.equal(child.errors, '');
    });
  });
}
