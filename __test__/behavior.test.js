'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { connect } = require('./support/client');
const { runScript } = require('./support/child');
const { nextClose } = require('./support/pair');
const { Queue } = require('./support/queue');
const { BINARY, CLOSE, PING, PONG, TEXT, closeFrame, connectRaw, frame } = require('./support/raw_client');
const { BOUND, observe, serve, text } = require('./support/server');

const CONTINUATION = 0;
const TOO_BIG = 'Received too big message';

const echo = (ws, message, isBinary) => ws.send(message, isBinary);

/** Lets the engine and the other tests have their turn. */
function pause() {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

// In real time, all at once: the shortest timeout is 8 seconds.
describe('idleTimeout of 8 seconds', { concurrency: true }, () => {
  const TIMED_OUT = [1006, 'WebSocket timed out from inactivity'];

  test('pings who is silent, and closes who does not answer', BOUND, async (context) => {
    const { port, events } = observe(context, { idleTimeout: 8 });
    const client = await connectRaw(context, port);
    assert.deepEqual(await nextClose(events), TIMED_OUT);
    assert.notEqual(await client.ended, null);
    assert.deepEqual(
      client.frames.all.map(({ opcode, payload }) => [opcode, payload.length]),
      [[PING, 0]],
    );
  });

  test('closes without a ping if sendPingsAutomatically is false', BOUND, async (context) => {
    const { port, events } = observe(context, { idleTimeout: 8, sendPingsAutomatically: false });
    const client = await connectRaw(context, port);
    assert.deepEqual(await nextClose(events), TIMED_OUT);
    await client.ended;
    assert.deepEqual(client.frames.all, []);
  });

  test('is not reset by sending', BOUND, async (context) => {
    const { port, events } = observe(context, {
      idleTimeout: 8,
      sendPingsAutomatically: false,
      open: (ws) => {
        const timer = setInterval(() => (ws.readyState === 1 ? ws.send('tick') : clearInterval(timer)), 500);
      },
    });
    const client = await connectRaw(context, port);
    assert.deepEqual(await nextClose(events), TIMED_OUT);
    await client.ended;
    assert.ok(client.frames.all.length > 0);
  });

  // What keeps a connection open is held against a longer timeout, which nothing keeps from running out.
  const kept = {
    'answers pings': (client) => {
      const pong = () => client.write(frame(PONG));
      const answer = async () => {
        for (;;) {
          await client.frames.next();
          pong();
        }
      };
      answer();
    },
    'sends messages': (client) => setInterval(() => client.write(frame(TEXT, 'here')), 1_000),
    'sends a byte of a frame now and then': (client) => {
      const bytes = frame(BINARY, Buffer.alloc(100));
      let at = 0;
      return setInterval(() => client.write(bytes.subarray(at, ++at)), 1_000);
    },
  };
  for (const [name, keep] of Object.entries(kept)) {
    test(`keeps who ${name}`, BOUND, async (context) => {
      const { port, events } = observe(context, { idleTimeout: 8 });
      const client = await connectRaw(context, port);
      const [, ws] = await events.next();
      const timer = keep(client);
      context.after(() => clearInterval(timer));
      await silence(context);
      assert.equal(ws.readyState, 1);
      assert.ok(events.all.every(([event]) => event !== 'close'));
    });
  }

  test('of 0 keeps everybody', BOUND, async (context) => {
    const { port, events } = observe(context, { idleTimeout: 0 });
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    await silence(context);
    assert.equal(ws.readyState, 1);
    assert.deepEqual(client.frames.all, []);
  });

  /** Ends when a connection on which nothing is said has timed out: 8 seconds are over then, and 4 more. */
  async function silence(context) {
    const { port, events } = observe(context, { idleTimeout: 12, sendPingsAutomatically: false });
    await connectRaw(context, port);
    await nextClose(events);
  }
});

describe('maxPayloadLength', () => {
  const LIMIT = 1_000;

  test('lets a message of exactly so many bytes through', BOUND, async (context) => {
    const { url } = serve(context, { maxPayloadLength: LIMIT, message: echo });
    const client = await connect(context, url);
    client.send('x'.repeat(LIMIT), Buffer.alloc(LIMIT), 'é'.repeat(LIMIT / 2));
    const messages = await client.messages.take(3);
    assert.deepEqual(
      messages.map(([data]) => data.length),
      [LIMIT, LIMIT, LIMIT],
    );
  });

  const parts = (size) => [
    frame(BINARY, Buffer.alloc(size), { fin: false }),
    frame(CONTINUATION, Buffer.alloc(LIMIT - size), { fin: false }),
  ];

  test('counts the bytes of fragments, and takes just as many', BOUND, async (context) => {
    const { port, events } = observe(context, { maxPayloadLength: LIMIT });
    const client = await connectRaw(context, port);
    client.write(...parts(999), frame(PING, 'between'), frame(CONTINUATION), frame(TEXT, 'next'));
    await events.next();
    const [, [, , message, isBinary], [, , next]] = await events.take(3);
    assert.deepEqual([message.length, isBinary, next], [LIMIT, true, 'next']);
  });

  test('is 16 KiB by default', BOUND, async (context) => {
    const { url, port, events } = observe(context);
    const client = await connect(context, url);
    client.send(Buffer.alloc(16 * 1024));
    const [, [, , message]] = await events.take(2);
    assert.equal(message.length, 16 * 1024);
    const other = await connectRaw(context, port);
    other.write(frame(BINARY, Buffer.alloc(16 * 1024 + 1)));
    assert.deepEqual(await nextClose(events), [1006, TOO_BIG]);
  });
});

describe('maxFragments', () => {
  const fragments = (count, data = '') => [
    frame(TEXT, data, { fin: false }),
    ...Array.from({ length: count - 2 }, () => frame(CONTINUATION, data, { fin: false })),
    frame(CONTINUATION, data),
  ];

  test('lets so many fragments through', BOUND, async (context) => {
    const { port, events } = observe(context, { maxFragments: 10 });
    const client = await connectRaw(context, port);
    client.write(...fragments(10, 'x'), ...fragments(10), frame(TEXT, 'whole'));
    const [, ...messages] = await events.take(4);
    assert.deepEqual(
      messages.map(([, , message]) => message),
      ['x'.repeat(10), '', 'whole'],
    );
  });
});

describe('maxBackpressure', () => {
  const CHUNK = Buffer.alloc(100_000, 'c');

  /** A client that does not read, with so much waiting for it that messages are dropped. */
  async function choked(context, behavior) {
    const server = observe(context, behavior);
    const client = await connectRaw(context, server.port, { reads: false });
    const [, ws] = await server.events.next();
    for (let sent = 0; ws.readyState === 1 && ws.send(CHUNK, true) !== 2; sent++) {
      assert.ok(sent < 2_000, '200 MB were sent to a client that does not read');
      // The status is exact for a batch: what is sent in one turn is judged in the next.
      await pause();
    }
    return { ...server, client, ws };
  }

  test('drops what is sent while more waits, and says so', BOUND, async (context) => {
    const { ws, events } = await choked(context, { maxBackpressure: 50_000 });
    events.all.length = 0;
    for (let round = 0; round < 3; round++) {
      assert.equal(ws.send('dropped text'), 2);
      assert.equal(ws.send(Buffer.from('dropped bytes'), true), 2);
    }
    const pair = [
      ['dropped', ws, 'dropped text', false],
      ['dropped', ws, 'dropped bytes', true],
    ];
    assert.deepEqual(events.all, [pair, pair, pair].flat());
    assert.equal(ws.readyState, 1);
    assert.ok(ws.getBufferedAmount() > 50_000);
  });

  test('is checked before a send: one message may overshoot', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 1 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    const message = Buffer.alloc(30_000_000, 'm');
    assert.notEqual(ws.send(message, true), 2);
    while (ws.send('too much waits') !== 2) await pause();
    client.read();
    for (;;) {
      const { opcode, payload } = await client.frames.next();
      if (opcode === TEXT) continue;
      assert.ok(payload.equals(message));
      return;
    }
  });

  test('of 0 is unlimited', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 0 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    const statuses = new Set();
    for (let number = 0; number < 400; number++) {
      statuses.add(ws.send(CHUNK, true));
      if (number % 20 === 0) await pause();
    }
    assert.deepEqual([...statuses], [1, 0]);
    client.read();
    const frames = await client.frames.take(400);
    assert.ok(frames.every(({ payload }) => payload.equals(CHUNK)));
  });

  test('closes with 1006 if closeOnBackpressureLimit', BOUND, async (context) => {
    const { ws, events, client } = await choked(context, {
      maxBackpressure: 50_000,
      closeOnBackpressureLimit: true,
    });
    assert.equal(ws.readyState, 3);
    assert.deepEqual(await nextClose(events), [1006, '']);
    client.read();
    await client.ended;
    assert.equal(events.all.filter(([name]) => name === 'close').length, 1);
    assert.ok(client.frames.all.every(({ opcode }) => opcode === BINARY));
  });

  test('holds within one turn, too, and what is not dropped arrives', BOUND, async (context) => {
    const { port, events } = observe(context, { maxBackpressure: 200_000 });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    for (let number = 0; number < 300; number++) ws.send(CHUNK, true);
    for (let event = await events.next(); event[0] !== 'dropped'; ) event = await events.next();
    client.read();
    while (ws.send('behind them') !== 1) await pause();
    let received = 0;
    for (let { opcode, payload } = await client.frames.next(); opcode !== TEXT; received++) {
      assert.ok(payload.equals(CHUNK));
      ({ opcode, payload } = await client.frames.next());
    }
    const dropped = events.all.filter(([name, , data]) => name === 'dropped' && data.length === CHUNK.length);
    assert.ok(dropped.every(([, , , isBinary]) => isBinary));
    assert.ok(received > 0 && dropped.length > 0);
    assert.equal(received + dropped.length, 300);
  });
});

describe('binaryType and textType', () => {
  const isOfType = {
    arraybuffer: (data) => data instanceof ArrayBuffer,
    nodebuffer: (data) => Buffer.isBuffer(data),
    uint8array: (data) => data?.constructor === Uint8Array,
    string: (data) => typeof data === 'string',
  };
  const binaryTypes = ['arraybuffer', 'nodebuffer', 'uint8array'];
  const textTypes = [...binaryTypes, 'string'];

  /** Sends a text and a binary message of each size, a ping and a close frame; holds the types of all. */
  async function check(context, behavior, options, binaryType, textType) {
    const seen = new Queue();
    const { port } = serve(
      context,
      {
        maxPayloadLength: 1_000_000,
        ...behavior,
        message: (_, data, isBinary) => seen.push([isBinary ? 'binary' : 'text', data]),
        ping: (_, data) => seen.push(['binary', data]),
        pong: (_, data) => seen.push(['binary', data]),
        close: (_, __, reason) => seen.push(['binary', reason]),
      },
      { options },
    );
    const client = await connectRaw(context, port);
    const said = [0, 5, 70_000].map((size) => 'é'.repeat(size));
    for (const words of said) client.write(frame(TEXT, words), frame(BINARY, words));
    client.write(frame(PING, 'ping'), frame(PONG, 'pong'), closeFrame(1000, 'done'));
    const all = await seen.take(2 * said.length + 3);
    assert.deepEqual(
      all.map(([, data]) => text(data)),
      [...said.flatMap((words) => [words, words]), 'ping', 'pong', 'done'],
    );
    for (const [kind, data] of all) {
      const type = kind === 'text' ? textType : binaryType;
      assert.ok(isOfType[type](data), `${kind} of ${text(data).length} units is no ${type}`);
      if (data instanceof ArrayBuffer) assert.equal(data.byteLength, Buffer.byteLength(text(data)));
    }
  }

  for (const binaryType of binaryTypes) {
    for (const textType of textTypes) {
      test(`${binaryType} and ${textType}`, BOUND, (context) =>
        check(context, { binaryType, textType }, {}, binaryType, textType),
      );
      test(`${binaryType} and ${textType}, given to the App`, BOUND, (context) =>
        check(context, {}, { binaryType, textType }, binaryType, textType),
      );
    }
    test(`${binaryType} alone`, BOUND, (context) =>
      check(context, { binaryType }, {}, binaryType, binaryType),
    );
  }

  test('are an ArrayBuffer by default', BOUND, (context) =>
    check(context, {}, undefined, 'arraybuffer', 'arraybuffer'),
  );

  test('of a route go before those of the App', BOUND, (context) =>
    check(
      context,
      { binaryType: 'uint8array', textType: 'nodebuffer' },
      { binaryType: 'nodebuffer', textType: 'string' },
      'uint8array',
      'nodebuffer',
    ),
  );

  for (const binaryType of binaryTypes) {
    test(`a message kept as ${binaryType} stays intact after many MB more`, BOUND, async (context) => {
      const kept = [];
      const { url } = serve(context, {
        binaryType,
        textType: 'string',
        maxPayloadLength: 1_000_000,
        message: (ws, data, isBinary) => {
          if (isBinary) kept.push(data);
          else ws.send(String(kept.length));
        },
      });
      const client = await connect(context, url);
      const sizes = [1, 3, 16, 1_000, 10_000, 70_000];
      const rounds = 150;
      for (let round = 0; round < rounds; round++) {
        for (const size of sizes) client.send(Buffer.alloc(size, round));
      }
      client.send('all there?');
      assert.equal(await client.text(), String(rounds * sizes.length));
      for (const [number, data] of kept.entries()) {
        const size = sizes[number % sizes.length];
        const expected = Buffer.alloc(size, Math.floor(number / sizes.length));
        const bytes =
          data instanceof ArrayBuffer
            ? Buffer.from(data)
            : Buffer.from(data.buffer, data.byteOffset, data.length);
        assert.ok(bytes.equals(expected), `message ${number} of ${size} bytes has changed`);
      }
    });
  }

  test(
    'a handler may write into what it gets, and transfer it, without harm to others',
    BOUND,
    async (context) => {
      for (const binaryType of binaryTypes) {
        const { url } = serve(context, {
          binaryType,
          message: (ws, data, isBinary) => {
            ws.send(data, isBinary);
            new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength).fill(0xff);
            if (binaryType === 'arraybuffer') structuredClone(data, { transfer: [data] });
          },
        });
        const client = await connect(context, url);
        const numbers = Array.from({ length: 1_000 }, (_, number) => `message ${number}`);
        client.send(...numbers);
        const echoed = await client.messages.take(numbers.length);
        assert.deepEqual(
          echoed.map(([data]) => data.toString()),
          numbers,
        );
      }
    },
  );

  test(
    'a handler that transfers the memory of a whole batch takes no message from others',
    BOUND,
    async (context) => {
      const { url } = serve(context, {
        binaryType: 'nodebuffer',
        message: (ws, data, isBinary) => {
          ws.send(data, isBinary);
          if (data.toString() !== 'message 500') return;
          try {
            structuredClone(data.buffer, { transfer: [data.buffer] });
          } catch {
            // From version 21 on, Node throws instead of copying.
          }
        },
      });
      const client = await connect(context, url);
      const numbers = Array.from({ length: 1_000 }, (_, number) => `message ${number}`);
      client.send(...numbers);
      const echoed = await client.messages.take(numbers.length);
      assert.deepEqual(
        echoed.map(([data]) => data.toString()),
        numbers,
      );
    },
  );

  test('a handler that detaches the memory of a batch harms no batch behind it', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      // From version 21 on, Node has it unasked; the mark that keeps memory from a transfer to a worker says nothing to it.
      require('node:v8').setFlagsFromString('--harmony-rab-gsab-transfer');
      const transfer = require('node:vm').runInNewContext('ArrayBuffer.prototype.transfer');
      const app = App({ binaryType: 'nodebuffer' }).ws('/*', {
        message: (ws, data, isBinary) => {
          const said = data.toString();
          try {
            if (said === 'detach') transfer?.call(data.buffer);
          } catch {
            // From version 24 on, Node keeps marked memory from this, too.
          }
          ws.send(`${data.length} of ${said}`, isBinary);
        },
        close: (_ws, code) => {
          console.log(code);
          app.close();
        },
      });
      app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
    });
    const client = await connect(context, `ws://127.0.0.1:${await child.value()}`);
    const say = async (said) => {
      client.send(said);
      return client.text();
    };
    assert.equal(await say('first'), '5 of first');
    assert.match(await say('detach'), /^[06] of detach$/);
    // An event without a payload, and one with.
    assert.equal(await say(''), '0 of ');
    assert.equal(await say('behind'), '6 of behind');
    client.socket.close(4000);
    assert.equal(await child.value(), 4000);
    assert.equal((await child.exited).code, 0);
  });
});

describe('ping and pong handlers', () => {
  test('get the payload, and the ping is answered already', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    const payloads = ['', 'p', 'x'.repeat(125)];
    for (const payload of payloads) client.write(frame(PING, payload), frame(PONG, payload));
    const expected = payloads.flatMap((payload) => [
      ['ping', ws, payload],
      ['pong', ws, payload],
    ]);
    assert.deepEqual(await events.take(6), expected);
    const answers = await client.frames.take(3);
    assert.deepEqual(
      answers.map(({ opcode, payload }) => [opcode, payload.toString()]),
      payloads.map((payload) => [PONG, payload]),
    );
  });

  test('are not needed: pings are answered, pongs are not missed', BOUND, async (context) => {
    const { port } = serve(context, { message: echo });
    const client = await connectRaw(context, port);
    client.write(frame(PONG, 'unasked'), frame(PING, 'question'), frame(TEXT, 'message'));
    const [pong, message] = await client.frames.take(2);
    assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'question']);
    assert.deepEqual([message.opcode, message.payload.toString()], [TEXT, 'message']);
  });

  test('get what stands between the fragments of a message', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const first = frame(TEXT, 'one ', { fin: false });
    client.write(first, frame(PING, 'between'), frame(CONTINUATION, 'message'));
    const [, ping, message] = await events.take(3);
    assert.deepEqual(
      [ping[0], ping[2], message[0], message[2]],
      ['ping', 'between', 'message', 'one message'],
    );
  });
});

describe('close', () => {
  const sent = [
    [1000, 'bye'],
    [1001, ''],
    [1003, 'no such data'],
    [1007, 'x'],
    [1011, 'r'.repeat(123)],
    [1012, ''],
    [1014, ''],
    [3000, 'registered'],
    [3999, 'grüße'],
    [4000, ''],
    [4999, 'private'],
  ];
  for (const [code, reason] of sent) {
    test(`gets the peer's ${code}, and the peer gets it back`, BOUND, async (context) => {
      const { port, events } = observe(context);
      const client = await connectRaw(context, port);
      client.write(closeFrame(code, reason));
      assert.deepEqual(await nextClose(events), [code, reason]);
      assert.equal((await client.closeFrame()).code, code);
      assert.equal(await client.ended, 'fin');
    });
  }

  test('gets 1005 for a close frame without a code', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    client.write(closeFrame());
    assert.deepEqual(await nextClose(events), [1005, '']);
    assert.deepEqual(await client.closeFrame(), { code: null, reason: '' });
  });

  test('gets 1006 for FIN, and in the middle of a frame', BOUND, async (context) => {
    for (const bytes of [
      Buffer.alloc(0),
      frame(TEXT, 'cut').subarray(0, 7),
      frame(TEXT, 'x', { fin: false }),
    ]) {
      const { port, events } = observe(context);
      const client = await connectRaw(context, port);
      client.socket.end(bytes);
      assert.deepEqual(await nextClose(events), [1006, 'Received TCP FIN before WebSocket close frame']);
    }
  });

  test('gets 1006 for a reset', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    await events.next();
    client.socket.resetAndDestroy();
    assert.deepEqual(await nextClose(events), [1006, '']);
  });

  test('comes behind the echoes of one segment, in their order', BOUND, async (context) => {
    const { port } = serve(context, { message: echo });
    const client = await connectRaw(context, port);
    const words = Array.from({ length: 200 }, (_, number) => `word ${number}`);
    client.write(...words.map((word) => frame(TEXT, word)), frame(TEXT, 'bad', { rsv: 4 }));
    const frames = await client.frames.take(words.length + 1);
    assert.equal(frames.pop()?.opcode, CLOSE);
    assert.deepEqual(
      frames.map(({ payload }) => payload.toString()),
      words,
    );
  });

  test('comes exactly once for each open, however both sides end it', BOUND, async (context) => {
    const ways = [
      (_ws, client) => client.write(closeFrame(1000)),
      (_ws, client) => client.socket.resetAndDestroy(),
      (_ws, client) => client.socket.destroy(),
      (ws, client) => [client.write(closeFrame(1000)), ws.end(1001)],
      (ws, client) => [client.write(closeFrame(1000)), ws.close()],
      (ws, client) => [client.socket.destroy(), ws.end()],
      (ws, client) => [ws.end(), client.write(closeFrame(1000)), client.socket.end()],
      (ws, client) => [client.write(frame(TEXT, 'x'), frame(3)), ws.close()],
      (ws, client) => [ws.send('x'), client.write(frame(3), frame(3)), client.socket.resetAndDestroy()],
    ];
    const counts = new Map();
    const { port, events } = observe(context);
    for (let round = 0; round < 20; round++) {
      for (const end of ways) {
        const client = await connectRaw(context, port);
        let opened = await events.next();
        while (opened[0] !== 'open') opened = await events.next();
        counts.set(opened[1], 0);
        end(opened[1], client);
      }
    }
    const closes = () => events.all.filter(([name]) => name === 'close');
    while (closes().length < counts.size) await events.next();
    await pause();
    for (const [, ws] of closes()) counts.set(ws, counts.get(ws) + 1);
    assert.deepEqual(new Set(counts.values()), new Set([1]));
  });

  test('of a client whose first frames come with its request', BOUND, async (context) => {
    const { port, events } = observe(context, { message: echo });
    const early = Buffer.concat([frame(TEXT, 'early'), closeFrame(4000, 'and gone')]);
    const client = await connectRaw(context, port, { early });
    assert.deepEqual(await nextClose(events), [4000, 'and gone']);
    assert.deepEqual((await client.frames.next()).payload.toString(), 'early');
    assert.equal((await client.closeFrame()).code, 4000);
  });
});

describe('a handler', () => {
  test('that throws goes to uncaughtException; socket and batch go on', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const caught = [];
      process.on('uncaughtException', (error, origin) => caught.push([error.message, origin]));
      const fail = (name) => {
        throw new Error(`thrown by ${name}`);
      };
      const app = App();
      app.ws('/*', {
        open: () => fail('open'),
        ping: () => fail('ping'),
        pong: () => fail('pong'),
        message: (ws, message, isBinary) => {
          ws.send(message, isBinary);
          fail('message');
        },
        close: () => fail('close'),
      });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        const echoed = [];
        client.on('open', () => {
          client._socket.cork();
          for (let number = 0; number < 100; number++) client.send(String(number));
          client.ping('x');
          client.pong('y');
          client._socket.uncork();
        });
        client.on('message', (data) => {
          echoed.push(Number(data));
          if (echoed.length === 100) client.close(1000);
        });
        client.on('close', (code) => {
          setTimeout(() => {
            console.log(JSON.stringify({ code, echoed, caught }));
            app.close();
          }, 50);
        });
      });
    });
    const { code, echoed, caught } = await child.value();
    assert.equal(code, 1000);
    assert.deepEqual(
      echoed,
      Array.from({ length: 100 }, (_, number) => number),
    );
    const names = ['open', ...Array(100).fill('message'), 'ping', 'pong', 'close'];
    assert.deepEqual(
      caught,
      names.map((name) => [`thrown by ${name}`, 'uncaughtException']),
    );
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('that throws inside ws.end() or ws.close() does not throw at the caller', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const told = [];
      process.on('uncaughtException', ({ message }) => told.push(message));
      const app = App();
      app.ws('/*', {
        message: (ws) => {
          ws.end(1000);
          told.push('end returned');
        },
        close: () => {
          throw new Error('close threw');
        },
      });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => client.send('x'));
        client.on('close', () => {
          console.log(JSON.stringify(told));
          app.close();
        });
      });
    });
    assert.deepEqual(await child.value(), ['close threw', 'end returned']);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('that throws what is no Error hands it on as it is', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const caught = [];
      process.on('uncaughtException', (value) => caught.push(value === undefined ? 'undefined' : value));
      const values = [undefined, null, 0, '', 'text', false, { plain: 'object' }];
      const app = App();
      app.ws('/*', {
        message: (ws) => {
          if (values.length === 0) return ws.end(1000);
          throw values.shift();
        },
      });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => {
          for (let number = 0; number < 8; number++) client.send('x');
        });
        client.on('close', () => {
          console.log(JSON.stringify(caught));
          app.close();
        });
      });
    });
    assert.deepEqual(await child.value(), ['undefined', null, 0, '', 'text', false, { plain: 'object' }]);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test(
    'that throws and whose uncaughtException listener closes the App ends it cleanly',
    BOUND,
    async (context) => {
      const child = runScript(context, () => {
        const { App, us_socket_local_port } = require('tidewire');
        const WebSocket = require('./__test__/support/ws');
        const app = App();
        const told = [];
        process.on('uncaughtException', ({ message }) => {
          told.push(message);
          app.close();
        });
        app.ws('/*', {
          message: () => {
            throw new Error('thrown');
          },
          close: (_, code) => told.push(code),
        });
        app.listen('127.0.0.1', 0, (token) => {
          const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
          client.on('open', () => {
            for (let number = 0; number < 10; number++) client.send('x');
          });
          client.on('error', () => {});
          client.on('close', () => console.log(JSON.stringify(told)));
        });
      });
      assert.deepEqual(await child.value(), ['thrown', 1006]);
      assert.deepEqual(await child.exited, { code: 0, signal: null });
    },
  );

  test('that is async and rejects is an unhandledRejection', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      process.on('unhandledRejection', ({ message }) => {
        console.log(JSON.stringify(message));
        app.close();
      });
      const app = App();
      app.ws('/*', {
        open: async () => {
          throw new Error('rejected');
        },
      });
      app.listen('127.0.0.1', 0, (token) => {
        new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`).on('error', () => {});
      });
    });
    assert.equal(await child.value(), 'rejected');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  const ends = { end: (ws) => ws.end(4000, 'over'), close: (ws) => ws.close() };
  const triggers = {
    open: () => {},
    message: (client) =>
      client.write(frame(TEXT, 'a'), frame(TEXT, 'b'), frame(BINARY, Buffer.alloc(70_000))),
    ping: (client) => client.write(frame(PING, 'a'), frame(PING, 'b')),
    pong: (client) => client.write(frame(PONG, 'a'), frame(PONG, 'b')),
    close: (client) => client.write(closeFrame(1000)),
  };
  for (const [name, trigger] of Object.entries(triggers)) {
    for (const [method, end] of Object.entries(ends)) {
      test(
        `may send, ping and ${method} in ${name}; nothing comes behind its close`,
        BOUND,
        async (context) => {
          const { port, events } = observe(context, {
            maxPayloadLength: 100_000,
            [name]: (ws) => {
              ws.send('from the handler');
              ws.ping('from the handler');
              end(ws);
            },
          });
          const client = await connectRaw(context, port);
          trigger(client);
          await client.ended;
          client.socket.end();
          const names = events.all.map(([event]) => event);
          const expected = name === 'open' ? ['close', 'open'] : ['open', 'close', name];
          assert.deepEqual(names, name === 'close' ? ['open', 'close'] : expected);
          const opcodes = client.frames.all.map(({ opcode }) => opcode).filter((opcode) => opcode !== PONG);
          if (name === 'close') assert.deepEqual(opcodes, [CLOSE]);
          else if (method === 'end') assert.deepEqual(opcodes, [TEXT, PING, CLOSE]);
        },
      );
    }
  }

  test('may close and end other sockets in the middle of a batch', BOUND, async (context) => {
    const sockets = [];
    const closed = new Set();
    const { port, events } = observe(context, {
      open: (ws) => sockets.push(ws),
      message: (ws) => {
        assert.equal(closed.has(ws), false, 'a message after close');
        for (const other of sockets) {
          if (other === ws || closed.has(other)) continue;
          if (closed.size % 2) other.end(1001);
          else other.close();
        }
      },
      close: (ws) => closed.add(ws),
    });
    const clients = [];
    for (let number = 0; number < 30; number++) clients.push(await connectRaw(context, port));
    await events.take(30);
    for (const client of clients) client.write(frame(TEXT, 'me'), frame(TEXT, 'me again'));
    while (closed.size < 29) await events.next();
    const left = sockets.filter((ws) => ws.readyState === 1);
    assert.equal(left.length, 1);
  });

  test('may send so much in a row that the commands cross several times', BOUND, async (context) => {
    const { url } = serve(context, {
      maxBackpressure: 0,
      message: (ws) => {
        for (let number = 0; number < 50_000; number++) ws.send(`${number}`);
      },
    });
    const client = await connect(context, url);
    client.send('go');
    const messages = await client.messages.take(50_000);
    assert.ok(messages.every(([data], number) => data.toString() === String(number)));
  });

  test('may await: what it sends later arrives', BOUND, async (context) => {
    const { url } = serve(context, {
      message: async (ws, message) => {
        await null;
        ws.send(message);
        await new Promise(setImmediate);
        ws.send(message);
        await pause();
        ws.send(message);
      },
    });
    const client = await connect(context, url);
    client.send('later');
    const messages = await client.messages.take(3);
    assert.deepEqual(messages.map(String), Array(3).fill('later,false'));
  });

  test('may be missing', BOUND, async (context) => {
    const { url } = serve(context, {});
    const client = await connect(context, url);
    client.send('to nobody', Buffer.alloc(10));
    client.socket.ping('anybody?');
    assert.equal(await client.pongs.next(), 'anybody?');
    client.socket.close(4000, 'nobody there');
    assert.deepEqual(await client.closed, { code: 4000, reason: '' });
  });
});
