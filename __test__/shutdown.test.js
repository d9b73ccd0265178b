'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { CLOSE, PING, TEXT, closeFrame, connectRaw, frame, opening } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What becomes of nobody. */
const NONE = { closed: 0, forced: 0, aborted: 0 };

/** A close frame of the server's, as `RawClient.closeFrame` tells it. */
const GOING_AWAY = { code: 1001, reason: '' };

/** Answers a raw client's part of a closing handshake. */
async function closePolitely(client) {
  const farewell = await client.closeFrame();
  client.write(closeFrame(farewell.code));
  client.socket.end();
  return farewell;
}

/** Asks for a WebSocket, and returns all that is answered until the server ends. */
async function ask(context, port) {
  const socket = net.connect(port, '127.0.0.1');
  context.after(() => socket.destroy());
  socket.write(opening('/'));
  let answer = '';
  for await (const piece of socket) answer += piece;
  return answer;
}

/** The `close` events, as `[code, reason, cause]`. */
function closesOf(events) {
  return events.all
    .filter(([name]) => name === 'close')
    .map(([, ws, code, reason]) => [code, reason, ws.closeCause]);
}

/** Sends to a client that does not read, until some of it waits here; returns how often. */
async function fill(ws, message) {
  let sent = 0;
  do {
    ws.send(message, true);
    sent++;
    assert.ok(sent < 5_000, 'hundreds of MB were sent to a client that does not read');
    await new Promise(setImmediate);
  } while (ws.getBufferedAmount() < 2_000_000);
  return sent;
}

describe('app.shutdown()', () => {
  test('of an App that does not listen is over at once', BOUND, async () => {
    const app = App({ threads: 2 });
    assert.deepEqual(await app.shutdown(), NONE);
    assert.deepEqual(await app.shutdown({ timeout: 3_600 }), NONE);
    app.close();
    assert.deepEqual(await app.shutdown(), NONE);
  });

  test('closes every WebSocket with 1001, on every thread', BOUND, async (context) => {
    for (const threads of [1, 2]) {
      const causes = [];
      const close = (ws) => causes.push(ws.closeCause);
      const { app, url, events } = observe(context, { close }, { options: { threads } });
      const clients = await Promise.all(Array.from({ length: 100 }, () => connect(context, url)));
      await events.take(100);
      const ended = app.shutdown();
      assert.ok(ended instanceof Promise);
      for (const client of clients) assert.deepEqual(await client.closed, GOING_AWAY);
      assert.deepEqual(await ended, { closed: 100, forced: 0, aborted: 0 });
      assert.deepEqual(closesOf(events), Array(100).fill([1001, '', 'shutdown']));
      assert.deepEqual(causes, Array(100).fill('shutdown'));
    }
  });

  test('sends the code and the reason that it is given', BOUND, async (context) => {
    const reasons = {
      'back in a moment': 'back in a moment',
      '': undefined,
      'ü as bytes': Buffer.from('ü as bytes'),
      [`${'ü'.repeat(61)}x`]: `${'ü'.repeat(61)}x`,
      '\ufffd': Uint8Array.of(0xff),
    };
    for (const [index, code] of [1000, 1012, 3000, 4999, 1014].entries()) {
      const [reason, given] = Object.entries(reasons)[index];
      const { app, url, events } = observe(context);
      const client = await connect(context, url);
      await events.next();
      await app.shutdown({ code, reason: given });
      assert.deepEqual(await client.closed, { code, reason });
      assert.deepEqual(closesOf(events), [[code, reason, 'shutdown']]);
    }
  });

  test('takes no other options', BOUND, async (context) => {
    const { app, url } = serve(context, { message: (ws, message) => ws.send(message) });
    const client = await connect(context, url);
    const wrong = [
      [null, TypeError, 'TIDEWIRE_INVALID_TYPE', /options of App\.shutdown\(\) must be an object/],
      [
        { code: '1001' },
        TypeError,
        'TIDEWIRE_INVALID_TYPE',
        /`code` of App\.shutdown\(\) must be 1000 to 1003/,
      ],
      [{ reason: 7 }, TypeError, 'TIDEWIRE_TEXT_OR_DATA', /Text and data/],
      [{ timeout: '1' }, TypeError, 'TIDEWIRE_INVALID_TYPE', /`timeout` .* 0 to 3600 \(seconds\)/],
      ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, Number.NaN].map((code) => [
        { code },
        RangeError,
        'TIDEWIRE_OUT_OF_RANGE',
        /`code` of App\.shutdown\(\) must be 1000 to 1003, 1007 to 1014, 3000 to 4999, not/,
      ]),
      ...[-1, 3_601, Number.NaN, Number.POSITIVE_INFINITY].map((timeout) => [
        { timeout },
        RangeError,
        'TIDEWIRE_OUT_OF_RANGE',
        /`timeout` of App\.shutdown\(\)/,
      ]),
      [
        { reason: 'ü'.repeat(62) },
        RangeError,
        'TIDEWIRE_OUT_OF_RANGE',
        /at most 123 bytes of UTF-8, not '124 bytes'/,
      ],
    ];
    for (const [options, type, code, message] of wrong) {
      assert.throws(
        () => app.shutdown(options),
        (error) => error instanceof type && error.code === code && message.test(error.message),
        JSON.stringify(options),
      );
    }
    client.send('nothing was ended');
    assert.equal(await client.text(), 'nothing was ended');
    const given = { code: undefined, reason: undefined, timeout: undefined };
    assert.deepEqual(await app.shutdown(given), { closed: 1, forced: 0, aborted: 0 });
    assert.deepEqual(await client.closed, GOING_AWAY);
  });

  test('writes what was accepted, however slowly it is read', BOUND, async (context) => {
    const { app, port, events } = observe(context, { maxBackpressure: 0 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    const sent = await fill(ws, Buffer.alloc(500_000, 'x'));
    ws.send('the last');
    let isOver = false;
    const ended = app.shutdown({ timeout: 60 }).then((result) => {
      isOver = true;
      return result;
    });
    while ((await events.next())[0] !== 'close');
    assert.equal(app.stats().closes.shutdown, 1);
    await pause(100);
    assert.equal(isOver, false);
    client.read();
    const frames = await client.frames.take(sent + 2);
    assert.ok(frames.slice(0, sent).every(({ payload }) => payload.length === 500_000));
    assert.equal(frames[sent].payload.toString(), 'the last');
    assert.equal(frames[sent + 1].opcode, CLOSE);
    client.socket.end(closeFrame(1001));
    assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
  });

  test('writes what handlers send until they hear of it', BOUND, async (context) => {
    const { app, port } = serve(context, { message: (ws, message) => ws.send(message) });
    const client = await connectRaw(context, port);
    // The message may come before the shutdown does, or behind it; what was answered is written.
    client.write(frame(TEXT, 'one'));
    const [first] = await client.frames.take(1);
    assert.equal(first.payload.toString(), 'one');
    client.write(frame(TEXT, 'two'));
    const ended = app.shutdown();
    assert.deepEqual(await closePolitely(client), GOING_AWAY);
    assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
  });

  test('cuts off who has not closed when its time is over', BOUND, async (context) => {
    const { app, port, events } = observe(context, { maxBackpressure: 0 });
    const silent = await connectRaw(context, port);
    const slow = await connectRaw(context, port, { reads: false });
    const polite = await connectRaw(context, port);
    const [, first, second] = (await events.take(3)).map(([, ws]) => ws);
    const slowSocket = [first, second].find((ws) => ws.getRemotePort() === slow.socket.localPort);
    await fill(slowSocket, Buffer.alloc(500_000));
    const ended = app.shutdown({ timeout: 0.5 });
    assert.deepEqual(await silent.closeFrame(), GOING_AWAY);
    assert.deepEqual(await closePolitely(polite), GOING_AWAY);
    assert.deepEqual(await ended, { closed: 1, forced: 2, aborted: 0 });
    await silent.ended;
    assert.deepEqual(closesOf(events), Array(3).fill([1001, '', 'shutdown']));
  });

  test('without time cuts off all', BOUND, async (context) => {
    const { app, url, events } = observe(context);
    const clients = [await connect(context, url), await connect(context, url)];
    await events.take(2);
    const ended = app.shutdown({ timeout: 0 });
    assert.deepEqual(closesOf(events), Array(2).fill([1006, '', 'shutdown']));
    for (const client of clients) assert.equal((await client.closed).code, 1006);
    assert.deepEqual(await ended, { closed: 0, forced: 2, aborted: 0 });
  });

  test('ends at once when it is called again, and both calls tell the same', BOUND, async (context) => {
    for (const end of [
      (app) => app.shutdown({ code: 1000 }),
      (app) => app.close(),
      (app) => app.shutdown(),
    ]) {
      const { app, port, events } = observe(context);
      const silent = await connectRaw(context, port);
      await events.next();
      const first = app.shutdown({ timeout: 3_600 });
      assert.deepEqual(await silent.closeFrame(), GOING_AWAY);
      const second = end(app);
      assert.ok(second === app || second === first);
      assert.deepEqual(await first, { closed: 0, forced: 1, aborted: 0 });
      assert.deepEqual(closesOf(events), [[1001, '', 'shutdown']]);
    }
  });

  test('called twice in a row gives the close handlers 1006', BOUND, async (context) => {
    const { app, url, events } = observe(context);
    const client = await connect(context, url);
    await events.next();
    const results = await Promise.all([app.shutdown(), app.shutdown()]);
    assert.deepEqual(results, Array(2).fill({ closed: 0, forced: 1, aborted: 0 }));
    assert.deepEqual(closesOf(events), [[1006, '', 'shutdown']]);
    assert.equal((await client.closed).code, 1006);
  });

  test('waits for those, too, that are closing already', BOUND, async (context) => {
    const { app, port, events } = observe(context);
    const clients = [];
    for (let number = 0; number < 3; number++) clients.push(await connectRaw(context, port));
    const sockets = (await events.take(3)).map(([, ws]) => ws);
    sockets[0].end(4000, 'mine');
    sockets[1].close();
    const ended = app.shutdown();
    const codes = await Promise.all(
      [clients[0], clients[2]].map(async (client) => (await closePolitely(client)).code),
    );
    assert.deepEqual(codes.sort(), [1001, 4000]);
    const { closed, forced, aborted } = await ended;
    // The one that was closed at once may have been gone before the shutdown was.
    assert.ok(closed === 2 && forced <= 1 && aborted === 0);
    assert.equal(events.all.filter(([name]) => name === 'close').length, 3);
    const causes = closesOf(events).map(([, , cause]) => cause);
    assert.deepEqual(causes.sort(), ['local', 'local', 'shutdown']);
  });

  test(
    'calls the subscription handlers before close, and reaches who is still there',
    BOUND,
    async (context) => {
      const { app, port, events } = observe(context, {
        open: (ws) => {
          ws.subscribe('all');
          ws.subscribe('own');
        },
        subscription: (_ws, topic, count, before) => {
          if (count < before) events.push(['left', Buffer.from(topic).toString(), count]);
        },
        close: () => events.push(['subscribers', app.numSubscribers('all')]),
      });
      const clients = [await connectRaw(context, port), await connectRaw(context, port)];
      await events.take(2);
      const ended = app.shutdown();
      for (const client of clients) assert.deepEqual(await closePolitely(client), GOING_AWAY);
      assert.deepEqual(await ended, { closed: 2, forced: 0, aborted: 0 });
      const told = events.all
        .slice(2)
        .map(([name, value, count]) => (name === 'close' ? name : [name, value, count]));
      assert.deepEqual(told, [
        ['left', 'own', 1],
        ['left', 'all', 1],
        ['subscribers', 1, undefined],
        'close',
        ['left', 'own', 0],
        ['left', 'all', 0],
        ['subscribers', 0, undefined],
        'close',
      ]);
    },
  );

  test('in every handler closes all, and each close handler runs once', BOUND, async (context) => {
    for (const name of ['open', 'message', 'ping', 'close']) {
      const counts = new Map();
      const results = [];
      const shutDown = (wanted) => wanted === name && results.length === 0 && results.push(app.shutdown());
      const { app, port } = serve(context, {
        open: (ws) => {
          counts.set(ws, 0);
          if (counts.size === 5) shutDown('open');
        },
        message: () => shutDown('message'),
        ping: () => shutDown('ping'),
        close: (ws) => {
          counts.set(ws, counts.get(ws) + 1);
          shutDown('close');
        },
      });
      const clients = [];
      for (let number = 0; number < 5; number++) clients.push(await connectRaw(context, port));
      const ends = clients.map((client) => closePolitely(client));
      clients[2].write(frame(TEXT, 'x'), frame(PING, 'y'), closeFrame(1000));
      await Promise.all(ends);
      const { closed, forced } = await results[0];
      assert.ok(closed >= 4 && forced === 0, `${name}: ${closed} closed, ${forced} forced`);
      assert.deepEqual([...counts.values()], Array(5).fill(1), `App.shutdown() in ${name}`);
    }
  });

  test('stops listening before it returns', BOUND, async (context) => {
    const { app, port, token, events } = observe(context);
    await connectRaw(context, port);
    await events.next();
    const ended = app.shutdown({ timeout: 1 });
    const late = net.connect(port, '127.0.0.1');
    const [error] = await once(late, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
    us_listen_socket_close(token);
    assert.deepEqual(await ended, { closed: 0, forced: 1, aborted: 0 });
  });

  test('refuses to listen meanwhile, and listens again behind it', BOUND, async (context) => {
    const { app, port, events } = observe(context, { message: (ws, message) => ws.send(message) });
    for (let round = 0; round < 3; round++) {
      const client = await connectRaw(context, port);
      await events.next();
      const ended = app.shutdown();
      const code = 'TIDEWIRE_SHUTTING_DOWN';
      assert.throws(() => app.listen('127.0.0.1', port, () => assert.fail('called')), { code });
      await assert.rejects(app.listen('127.0.0.1', port), { code });
      assert.deepEqual(await closePolitely(client), GOING_AWAY);
      assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
      await events.next();
      assert.equal(us_socket_local_port(await app.listen('127.0.0.1', port)), port);
    }
    const client = await connect(context, `ws://127.0.0.1:${port}`);
    client.send('again');
    assert.equal(await client.text(), 'again');
  });

  test('behind a blocked JavaScript thread ends all the same', BOUND, async (context) => {
    const { app, url, events } = observe(context);
    const client = await connect(context, url);
    await events.next();
    const ended = app.shutdown({ timeout: 0.05 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    const { closed, forced } = await ended;
    assert.equal(closed + forced, 1);
    assert.equal(closesOf(events).length, 1);
    await client.closed;
  });
});

describe('app.shutdown() and requests', () => {
  test('ends connections that have none at once', BOUND, async (context) => {
    const { app, port } = serve(context, {});
    const [idle, half, kept] = Array.from({ length: 3 }, () => net.connect(port, '127.0.0.1'));
    await Promise.all([idle, half, kept].map((socket) => once(socket, 'connect')));
    half.write('GET / HTTP/1.1\r\nHost:');
    kept.write('GET /none HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(kept, 'data');
    while (app.stats().gate.accepted < 3) await pause(5);
    const ends = [idle, half, kept].map((socket) => once(socket.resume(), 'end'));
    assert.deepEqual(await app.shutdown({ timeout: 3_600 }), NONE);
    await Promise.all(ends);
  });

  test('waits for the answers of those that JavaScript was asked', BOUND, async (context) => {
    const asked = new Queue();
    const { app, port, url, events } = observe(context, {
      upgrade: (res, req, context) => {
        res.onAborted(() => events.push(['aborted']));
        asked.push([res, req.getHeader('sec-websocket-key'), context]);
      },
    });
    const refused = ask(context, port);
    const [response] = await asked.next();
    const accepted = connect(context, url);
    const [other, key, route] = await asked.next();
    const ended = app.shutdown({ timeout: 3_600 });
    await pause(50);
    response.writeStatus('403 Forbidden').end('not now');
    assert.match(await refused, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*not now$/);
    other.upgrade({}, key, '', '', route);
    const client = await accepted;
    assert.deepEqual(await client.closed, GOING_AWAY);
    assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
    assert.deepEqual(
      events.all.map(([name]) => name),
      ['open', 'close'],
    );
  });

  test('takes no request behind one that a handler has, and says so', BOUND, async (context) => {
    const asked = new Queue();
    const { app, port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        asked.push(res);
      });
    });
    const speaker = await speak(context, port, requestText('GET', '/').repeat(50));
    const response = await asked.next();
    const ended = app.shutdown({ timeout: 3_600 });
    await pause(50);
    response.end('the last');
    assert.match(await speaker.all(), /^HTTP\/1\.1 200 OK\r\nconnection: close\r\n[\s\S]*the last$/);
    assert.deepEqual(await ended, NONE);
    assert.equal(asked.all.length, 1);
  });

  test('tells of those that got no answer in time', BOUND, async (context) => {
    const told = new Queue();
    const { app, port } = serve(context, {
      upgrade: (res) => {
        res.onAborted(() => told.push('aborted'));
        told.push('asked');
      },
    });
    const pending = [ask(context, port), ask(context, port)];
    await told.take(2);
    assert.deepEqual(await app.shutdown({ timeout: 0.05 }), { closed: 0, forced: 0, aborted: 2 });
    assert.deepEqual(told.all, ['asked', 'asked', 'aborted', 'aborted']);
    for (const answer of pending) assert.equal(await answer.catch(() => ''), '');
  });
});

describe('the process', () => {
  test('ends by itself behind a shutdown', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const app = App({ threads: 2 });
      app.ws('/*', {
        message: () => app.shutdown({ code: 1012 }).then((counts) => console.log(JSON.stringify(counts))),
      });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => client.send('x'));
      });
    });
    assert.deepEqual(await child.value(), { closed: 1, forced: 0, aborted: 0 });
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
  });

  test('may end a worker thread in the middle of one', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { Worker } = require('node:worker_threads');
      const net = require('node:net');
      const source = `
        const { parentPort } = require('node:worker_threads');
        const { App, us_socket_local_port } = require('tidewire');
        const app = App();
        app.ws('/*', { open: () => { app.shutdown({ timeout: 3600 }); parentPort.postMessage('shutting') } });
        app.listen('127.0.0.1', 0, (token) => parentPort.postMessage(us_socket_local_port(token)));
      `;
      const worker = new Worker(source, { eval: true });
      worker.on('message', async (word) => {
        if (word === 'shutting') {
          console.log(await worker.terminate());
          return process.exit();
        }
        const head = 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
        const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
        net
          .connect(word, '127.0.0.1')
          .on('error', () => {})
          .write(head + key);
      });
    });
    assert.equal(await child.value(), 1);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
  });
});
