'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { BOUND, serve } = require('../support/server');

const CLIENTS = 2_000;
/** Handshakes under way at a time. */
const ARRIVING = 100;
const MESSAGES = 5;

/** Twice as long as clients wait for a close frame when JavaScript is busy. */
const BLOCKED_SECONDS = 16;

for (const threads of [1, 2]) {
  test(`2,000 clients get all that was sent to them, and a close frame; others notice nothing, threads: ${threads}`, {
    timeout: 2 * BOUND.timeout,
  }, async (context) => {
    const causes = new Map();
    const sockets = new Set();
    const { app, url } = serve(
      context,
      {
        maxBackpressure: 0,
        open: (ws) => {
          sockets.add(ws);
          ws.subscribe('all');
        },
        close: (ws, code) => {
          const key = `${code} ${ws.closeCause} ${sockets.delete(ws)}`;
          causes.set(key, (causes.get(key) ?? 0) + 1);
        },
      },
      { options: { threads } },
    );
    const clients = [];
    while (clients.length < CLIENTS) {
      clients.push(...(await Promise.all(Array.from({ length: ARRIVING }, () => connect(context, url)))));
    }
    while (sockets.size < CLIENTS) await new Promise(setImmediate);

    // A client of another App, which asks again as soon as it is answered.
    const other = serve(context, { message: (ws, message) => ws.send(message) });
    const live = await connect(context, other.url);
    let isOver = false;
    const served = (async () => {
      let answers = 0;
      for (; !isOver; answers++) {
        live.send(String(answers));
        assert.equal(await live.text(), String(answers));
      }
      return answers;
    })();

    for (let number = 0; number < MESSAGES; number++) {
      app.publish('all', `published ${number}`);
      for (const ws of sockets) ws.send(`sent ${number}`);
    }
    const { closed, forced, aborted } = await app.shutdown({ timeout: 60 });
    assert.deepEqual({ closed, forced, aborted }, { closed: CLIENTS, forced: 0, aborted: 0 });
    assert.deepEqual([...causes], [['1001 shutdown true', CLIENTS]]);
    const expected = Array.from({ length: MESSAGES }, (_, number) => [
      `published ${number}`,
      `sent ${number}`,
    ]);
    for (const client of clients) {
      assert.deepEqual(await client.closed, { code: 1001, reason: '' });
      assert.deepEqual(
        client.messages.all.map(([data]) => data.toString()),
        expected.flat(),
      );
    }
    isOver = true;
    assert.ok((await served) > 0);
    assert.equal(live.socket.readyState, live.socket.OPEN);
  });
}

test('clients of a blocked JavaScript thread get their close frame all the same', {
  timeout: 3 * BOUND.timeout,
}, async (context) => {
  const child = runScript(
    context,
    async (seconds) => {
      const { App, us_socket_local_port } = require('tidewire');
      const tell = (value) => console.log(JSON.stringify(value));
      const app = App();
      let closes = 0;
      app.ws('/*', {
        message: (ws) => {
          ws.send('going');
          const ended = app.shutdown({ code: 1012, timeout: 3_600 });
          ended.then((counts) => tell({ ...counts, closes }));
          for (const end = performance.now() + seconds * 1_000; performance.now() < end; );
          tell('free');
        },
        close: () => closes++,
      });
      tell(us_socket_local_port(await app.listen('127.0.0.1', 0)));
    },
    BLOCKED_SECONDS,
  );
  const url = `ws://127.0.0.1:${await child.value()}`;
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect(context, url)));
  let isFree = false;
  const released = child.value().then((word) => {
    assert.equal(word, 'free');
    isFree = true;
  });
  clients[0].send('now');
  for (const client of clients.slice(1)) assert.deepEqual(await client.closed, { code: 1012, reason: '' });
  assert.equal(isFree, false, 'they had to wait for JavaScript');
  await released;
  assert.deepEqual(await child.value(), { closed: 50, forced: 0, aborted: 0, closes: 50 });
  assert.equal((await clients[0].closed).code, 1012);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});
