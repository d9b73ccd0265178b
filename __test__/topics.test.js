'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const vm = require('node:vm');
const { App, DEDICATED_COMPRESSOR_4KB, SHARED_COMPRESSOR } = require('tidewire');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { connectRaw } = require('./support/raw_client');
const { BOUND, observe, serve, text } = require('./support/server');

const CLOSED = { code: 'TIDEWIRE_CLOSED', message: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.' };
const NO_TEXT = {
  name: 'TypeError',
  code: 'TIDEWIRE_TEXT_OR_DATA',
  message: 'Text and data can only be passed by String, ArrayBuffer or TypedArray.',
};

/** A server, some clients of it, and their sockets, in the same order. */
async function crowd(context, count, behavior, place) {
  const server = observe(context, behavior, place);
  const clients = [];
  const sockets = [];
  for (let number = 0; number < count; number++) {
    clients.push(await connect(context, server.url));
    sockets.push(await opened(server.events));
  }
  return { ...server, clients, sockets };
}

/** The socket of the next open event. */
async function opened(events) {
  for (;;) {
    const [name, ws] = await events.next();
    if (name === 'open') return ws;
  }
}

/** The texts that a client gets until this one. */
async function textsUntil(client, last) {
  const texts = [];
  do texts.push(await client.text());
  while (texts.at(-1) !== last);
  return texts.slice(0, -1);
}

describe('ws.subscribe', () => {
  test('returns true, also the second time, and counts once', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 1);
    assert.equal(sockets[0].subscribe('news'), true);
    assert.equal(sockets[0].subscribe('news'), true);
    assert.equal(app.numSubscribers('news'), 1);
    assert.deepEqual(sockets[0].getTopics(), ['news']);
  });

  test('works in the open handler', BOUND, async (context) => {
    const { app, clients } = await crowd(context, 2, { open: (ws) => ws.subscribe('news') });
    assert.equal(app.publish('news', 'hello'), true);
    for (const client of clients) assert.equal(await client.text(), 'hello');
  });

  test('returns false in the close handler, and leaves nothing behind', BOUND, async (context) => {
    const seen = [];
    const close = (ws) => {
      seen.push(ws.subscribe('late'), ws.isSubscribed('held'), ws.getTopics(), ws.unsubscribe('held'));
    };
    const { app, sockets } = await crowd(context, 1, { close });
    sockets[0].subscribe('held');
    sockets[0].close();
    assert.deepEqual(seen, [false, false, [], false]);
    assert.equal(app.numSubscribers('late') + app.numSubscribers('held'), 0);
  });
});

test(
  'an open handler within res.upgrade subscribes, publishes and is published to, in order',
  BOUND,
  async (context) => {
    const order = [];
    const { app, url } = serve(context, {
      upgrade: (res, req, socketContext) => {
        const headers = ['key', 'protocol', 'extensions'].map((name) =>
          req.getHeader(`sec-websocket-${name}`),
        );
        res.upgrade({}, ...headers, socketContext);
        order.push(app.publish('news', '4'));
        app.publish('news', `5${'x'.repeat(100_000)}`);
      },
      open: (ws) => {
        order.push(app.publish('news', 'too early'));
        ws.subscribe('news');
        ws.send('1');
        app.publish('news', '2');
        order.push(ws.publish('news', 'not to itself'));
        ws.send('3');
      },
      maxBackpressure: 0,
    });
    const client = await connect(context, url);
    app.publish('news', '6');
    const texts = (await client.messages.take(6)).map(([data]) => parseInt(data.toString(), 10));
    assert.deepEqual(texts, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(order, [false, false, true]);
  },
);

describe('ws.unsubscribe', () => {
  test('returns whether it was subscribed', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 2);
    const [one, other] = sockets;
    one.subscribe('news');
    assert.equal(other.unsubscribe('news'), false);
    assert.equal(one.unsubscribe('news'), true);
    assert.equal(one.unsubscribe('news'), false);
    assert.equal(one.unsubscribe('never heard of'), false);
    assert.equal(app.numSubscribers('news'), 0);
    assert.equal(app.publish('news', 'x'), false);
  });

  test('takes effect between two publishes of one turn', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 1);
    app.publish('news', 'before');
    sockets[0].subscribe('news');
    app.publish('news', 'while');
    sockets[0].unsubscribe('news');
    app.publish('news', 'after');
    sockets[0].send('end');
    assert.deepEqual(await textsUntil(clients[0], 'end'), ['while']);
  });
});

test('ws.isSubscribed tells one topic and one socket from another', BOUND, async (context) => {
  const { sockets } = await crowd(context, 2);
  sockets[0].subscribe('a');
  assert.deepEqual(
    [sockets[0].isSubscribed('a'), sockets[0].isSubscribed('b'), sockets[1].isSubscribed('a')],
    [true, false, false],
  );
});

test('ws.getTopics returns the names in the order of the subscriptions', BOUND, async (context) => {
  const { sockets } = await crowd(context, 1);
  for (const name of ['b', '', 'a', 'grüße 🌍']) sockets[0].subscribe(name);
  sockets[0].unsubscribe('a');
  sockets[0].subscribe('c');
  assert.deepEqual(sockets[0].getTopics(), ['b', '', 'grüße 🌍', 'c']);
});

describe('ws.publish', () => {
  test('sends to all subscribers but itself', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 3);
    for (const ws of sockets) ws.subscribe('news');
    assert.equal(sockets[1].publish('news', 'from 1'), true);
    app.publish('news', 'end');
    assert.deepEqual(await textsUntil(clients[0], 'end'), ['from 1']);
    assert.deepEqual(await textsUntil(clients[1], 'end'), []);
    assert.deepEqual(await textsUntil(clients[2], 'end'), ['from 1']);
  });

  test('needs no subscription of its own', BOUND, async (context) => {
    const { sockets, clients } = await crowd(context, 2);
    sockets[0].subscribe('news');
    assert.equal(sockets[1].publish('news', 'hello'), true);
    assert.equal(await clients[0].text(), 'hello');
  });

  test('returns false if nobody else is there', BOUND, async (context) => {
    const { sockets } = await crowd(context, 2);
    assert.equal(sockets[0].publish('news', 'x'), false);
    sockets[0].subscribe('news');
    assert.equal(sockets[0].publish('news', 'x'), false);
    sockets[1].subscribe('news');
    assert.equal(sockets[0].publish('news', 'x'), true);
  });

  test('works in the close handler', BOUND, async (context) => {
    const results = [];
    const { sockets, clients } = await crowd(context, 2, {
      close: (ws) => results.push(ws.publish('news', 'gone'), ws.publish('nobody', 'gone')),
    });
    for (const ws of sockets) ws.subscribe('news');
    sockets[0].end(1000);
    assert.deepEqual(results, [true, false]);
    assert.equal(await clients[1].text(), 'gone');
  });

  test('is not got by one whose close has begun', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 1);
    sockets[0].subscribe('news');
    app.publish('news', 'before');
    sockets[0].end(1000);
    assert.equal(app.publish('news', 'after'), false);
    assert.deepEqual(await clients[0].closed, { code: 1000, reason: '' });
    assert.deepEqual(clients[0].messages.all.map(String), ['before,false']);
  });
});

describe('app.publish', () => {
  test('returns false before the App listens', () => {
    assert.equal(App().publish('news', 'x'), false);
    assert.equal(App().numSubscribers('news'), 0);
  });

  test('returns whether the topic has a subscriber', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 1);
    assert.equal(app.publish('news', 'x'), false);
    sockets[0].subscribe('news');
    assert.equal(app.publish('news', 'x'), true);
    assert.equal(app.publish('other', 'x'), false);
  });

  test('returns false after app.close, which drops all', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 2, {}, { options: { threads: 2 } });
    for (const ws of sockets) ws.subscribe('news');
    app.close();
    assert.equal(app.numSubscribers('news'), 0);
    assert.equal(app.publish('news', 'x'), false);
    for (const client of clients) assert.equal((await client.closed).code, 1006);
  });

  test('reaches the sockets of every route', BOUND, async (context) => {
    const { app, url } = serve(context, { open: (ws) => ws.subscribe('news') }, { pattern: '/a' });
    app.ws('/b', { open: (ws) => ws.subscribe('news') });
    const clients = [await connect(context, `${url}/a`), await connect(context, `${url}/b`)];
    while (app.numSubscribers('news') < 2) await new Promise(setImmediate);
    app.publish('news', 'both');
    for (const client of clients) assert.equal(await client.text(), 'both');
  });

  test('does not reach another App', BOUND, async (context) => {
    const { sockets } = await crowd(context, 1);
    const other = await crowd(context, 1);
    sockets[0].subscribe('news');
    assert.equal(other.app.publish('news', 'x'), false);
    assert.equal(other.app.numSubscribers('news'), 0);
  });
});

describe('a published message', () => {
  const lengths = [
    0, 1, 15, 16, 17, 125, 126, 127, 2048, 10_922, 10_923, 32_767, 32_768, 65_535, 65_536, 300_000,
  ];
  for (const threads of [1, 2]) {
    test(`arrives as it was, whatever its length, on ${threads} threads`, BOUND, async (context) => {
      const behavior = { maxBackpressure: 0 };
      const { app, sockets, clients } = await crowd(context, 3, behavior, { options: { threads } });
      for (const ws of sockets) ws.subscribe('news');
      for (const length of lengths) {
        app.publish('news', 'é'.repeat(length));
        app.publish('news', new Uint8Array(length).fill(length), true);
      }
      for (const client of clients) {
        for (const length of lengths) {
          const [[string, isBinary], [bytes, isBytes]] = await client.messages.take(2);
          assert.deepEqual([isBinary, isBytes], [false, true]);
          assert.ok(string.equals(Buffer.from('é'.repeat(length))), `text of ${length}`);
          assert.ok(bytes.equals(Buffer.alloc(length, length)), `${length} bytes`);
        }
      }
    });
  }

  const memory = Uint8Array.from({ length: 16 }, (_, at) => at).buffer;
  const forms = [
    ['undefined', undefined, ''],
    ['an ArrayBuffer', memory, new Uint8Array(memory)],
    ['a view', new Uint16Array(memory, 2, 3), [2, 3, 4, 5, 6, 7]],
    ['a DataView', new DataView(memory, 5, 2), [5, 6]],
    ['an ArrayBuffer of another realm', vm.runInNewContext('Uint8Array.of(4, 5).buffer'), [4, 5]],
    ['a SharedArrayBuffer', new SharedArrayBuffer(3), [0, 0, 0]],
  ];
  for (const [name, message, bytes] of forms) {
    test(`can be ${name}`, BOUND, async (context) => {
      const { app, sockets, clients } = await crowd(context, 1);
      sockets[0].subscribe('news');
      app.publish('news', message, true);
      const [data, isBinary] = await clients[0].messages.next();
      assert.deepEqual([...data], [...Buffer.from(bytes)]);
      assert.equal(isBinary, true);
    });
  }

  for (const message of [null, 7, {}, [], Symbol('x')]) {
    test(`cannot be ${String(message)} of type ${typeof message}`, BOUND, async (context) => {
      const { app, sockets } = await crowd(context, 1);
      assert.throws(() => app.publish('nobody', message), NO_TEXT);
      sockets[0].subscribe('news');
      assert.throws(() => app.publish('news', message), NO_TEXT);
      assert.throws(() => sockets[0].publish('nobody', message), NO_TEXT);
    });
  }
});

for (const compression of [SHARED_COMPRESSOR, DEDICATED_COMPRESSOR_4KB]) {
  test(
    `compress of a publish, compression ${compression}: who can take it gets less`,
    BOUND,
    async (context) => {
      const { app, url, events } = observe(context, { compression, maxBackpressure: 0 });
      const clients = [];
      for (const perMessageDeflate of [
        true,
        true,
        { clientMaxWindowBits: 10, serverMaxWindowBits: 10 },
        false,
      ]) {
        clients.push(await connect(context, url, { perMessageDeflate }));
        (await opened(events)).subscribe('news');
      }
      const messages = [
        '',
        'short',
        ...[200, 3_000, 9_000, 40_000].map((length) => 'tidewire '.repeat(length)),
      ];
      const whole = messages.reduce((sum, message) => sum + message.length, 0);
      for (const message of messages) app.publish('news', message, false, true);
      app.publish('news', 'end');
      for (const client of clients) assert.deepEqual(await textsUntil(client, 'end'), messages);
      while (app.stats().waiting.outboxBytes > 0) await new Promise(setImmediate);
      const { bytesOut } = app.stats();
      assert.ok(
        bytesOut > whole && bytesOut < 1.1 * whole,
        `${bytesOut} bytes, ${whole} in one that is plain`,
      );
    },
  );
}

describe('a topic', () => {
  test('is the same as text and as its bytes, in every form', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 1);
    const [ws] = sockets;
    ws.subscribe(Buffer.from('grüße'));
    assert.deepEqual(ws.getTopics(), ['grüße']);
    const bytes = new TextEncoder().encode('xgrüße');
    for (const form of ['grüße', bytes.slice(1), bytes.slice(1).buffer, new DataView(bytes.buffer, 1)]) {
      assert.equal(ws.isSubscribed(form), true);
      assert.equal(app.numSubscribers(form), 1);
    }
    assert.equal(ws.unsubscribe(bytes.subarray(1)), true);
  });

  test('can be empty, as text or undefined', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 1);
    sockets[0].subscribe(undefined);
    assert.deepEqual([app.numSubscribers(''), app.publish('', 'x')], [1, true]);
    assert.deepEqual(sockets[0].getTopics(), ['']);
  });

  test('that is no UTF-8 is told from others', BOUND, async (context) => {
    const topics = [];
    const { app, sockets } = await crowd(context, 1, {
      subscription: (_ws, topic) => topics.push([...new Uint8Array(topic)]),
    });
    sockets[0].subscribe(Uint8Array.of(0xff, 0x61));
    assert.equal(app.numSubscribers(Uint8Array.of(0xff, 0x61)), 1);
    for (const other of [Uint8Array.of(0xfe, 0x61), '\ufffda', 'ÿa'])
      assert.equal(app.numSubscribers(other), 0);
    const [name] = sockets[0].getTopics();
    assert.equal(app.publish(name, 'x'), true);
    assert.deepEqual(topics, [[0xff, 0x61]]);
  });

  test('must be text or data', BOUND, async (context) => {
    const { app, sockets } = await crowd(context, 1);
    const [ws] = sockets;
    for (const topic of [null, 1, {}, []]) {
      for (const name of ['subscribe', 'unsubscribe', 'isSubscribed', 'publish']) {
        assert.throws(() => ws[name](topic, 'x'), NO_TEXT, name);
      }
      assert.throws(() => app.publish(topic, 'x'), NO_TEXT);
      assert.throws(() => app.numSubscribers(topic), NO_TEXT);
    }
  });

  test('whose number another one gets is not mixed up with it', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 2);
    const [one, other] = sockets;
    one.subscribe('kept');
    for (let number = 0; number < 50; number++) {
      one.subscribe(`old ${number}`);
      app.publish(`old ${number}`, `to one ${number}`);
      one.unsubscribe(`old ${number}`);
      other.subscribe(`new ${number}`);
      app.publish(`new ${number}`, `to other ${number}`);
      assert.equal(app.publish(`old ${number}`, 'to nobody'), false);
      other.unsubscribe(`new ${number}`);
    }
    for (const ws of sockets) ws.send('end');
    const numbers = Array.from({ length: 50 }, (_, number) => number);
    assert.deepEqual(
      await textsUntil(clients[0], 'end'),
      numbers.map((number) => `to one ${number}`),
    );
    assert.deepEqual(
      await textsUntil(clients[1], 'end'),
      numbers.map((number) => `to other ${number}`),
    );
  });
});

describe('the subscription handler', () => {
  test('is called at each change, before the method returns', BOUND, async (context) => {
    const calls = [];
    const subscription = (ws, topic, count, before) => calls.push([ws, text(topic), count, before]);
    const { sockets } = await crowd(context, 2, { subscription });
    const [one, other] = sockets;
    one.subscribe('a');
    assert.equal(calls.length, 1);
    other.subscribe('a');
    one.subscribe('a');
    other.unsubscribe('b');
    one.unsubscribe('a');
    one.unsubscribe('a');
    assert.deepEqual(calls, [
      [one, 'a', 1, 0],
      [other, 'a', 2, 1],
      [one, 'a', 1, 2],
    ]);
  });

  for (const [name, end] of /** @type {const} */ ([
    ['ws.close()', (ws) => ws.close()],
    ['ws.end()', (ws) => ws.end(1000)],
    ['the peer', (_ws, client) => client.socket.close()],
    ['a reset', (_ws, client) => client.socket.terminate()],
  ])) {
    test(`is called once for each topic, before close, at an end by ${name}`, BOUND, async (context) => {
      const calls = [];
      const done = new Promise((resolve) => {
        context.after(resolve);
        calls.done = resolve;
      });
      const { app, sockets, clients } = await crowd(context, 2, {
        subscription: (ws, topic, count, before) => {
          if (count < before) calls.push([text(topic), count, before, ws.isSubscribed(topic), ws.readyState]);
        },
        close: (ws) => {
          calls.push(['close', ws.getTopics()]);
          calls.done();
        },
      });
      for (const ws of sockets) ws.subscribe('both');
      sockets[0].subscribe('alone');
      end(sockets[0], clients[0]);
      await done;
      assert.deepEqual(calls.slice(0, 2).sort(), [
        ['alone', 0, 1, false, 2],
        ['both', 1, 2, false, 2],
      ]);
      assert.deepEqual(calls.slice(2), [['close', []]]);
      assert.deepEqual([app.numSubscribers('both'), app.numSubscribers('alone')], [1, 0]);
    });
  }

  test('gets the name as textType says', BOUND, async (context) => {
    const kinds = { arraybuffer: ArrayBuffer, nodebuffer: Buffer, uint8array: Uint8Array, string: String };
    for (const [textType, kind] of Object.entries(kinds)) {
      const topics = [];
      const { sockets } = await crowd(context, 1, {
        textType,
        subscription: (_ws, topic) => topics.push(topic),
      });
      sockets[0].subscribe('grüße');
      assert.ok(Object(topics[0]) instanceof kind, textType);
      assert.equal(text(topics[0]), 'grüße');
    }
  });

  test('may subscribe, unsubscribe, publish and close', BOUND, async (context) => {
    const { app, sockets, clients } = await crowd(context, 2, {
      subscription: (ws, topic, count, before) => {
        const name = text(topic);
        if (name === 'one' && count > before) ws.subscribe('two');
        if (name === 'two' && count > before) ws.unsubscribe('one');
        if (name === 'two' && count < before) ws.publish('watch', 'two is gone');
        if (name === 'end') ws.close();
      },
    });
    sockets[1].subscribe('watch');
    assert.equal(sockets[0].subscribe('one'), true);
    assert.deepEqual(sockets[0].getTopics(), ['two']);
    assert.equal(sockets[0].subscribe('end'), true);
    assert.equal(sockets[0].readyState, 3);
    assert.deepEqual(
      ['one', 'two', 'end', 'watch'].map((name) => app.numSubscribers(name)),
      [0, 0, 0, 1],
    );
    assert.equal(await clients[1].text(), 'two is gone');
  });

  test('that throws reaches uncaughtException, and nothing else', BOUND, async (context) => {
    // In a process of its own: a runner of tests may take uncaught exceptions for itself.
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const errors = [];
      process.on('uncaughtException', (error) => errors.push(error.message));
      let closed = false;
      const app = App({ textType: 'string' });
      const use = (ws) => {
        const subscribed = [ws.subscribe('a'), ws.subscribe('b')];
        ws.close();
        const left = app.numSubscribers('a') + app.numSubscribers('b');
        console.log(JSON.stringify({ subscribed, closed, errors: errors.sort(), left }));
        app.close();
      };
      app.ws('/*', {
        open: (ws) => setImmediate(use, ws),
        subscription: (_ws, topic) => {
          throw new Error(Buffer.from(topic).toString());
        },
        close: () => {
          closed = true;
        },
      });
      app.listen('127.0.0.1', 0, (token) => {
        new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`).on('error', () => {});
      });
    });
    assert.deepEqual(await child.value(), {
      subscribed: [true, true],
      closed: true,
      errors: ['a', 'a', 'b', 'b'],
      left: 0,
    });
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});

test('after the close handler, every method of topics throws', BOUND, async (context) => {
  const { sockets } = await crowd(context, 1);
  const [ws] = sockets;
  ws.subscribe('news');
  ws.close();
  for (const name of ['subscribe', 'unsubscribe', 'isSubscribed', 'getTopics', 'publish']) {
    assert.throws(() => ws[name]('news', 'x'), CLOSED, name);
  }
});

test('publish and send are in the order of the calls, in and out of cork', BOUND, async (context) => {
  const { app, sockets, clients } = await crowd(context, 2);
  const [one, other] = sockets;
  for (const ws of sockets) ws.subscribe('news');
  one.send('1');
  app.publish('news', '2');
  one.cork(() => {
    one.send('3');
    other.publish('news', '4');
    one.send('5');
    app.publish('news', '6');
  });
  app.publish('news', `7${'x'.repeat(100_000)}`);
  one.send('8');
  await null;
  one.send('9');
  app.publish('news', '10');
  one.send('end');
  const order = (await textsUntil(clients[0], 'end')).map((string) => parseInt(string, 10));
  assert.deepEqual(order, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('10,000 topics of one socket', BOUND, async (context) => {
  const { app, sockets, clients } = await crowd(context, 2);
  const [many, few] = sockets;
  const names = Array.from({ length: 10_000 }, (_, number) => `topic ${number}`);
  for (const name of names) many.subscribe(name);
  few.subscribe(names[7]);
  assert.deepEqual(many.getTopics(), names);
  assert.ok(names.every((name) => many.isSubscribed(name)));
  assert.equal(app.stats().topics, 10_000);
  assert.equal(app.stats().subscriptions, 10_001);
  for (const name of names.slice(0, 5_000)) assert.equal(many.unsubscribe(name), true);
  for (const name of names) app.publish(name, name);
  many.send('end');
  assert.deepEqual(await textsUntil(clients[0], 'end'), names.slice(5_000));
  many.close();
  assert.equal(await clients[1].text(), names[7]);
  const { topics, subscriptions } = app.stats();
  assert.deepEqual([topics, subscriptions], [1, 1]);
  assert.ok(names.every((name) => app.numSubscribers(name) === (name === names[7] ? 1 : 0)));
});

test('a slow subscriber loses messages, and holds nobody up', BOUND, async (context) => {
  const dropped = [];
  const { app, sockets, clients, port, events } = await crowd(context, 1, {
    maxBackpressure: 100_000,
    dropped: (ws) => dropped.push(ws),
  });
  await connectRaw(context, port, { reads: false });
  const ws = await opened(events);
  for (const socket of [...sockets, ws]) socket.subscribe('news');
  const message = Buffer.alloc(50_000, 1);
  let count = 0;
  while (dropped.length < 5) {
    app.publish('news', message, true);
    count++;
    const [data] = await clients[0].messages.next();
    assert.equal(data.length, message.length);
  }
  assert.ok(dropped.every((socket) => socket === ws));
  assert.ok(ws.getBufferedAmount() > 100_000);
  assert.equal(sockets[0].getBufferedAmount(), 0);
  const stats = app.stats();
  assert.ok(stats.dropped >= 5);
  assert.equal(stats.publishes, count);
});

test('closeOnBackpressureLimit closes a slow subscriber', BOUND, async (context) => {
  const { app, sockets, clients, port, events } = await crowd(context, 1, {
    maxBackpressure: 100_000,
    closeOnBackpressureLimit: true,
    textType: 'string',
  });
  await connectRaw(context, port, { reads: false });
  const ws = await opened(events);
  for (const socket of [...sockets, ws]) socket.subscribe('news');
  while (app.numSubscribers('news') === 2) {
    app.publish('news', Buffer.alloc(50_000), true);
    await clients[0].messages.next();
  }
  assert.equal(ws.readyState, 3);
  assert.equal(sockets[0].readyState, 1);
});

test('app.stats counts topics, subscriptions, publishes and deliveries', BOUND, async (context) => {
  const { app, sockets, clients } = await crowd(context, 3, {}, { options: { threads: 2 } });
  for (const ws of sockets) ws.subscribe('a');
  sockets[0].subscribe('b');
  app.publish('a', '1');
  app.publish('b', '2');
  app.publish('nobody', '3');
  sockets[0].publish('a', 'end');
  await Promise.all(clients.slice(1).map((client) => textsUntil(client, 'end')));
  // A reactor tells its numbers at the end of its turn, when the clients may have their messages already.
  for (let looks = 0; looks < 1_000 && app.stats().messagesOut < 6; looks++) await pause(5);
  const { topics, subscriptions, publishes, messagesOut, reactors } = app.stats();
  assert.deepEqual(
    { topics, subscriptions, publishes, messagesOut },
    {
      topics: 2,
      subscriptions: 4,
      publishes: 3,
      messagesOut: 6,
    },
  );
  assert.equal(
    reactors.reduce((sum, reactor) => sum + reactor.subscriptions, 0),
    4,
  );
});
