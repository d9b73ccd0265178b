'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const WebSocket = require('../support/ws');
const { connect } = require('../support/client');
const { runScript } = require('../support/child');
const { opening } = require('../support/raw_client');

const BOUND = { timeout: 60_000 };

/** A client that sends its request and tells how its connection ended. */
async function request(context, port, path) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  context.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(opening(path));
  socket.resume();
  return { socket, ended: once(socket, 'close') };
}

/** The server: what it is told on its standard input decides. */
function server() {
  const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
  const tell = (value) => console.log(JSON.stringify(value));
  const app = App({ threads: 2, textType: 'string' });
  const counts = { asked: 0, aborted: 0, opened: 0, closed: 0 };
  const accept = (res, req, context) =>
    res.upgrade({ number: req.getQuery('number') }, req.getHeader('sec-websocket-key'), '', '', context);
  const handlers = {
    open: (ws) => {
      counts.opened++;
      ws.send(`hello ${ws.number}`);
    },
    message: (ws, message) => ws.send(message),
    close: () => counts.closed++,
  };
  app.ws('/forever', {
    upgrade: (res) => {
      counts.asked++;
      res.onAborted(() => counts.aborted++);
    },
  });
  app.ws('/some', {
    ...handlers,
    upgrade: async (res, req, context) => {
      let gone = false;
      res.onAborted(() => {
        gone = true;
        counts.aborted++;
      });
      const number = Number(req.getQuery('number'));
      if (number % 3 === 1) await null;
      if (number % 7 === 3) await new Promise((resolve) => setTimeout(resolve, number % 20));
      if (gone) return;
      if (number % 5 === 0) res.writeStatus('403 Forbidden').end(`no ${number}`);
      else accept(res, req, context);
    },
  });
  app.ws('/now', { ...handlers, upgrade: accept });
  let listening;
  app.listen('127.0.0.1', 0, (token) => {
    listening = token;
    tell(us_socket_local_port(token));
  });
  const orders = {
    counts: () => tell(counts),
    stats: () => tell(app.stats()),
    close: () => {
      const before = { ...counts };
      app.close();
      tell({ before, after: counts });
    },
    unlisten: () => {
      us_listen_socket_close(listening);
      tell('unlistened');
    },
    block: () => {
      tell('blocking');
      for (const end = performance.now() + 12_000; performance.now() < end; );
      tell('free');
    },
  };
  process.stdin.setEncoding('utf8').on('data', (order) => {
    for (const line of order.trim().split('\n')) orders[line]();
  });
  process.stdin.unref?.();
}

/** Starts the server; `order` tells it what to do, and gives what it says. */
async function started(context) {
  const child = runScript(context, server);
  const port = await child.value();
  const order = (name) => {
    child.process.stdin.write(`${name}\n`);
    return child.value();
  };
  return { child, port, order };
}

/** Asks until an answer is as it should be; the time limit of the test ends it otherwise. */
async function until(ask, isRight) {
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    await pause(10);
  }
}

describe('requests that wait for JavaScript', () => {
  test('thousands of upgrades with refusals in between', BOUND, async (context) => {
    const CLIENTS = 3_000;
    const { port, order } = await started(context);
    let next = 0;
    const outcomes = { refused: 0, opened: 0 };
    const one = async (number) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/some?number=${number}`);
      socket.on('error', () => {});
      const isRefused = number % 5 === 0;
      if (isRefused) {
        const [asked, response] = await once(socket, 'unexpected-response');
        let body = '';
        for await (const piece of response) body += piece;
        assert.deepEqual([response.statusCode, body], [403, `no ${number}`]);
        outcomes.refused++;
        asked.destroy();
        return;
      }
      const [hello] = await once(socket, 'message');
      assert.equal(String(hello), `hello ${number}`);
      outcomes.opened++;
      // Some stay for a while, so that places are used anew beside live ones.
      if (number % 11 === 0) await pause(50);
      socket.terminate();
    };
    const worker = async () => {
      while (next < CLIENTS) await one(next++);
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    assert.deepEqual(outcomes, { refused: CLIENTS / 5, opened: (CLIENTS * 4) / 5 });
    const counts = await until(
      () => order('counts'),
      ({ closed }) => closed === outcomes.opened,
    );
    assert.deepEqual([counts.opened, counts.aborted], [outcomes.opened, 0]);
    const stats = await until(
      () => order('stats'),
      ({ gate }) => gate.handshakes === 0,
    );
    assert.equal(stats.connections, 0);
    assert.equal(stats.gate.refused[403], outcomes.refused);
  });

  test('clients that leave are noticed, however many', BOUND, async (context) => {
    const { port, order } = await started(context);
    const clients = await Promise.all(Array.from({ length: 500 }, () => request(context, port, '/forever')));
    await until(
      () => order('counts'),
      ({ asked }) => asked === clients.length,
    );
    for (const [number, { socket }] of clients.entries()) {
      if (number % 2) socket.end();
      else socket.resetAndDestroy();
    }
    await until(
      () => order('counts'),
      ({ aborted }) => aborted === clients.length,
    );
    await until(
      () => order('stats'),
      ({ gate }) => gate.handshakes === 0,
    );
  });

  test(
    'a blocked JavaScript loses nobody who waits for longer than a head may take',
    BOUND,
    async (context) => {
      const { child, port, order } = await started(context);
      assert.equal(await order('block'), 'blocking');
      const clients = Array.from({ length: 20 }, (_, number) =>
        connect(context, `ws://127.0.0.1:${port}/now?number=${number}`),
      );
      // One gives up, and one who has left before it was asked is asked about, and closed.
      const { socket } = await request(context, port, '/forever');
      socket.on('connect', () => {});
      await pause(200);
      socket.destroy();
      assert.equal(await child.value(), 'free');
      for (const [number, client] of (await Promise.all(clients)).entries()) {
        assert.equal(await client.text(), `hello ${number}`);
        client.send('echo');
        assert.equal(await client.text(), 'echo');
      }
      const { asked, aborted } = await until(
        () => order('counts'),
        (counts) => counts.aborted === 1,
      );
      assert.deepEqual([asked, aborted], [1, 1]);
    },
  );

  test('close() ends them at once, and the process ends', BOUND, async (context) => {
    const { child, port, order } = await started(context);
    const clients = await Promise.all(Array.from({ length: 50 }, () => request(context, port, '/forever')));
    const open = await connect(context, `ws://127.0.0.1:${port}/now`);
    await until(
      () => order('counts'),
      ({ asked, opened }) => asked === clients.length && opened === 1,
    );
    const { before, after } = await order('close');
    assert.equal(before.aborted, 0);
    assert.deepEqual([after.aborted, after.closed], [clients.length, 1]);
    await Promise.all(clients.map(({ ended }) => ended));
    assert.equal((await open.closed).code, 1006);
    child.process.stdin.end();
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('keep the process alive, and let it end when they are over', BOUND, async (context) => {
    const { child, port, order } = await started(context);
    const { socket } = await request(context, port, '/forever');
    await until(
      () => order('counts'),
      ({ asked }) => asked === 1,
    );
    assert.equal(await order('unlisten'), 'unlistened');
    child.process.stdin.end();
    const early = await Promise.race([child.exited, pause(300, 'alive')]);
    assert.equal(early, 'alive');
    socket.destroy();
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('end with the worker thread that was asked', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(
        `const { App, us_socket_local_port } = require('tidewire');
         const { parentPort } = require('node:worker_threads');
         App()
           .ws('/*', { upgrade: (res) => { res.onAborted(() => {}); parentPort.postMessage('asked'); } })
           .listen('127.0.0.1', 0, (token) => parentPort.postMessage(us_socket_local_port(token)));`,
        { eval: true },
      );
      worker.on('message', async (message) => {
        console.log(JSON.stringify(message));
        if (message !== 'asked') return;
        console.log(JSON.stringify({ code: await worker.terminate() }));
      });
    });
    const { ended } = await request(context, await child.value(), '/');
    assert.equal(await child.value(), 'asked');
    assert.deepEqual(await child.value(), { code: 1 });
    await ended;
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});
