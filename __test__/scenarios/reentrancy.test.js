'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { runScript } = require('../support/child');

const HANDLERS = ['upgrade', 'open', 'message', 'dropped', 'drain', 'ping', 'pong', 'subscription', 'close'];

/**
 * From each handler of a WebSocket does each thing that can be done, once for a connection, and prints what has become
 * of the connections.
 */
async function everything({ handlers }) {
  const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
  const { once } = require('node:events');
  const net = require('node:net');
  const { closeFrame, connectRaw, frame, opening } = require('./__test__/support/raw_client');
  const context = { after: () => {} };
  const failures = [];
  process.on('uncaughtException', (error) => failures.push(String(error.stack)));
  process.on('unhandledRejection', (error) => failures.push(String(error.stack)));

  /** Requests whose upgrade is still to come. */
  const held = [];
  const upgrade = (res, req, context, data) => {
    const values = ['key', 'protocol', 'extensions'].map((name) => req.getHeader(`sec-websocket-${name}`));
    return () => res.upgrade(data, ...values, context);
  };
  const ignored = { message: () => {} };

  /** What a handler does with its socket (none in `upgrade`), the App and another socket of it. */
  const actions = {
    send: (ws) => ws?.send('extra'),
    'send much': (ws) => {
      for (let number = 0; number < 100; number++) ws?.send('extra');
    },
    'send fragments': (ws) => {
      ws?.sendFirstFragment('ex');
      ws?.sendFragment('tr');
      ws?.sendLastFragment('a');
    },
    ping: (ws) => ws?.ping('x'),
    cork: (ws) => ws?.cork(() => ws.send('extra')),
    subscribe: (ws) => ws?.subscribe('another'),
    unsubscribe: (ws) => ws?.unsubscribe('all'),
    'subscribe and unsubscribe': (ws) => {
      for (let number = 0; number < 10; number++) {
        ws?.subscribe('flips');
        ws?.unsubscribe('flips');
      }
    },
    publish: (ws) => ws?.publish('all', 'extra'),
    'app.publish': (_, app) => app.publish('all', 'extra'),
    ask: (ws, app) => {
      ws?.getTopics();
      ws?.getBufferedAmount();
      ws?.getRemoteAddressAsText();
      app.numSubscribers('all');
      app.stats();
    },
    end: (ws) => ws?.end(4000, 'enough'),
    close: (ws) => ws?.close(),
    'end twice': (ws) => {
      ws?.end(4000, 'enough');
      if (ws?.readyState === 1) throw new Error('it is still open');
    },
    'end another': (_, _app, other) => other.end(4001, 'you, too'),
    'close another': (_, _app, other) => other.close(),
    'send to another': (_, _app, other) => other.send('extra'),
    'another App': () => {
      const second = App();
      second.ws('/*', ignored).listen('127.0.0.1', 0, () => second.close());
    },
    'another listener': (_, app) => app.listen('127.0.0.1', 0, us_listen_socket_close),
    'other routes': (_, app) => app.ws('/another', ignored).ws('/another', null),
    'upgrade another': () => held.pop()(),
  };

  /** What happened to each connection, by its number. */
  const opens = new Map();
  const closes = new Map();
  const count = (counts, number) => counts.set(number, (counts.get(number) ?? 0) + 1);
  /** What is to be done, once. */
  let plan = null;
  let partner = null;
  const act = (app, handler, ws) => {
    if (plan?.handler !== handler || (ws && ws.number !== plan.number)) return;
    const { action } = plan;
    plan = null;
    actions[action](ws, app, partner);
  };

  const app = App({ threads: 2, textType: 'string', closedSend: 'ignore' });
  const behavior = {
    maxBackpressure: 64 * 1024,
    upgrade: (res, req, upgradeContext) => {
      const number = Number(req.getQuery('number'));
      const accept = upgrade(res, req, upgradeContext, { number });
      if (plan?.number === number) act(app, 'upgrade', null);
      accept();
    },
    open: (ws) => {
      count(opens, ws.number);
      if (ws.number === 0) partner = ws;
      ws.subscribe('all');
      act(app, 'open', ws);
    },
    message: (ws, message) => {
      if (message === 'go') act(app, 'message', ws);
      else if (message === 'subscribe') ws.subscribe('own');
      else if (message === 'ask') {
        ws.send('extra');
        ws.getBufferedAmount();
      } else if (message === 'fill') {
        for (let piece = 0; piece < 60; piece++) ws.send(new Uint8Array(256 * 1024), true);
      } else ws.send(message);
    },
    dropped: (ws) => act(app, 'dropped', ws),
    drain: (ws) => act(app, 'drain', ws),
    ping: (ws) => act(app, 'ping', ws),
    pong: (ws) => act(app, 'pong', ws),
    subscription: (ws, topic) => topic === 'own' && act(app, 'subscription', ws),
    close: (ws) => {
      count(closes, ws.number);
      act(app, 'close', ws);
    },
  };
  app.ws('/*', behavior);
  app.ws('/hold', {
    ...behavior,
    upgrade: (res, req, upgradeContext) => {
      res.onAborted(() => {});
      held.push(upgrade(res, req, upgradeContext, { number: Number(req.getQuery('number')) }));
    },
  });
  const port = us_socket_local_port(await app.listen('127.0.0.1', 0));

  const until = async (condition, what) => {
    for (let turn = 0; turn < 20_000; turn++) {
      if (condition()) return;
      await new Promise((resolve) => setTimeout(resolve, turn < 100 ? 0 : 2));
    }
    throw new Error(`it does not come to this: ${what}`);
  };
  const wire = (client, handler) => {
    if (handler === 'message') client.write(frame(1, 'go'));
    if (handler === 'ping') client.write(frame(9, 'x'));
    if (handler === 'pong') client.write(frame(10, 'x'));
    if (handler === 'subscription') client.write(frame(1, 'subscribe'));
    if (handler === 'drain') client.write(frame(1, 'ask'));
    if (handler === 'dropped') client.write(frame(1, 'fill'));
  };

  let number = 0;
  let other = null;
  let otherEnded = true;
  const numbers = Array.from({ length: 10 }, (_, at) => String(at));
  for (const handler of handlers) {
    for (const action of Object.keys(actions)) {
      if (otherEnded) {
        await until(() => closes.get(0) === opens.get(0), 'the other one is closed');
        other = await connectRaw(context, port, { path: '/?number=0' });
        other.ended.then(() => {
          otherEnded = true;
        });
        otherEnded = false;
        await until(() => partner?.readyState === 1, 'the other one is open');
      }
      let late = null;
      if (action === 'upgrade another') {
        late = net.connect(port, '127.0.0.1').on('error', () => {});
        late.write(opening(`/hold?number=${++number}`));
        await until(() => held.length === 1, 'a request is held');
      }
      const mine = ++number;
      plan = { handler, action, number: mine };
      const name = `${action} in ${handler}`;
      const client = await connectRaw(context, port, { path: `/?number=${mine}` });
      client.socket.on('error', () => {});
      if (handler === 'dropped') {
        // A peer that never reads.
        client.socket.pause();
        wire(client, handler);
        await until(() => plan === null, name);
      } else {
        client.write(...numbers.slice(0, 5).map((text) => frame(1, text)));
        wire(client, handler);
        client.write(...numbers.slice(5).map((text) => frame(1, text)));
        // All that is echoed, as far as it is not closed before.
        const heard = [];
        const last = (async () => {
          while (heard.at(-1) !== '9') {
            const { opcode, payload } = await client.frames.next();
            if (opcode === 1 && /^\d$/.test(payload)) heard.push(payload.toString());
          }
        })();
        await Promise.race([last, client.ended]);
        if (heard.join('') !== numbers.slice(0, heard.length).join('')) failures.push(`${name}: ${heard}`);
        const ends = /^(end|close|end twice)$/.test(action) && !['upgrade', 'close'].includes(handler);
        if (!ends && heard.length !== numbers.length)
          failures.push(`${name}: only ${heard.length} were echoed`);
        client.write(closeFrame(1000));
        await client.ended;
      }
      client.socket.destroy();
      await until(() => closes.get(mine) === 1, `${name} is closed`);
      if (plan !== null) failures.push(`${name}: it was not done`);
      if (late !== null) {
        await until(() => opens.get(mine - 1) === 1, `${name}: the other one is upgraded`);
        late.resetAndDestroy();
        await until(() => closes.get(mine - 1) === 1, `${name}: the other one is closed`);
      }
      if (/another$/.test(action) && /^(end|close)/.test(action))
        await until(() => otherEnded, `${name}: it ends`);
    }
  }
  other.socket.destroy();
  await until(() => closes.get(0) === opens.get(0), 'the last one is closed');
  app.close();

  // The end of the App, from each of them, with others that are open and one that is asked for.
  for (const handler of handlers) {
    for (const way of ['close', 'shutdown']) {
      const counts = { opened: 0, closed: 0, done: false };
      const ending = App({ threads: 2, textType: 'string' });
      const end = (at) => () => {
        // Not before the four are open; `open` is that of the next.
        if (at !== handler || counts.done || counts.opened < (at === 'open' ? 5 : 4)) return;
        counts.done = true;
        if (way === 'close') ending.close();
        else
          ending
            .shutdown({ timeout: 5 })
            .then(({ forced }) => forced > 0 && failures.push(`${handler}: ${forced} forced`));
      };
      ending.ws('/*', {
        ...Object.fromEntries(handlers.map((name) => [name, end(name)])),
        maxBackpressure: 64 * 1024,
        upgrade: (res, req, upgradeContext) => {
          const accept = upgrade(res, req, upgradeContext, {});
          end('upgrade')();
          // The App may have ended it.
          if (!(counts.done && handler === 'upgrade' && way === 'close')) accept();
        },
        open: () => {
          counts.opened++;
          end('open')();
        },
        message: (ws, message) => {
          if (['subscribe', 'ask', 'fill'].includes(message)) behavior.message(ws, message);
          else end('message')();
        },
        close: () => {
          counts.closed++;
          end('close')();
        },
      });
      const place = us_socket_local_port(await ending.listen('127.0.0.1', 0));
      const clients = [];
      for (let at = 0; at < 4; at++) clients.push(await connectRaw(context, place));
      await until(() => counts.opened === 4, 'four are open');
      const [first] = clients;
      for (const { socket } of clients) socket.on('error', () => {});
      if (handler === 'upgrade' || handler === 'open') {
        const late = net.connect(place, '127.0.0.1').on('error', () => {});
        late.write(opening());
        clients.push({ ended: once(late.resume(), 'close'), write: () => {} });
      } else if (handler === 'close') first.write(closeFrame(1000));
      else {
        if (handler === 'dropped') first.socket.pause();
        wire(first, handler);
        await until(() => counts.done, `${way} in ${handler}`);
        first.socket.resume();
      }
      await until(() => counts.done, `${way} in ${handler}`);
      // Who gets a close frame answers it.
      for (const client of clients) {
        client.closeFrame?.().then(() => client.write(closeFrame(1000)));
        client.ended.then(() => client.socket?.destroy());
      }
      await Promise.all(clients.map((client) => client.ended));
      await until(() => counts.opened === counts.closed, `each is closed behind ${way} in ${handler}`);
    }
  }
  const odd = [...opens].filter(([of, times]) => closes.get(of) !== times || (of !== 0 && times !== 1));
  console.log(JSON.stringify({ failures, odd, connections: opens.size, planned: number + 1 }));
}

test('everything can be done in every handler, and each open has one close', {
  timeout: 60_000,
}, async (context) => {
  const child = runScript(context, everything, { handlers: HANDLERS });
  const { failures, odd, connections, planned } = await child.value();
  assert.deepEqual(failures, []);
  assert.deepEqual(odd, []);
  assert.equal(connections, planned);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
