'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { connect } = require('./support/client');
const { pair } = require('./support/pair');
const { BINARY, TEXT, connectRaw, frame } = require('./support/raw_client');
const { BOUND, observe, serve, text } = require('./support/server');

const MEBIBYTE = 1024 * 1024;

const CLOSED = {
  name: 'Error',
  code: 'TIDEWIRE_CLOSED',
  message: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.',
};

describe('send', () => {
  /** @type {[name: string, data: any, bytes: Uint8Array | string][]} */
  const forms = [
    ['a string', 'grüße 🌍', 'grüße 🌍'],
    ['a short string of ASCII', 'abc', 'abc'],
    ['a string of 16 units', `${'x'.repeat(15)}é`, `${'x'.repeat(15)}é`],
    ['an empty string', '', ''],
    ['a short string with lone surrogates', 'a\ud800b\udc00', 'a\ufffdb\ufffd'],
    ['a long string with lone surrogates', `${'a'.repeat(100)}\udfff`, `${'a'.repeat(100)}\ufffd`],
    ['a large string with lone surrogates', `${'a'.repeat(40_000)}\ud800`, `${'a'.repeat(40_000)}\ufffd`],
    ['undefined', undefined, ''],
    ['an ArrayBuffer', Uint8Array.of(1, 2, 3).buffer, [1, 2, 3]],
    ['an empty ArrayBuffer', new ArrayBuffer(0), []],
    ['an ArrayBuffer of another realm', vm.runInNewContext('Uint8Array.of(4, 5).buffer'), [4, 5]],
    ['a Uint8Array of another realm', vm.runInNewContext('Uint8Array.of(6, 7)'), [6, 7]],
    ['a Buffer', Buffer.from('from the pool'), 'from the pool'],
  ];
  const shared = new SharedArrayBuffer(8);
  new Uint8Array(shared).set([8, 7, 6, 5, 4, 3, 2, 1]);
  forms.push(['a SharedArrayBuffer', shared, [8, 7, 6, 5, 4, 3, 2, 1]]);
  forms.push(['a view of a SharedArrayBuffer', new Uint8Array(shared, 2, 3), [6, 5, 4]]);
  const memory = Uint8Array.from({ length: 32 }, (_, at) => at).buffer;
  for (const View of [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ]) {
    const view = new View(memory, 8, 16 / View.BYTES_PER_ELEMENT);
    forms.push([`a ${View.name} with an offset`, view, new Uint8Array(memory, 8, 16)]);
  }
  forms.push(['a DataView with an offset', new DataView(memory, 3, 5), [3, 4, 5, 6, 7]]);

  for (const [name, data, bytes] of forms) {
    test(`takes ${name}`, BOUND, async (context) => {
      const { client, ws } = await pair(context, { maxBackpressure: 0 });
      assert.equal(ws.send(data, true), 1);
      const isText = typeof bytes === 'string';
      if (isText) assert.equal(ws.send(data), 1);
      assert.deepEqual(await client.messages.next(), [Buffer.from(bytes), true]);
      if (isText) assert.deepEqual(await client.messages.next(), [Buffer.from(bytes), false]);
    });
  }

  const large = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251);
  const largeShared = new SharedArrayBuffer(large.length);
  new Uint8Array(largeShared).set(large);
  const largeForms = {
    ArrayBuffer: large.buffer,
    SharedArrayBuffer: largeShared,
    Uint8Array: large,
    'Uint8Array of a SharedArrayBuffer': new Uint8Array(largeShared),
    Float64Array: new Float64Array(large.buffer),
    DataView: new DataView(large.buffer),
  };
  for (const [name, data] of Object.entries(largeForms)) {
    test(`takes a large ${name}, and a part of it`, BOUND, async (context) => {
      const { client, ws } = await pair(context, { maxBackpressure: 0 });
      ws.send(data, true);
      ws.send(new Uint8Array(data.buffer ?? data, 1_001, 100_000), true);
      const [[whole], [part]] = await client.messages.take(2);
      assert.ok(whole.equals(large));
      assert.ok(part.equals(large.subarray(1_001, 101_001)));
    });
  }

  test('throws for what is neither text nor bytes', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    for (const value of [null, 1, 1n, true, {}, [1], Symbol('s'), () => {}, new Date(), { length: 1 }]) {
      assert.throws(() => ws.send(value), {
        name: 'TypeError',
        code: 'TIDEWIRE_TEXT_OR_DATA',
        message: 'Text and data can only be passed by String, ArrayBuffer or TypedArray.',
      });
    }
    ws.send('behind them');
    assert.equal(await client.text(), 'behind them');
  });

  test('copies what it is given before it returns', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    for (const size of [8, 5_000, 200_000]) {
      const data = Buffer.alloc(size, 1);
      ws.send(data, true);
      data.fill(2);
      assert.deepEqual(await client.messages.next(), [Buffer.alloc(size, 1), true]);
    }
  });

  test('keeps the order of small and large messages, in and out of cork', BOUND, async (context) => {
    const { client, ws } = await pair(context, { maxBackpressure: 0 });
    const sizes = [3, 70_000, 1, 40_000, 12_000, 12_000, 12_000, 0, 131_072, 20];
    const expected = Array.from({ length: 30 }, (_, round) => sizes.map((size) => Buffer.alloc(size, round)));
    for (const [round, messages] of expected.entries()) {
      const sendAll = () => {
        for (const message of messages) ws.send(message, true);
      };
      if (round % 2) ws.cork(sendAll);
      else sendAll();
    }
    for (const message of expected.flat()) {
      const [data] = await client.messages.next();
      assert.ok(data.equals(message), `${message.length} bytes expected, not ${data.length}`);
    }
  });
});

describe('an echo', () => {
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 15 * MEBIBYTE];
  for (const binaryType of ['arraybuffer', 'nodebuffer', 'uint8array']) {
    for (const textType of [binaryType, 'string']) {
      test(`has the same bytes with ${binaryType} and ${textType}`, BOUND, async (context) => {
        const { url } = serve(context, {
          binaryType,
          textType,
          maxPayloadLength: 16 * MEBIBYTE,
          maxBackpressure: 0,
          message: (ws, message, isBinary) => ws.send(message, isBinary),
        });
        const client = await connect(context, url);
        for (const size of sizes) {
          const bytes = randomBytes(size);
          const words = Buffer.from('ü'.repeat(size / 2) + 'x'.repeat(size % 2));
          client.socket.send(bytes);
          client.socket.send(words, { binary: false });
          const [[data, isBinary], [spoken, isText]] = await client.messages.take(2);
          assert.ok(isBinary && data.equals(bytes), `binary of ${size} bytes`);
          assert.ok(!isText && spoken.equals(words), `text of ${size} bytes`);
        }
      });
    }
  }

  test('of thousands of messages keeps their order', BOUND, async (context) => {
    const { url } = serve(context, { message: (ws, message, isBinary) => ws.send(message, isBinary) });
    const client = await connect(context, url);
    const numbers = Array.from({ length: 5_000 }, (_, number) => `message ${number}`);
    client.send(...numbers);
    const echoed = await client.messages.take(numbers.length);
    assert.deepEqual(
      echoed.map(([data]) => data.toString()),
      numbers,
    );
  });
});

describe('end', () => {
  /** @type {[name: string, values: any[], code: number | null, reason: string][]} */
  const ends = [
    ['without arguments', [], 1005, ''],
    ['with a code', [1000], 1000, ''],
    ['with a code and a reason', [1001, 'going away'], 1001, 'going away'],
    ['with a reason of bytes', [1011, Buffer.from('bytes')], 1011, 'bytes'],
    ['with 3000', [3000, 'registered'], 3000, 'registered'],
    ['with 4999', [4999, 'private'], 4999, 'private'],
    ['with 1014', [1014, ''], 1014, ''],
    ['with 0', [0, 'not written'], 1005, ''],
    ['with 1005', [1005, 'not written'], 1005, ''],
    ['with 1006', [1006, 'not written'], 1005, ''],
    ['with a reason of 123 bytes', [4000, 'r'.repeat(123)], 4000, 'r'.repeat(123)],
    ['with a reason of 124 bytes', [4000, 'r'.repeat(124)], 4000, 'r'.repeat(123)],
    ['with a reason cut before two bytes', [4000, `${'r'.repeat(122)}üx`], 4000, 'r'.repeat(122)],
    ['with a reason cut behind two bytes', [4000, `${'r'.repeat(121)}üx`], 4000, `${'r'.repeat(121)}ü`],
    ['with a reason cut before four bytes', [4000, `${'r'.repeat(120)}🌍x`], 4000, 'r'.repeat(120)],
    ['with lone surrogates in the reason', [4000, 'a\ud800b\udc00'], 4000, 'a\ufffdb\ufffd'],
    ['with a reason cut before a lone surrogate', [4000, `${'r'.repeat(121)}\ud83c`], 4000, 'r'.repeat(121)],
    ['with a reason cut between the halves of 🌍', [4000, `${'r'.repeat(122)}🌍`], 4000, 'r'.repeat(122)],
    ['with a reason of bytes', [4000, Buffer.from('grün')], 4000, 'grün'],
    ['with a reason of bytes that are no UTF-8', [4000, Buffer.from([0x61, 0xff, 0x62])], 4000, 'a\ufffdb'],
    ['with a reason of half a character', [4000, Buffer.from('aü').subarray(0, 2)], 4000, 'a\ufffd'],
    ['with a reason of bytes that end nowhere', [4000, Buffer.alloc(200, 0x80)], 4000, '\ufffd'.repeat(41)],
    ['with a reason of 10,000 characters', [4000, '🌍'.repeat(10_000)], 4000, '🌍'.repeat(30)],
  ];
  for (const [name, values, code, reason] of ends) {
    test(`${name} tells the peer`, BOUND, async (context) => {
      const { client, ws } = await pair(context);
      ws.end(...values);
      assert.deepEqual(await client.closed, { code, reason });
    });
  }

  test('writes a close frame and then FIN', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    ws.send('before');
    ws.end(4000, 'enough');
    const { opcode, payload } = await client.frames.next();
    assert.deepEqual([opcode, payload.toString()], [TEXT, 'before']);
    assert.deepEqual(await client.closeFrame(), { code: 4000, reason: 'enough' });
    assert.equal(await client.ended, 'fin');
    assert.equal(client.frames.all.length, 2);
  });

  test('delivers all that was sent before', BOUND, async (context) => {
    const { client, ws } = await pair(context, { maxBackpressure: 0 });
    for (let number = 0; number < 500; number++) ws.send(Buffer.alloc(20_000, number), true);
    ws.end(1000);
    assert.deepEqual(await client.closed, { code: 1000, reason: '' });
    assert.equal(client.messages.all.length, 500);
    for (const [number, [data]] of client.messages.all.entries()) {
      assert.ok(data.equals(Buffer.alloc(20_000, number)));
    }
  });

  test('throws for a code that may not be sent, and leaves the socket open', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    for (const code of [-1, 1, 999, 1004, 1015, 1016, 1999, 2000, 2999, 5000, 65_536, 1000.5, Number.NaN]) {
      assert.throws(() => ws.end(code), { name: 'RangeError', code: 'TIDEWIRE_OUT_OF_RANGE' });
    }
    for (const code of ['1000', null, {}, 1000n]) {
      assert.throws(() => ws.end(code), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
    }
    assert.throws(() => ws.end(1000, 5), { name: 'TypeError', code: 'TIDEWIRE_TEXT_OR_DATA' });
    assert.equal(ws.readyState, 1);
    ws.send('still here');
    assert.equal(await client.text(), 'still here');
  });

  test('has called the close handler when it returns', BOUND, async (context) => {
    const { ws, events } = await pair(context);
    ws.end(4001, 'mine');
    assert.deepEqual(events.all.at(-1), ['close', ws, 4001, 'mine']);
  });
});

describe('close', () => {
  test('shows the peer 1006', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    ws.close();
    assert.deepEqual(await client.closed, { code: 1006, reason: '' });
  });

  test('writes no close frame', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    ws.close();
    await client.ended;
    assert.deepEqual(client.frames.all, []);
  });

  test('has called the close handler when it returns', BOUND, async (context) => {
    const { ws, events } = await pair(context);
    ws.close();
    assert.deepEqual(events.all.at(-1), ['close', ws, 1006, '']);
  });
});

describe('after the close handler', () => {
  const methods = {
    send: (ws) => ws.send('late'),
    sendFirstFragment: (ws) => ws.sendFirstFragment('late'),
    sendFragment: (ws) => ws.sendFragment('late'),
    sendLastFragment: (ws) => ws.sendLastFragment('late'),
    ping: (ws) => ws.ping(),
    getBufferedAmount: (ws) => ws.getBufferedAmount(),
    end: (ws) => ws.end(),
    close: (ws) => ws.close(),
    subscribe: (ws) => ws.subscribe('late'),
    unsubscribe: (ws) => ws.unsubscribe('late'),
    isSubscribed: (ws) => ws.isSubscribed('late'),
    getTopics: (ws) => ws.getTopics(),
    publish: (ws) => ws.publish('late', 'late'),
    cork: (ws) => ws.cork(() => assert.fail('called')),
    getRemoteAddress: (ws) => ws.getRemoteAddress(),
    getRemoteAddressAsText: (ws) => ws.getRemoteAddressAsText(),
    getRemotePort: (ws) => ws.getRemotePort(),
  };
  const ways = {
    'by ws.end()': async ({ ws }) => ws.end(1000),
    'by ws.close()': async ({ ws }) => ws.close(),
    'by the peer': async ({ client, events }) => {
      client.socket.close(1000);
      await events.next();
    },
    'by App.close()': async ({ app }) => app.close(),
  };
  for (const [way, closeIt] of Object.entries(ways)) {
    test(`${way}, every method throws but getUserData`, BOUND, async (context) => {
      const server = await pair(context);
      const { ws } = server;
      ws.name = 'mine';
      await closeIt(server);
      for (const method of Object.values(methods)) assert.throws(() => method(ws), CLOSED);
      assert.equal(ws.getUserData(), ws);
      assert.equal(ws.name, 'mine');
      assert.equal(ws.readyState, 3);
    });
  }

  test('every public method is held to it', BOUND, async (context) => {
    const { ws } = await pair(context);
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(ws));
    const others = ['constructor', 'readyState', 'closeCause', 'getUserData'];
    assert.deepEqual(names.filter((name) => !others.includes(name)).sort(), Object.keys(methods).sort());
  });

  test('a socket whose place is taken again stays closed', BOUND, async (context) => {
    const { url, ws, events } = await pair(context);
    ws.close();
    for (let round = 0; round < 20; round++) {
      const client = await connect(context, url);
      assert.throws(() => ws.send('to whom?'), CLOSED);
      client.socket.close();
      await client.closed;
    }
    assert.ok(events.all.every(([name, socket]) => name !== 'message' && (name !== 'open' || socket)));
  });
});

describe('in the close handler', () => {
  test('send drops, the rest does nothing harmful, and close is not called twice', BOUND, async (context) => {
    for (const begin of [(ws) => ws.end(1000), (ws) => ws.close()]) {
      const results = [];
      const { client, ws, events } = await pair(context, {
        close: (socket) => {
          results.push(socket.readyState, socket.send('too late'), socket.ping(), socket.getBufferedAmount());
          results.push(text(socket.getRemoteAddressAsText()), socket.getUserData() === socket);
          socket.end(4000);
          socket.close();
          assert.throws(() => socket.send({}), { code: 'TIDEWIRE_TEXT_OR_DATA' });
        },
      });
      begin(ws);
      assert.deepEqual(results, [2, 2, 2, 0, '127.0.0.1', true]);
      await client.closed;
      assert.deepEqual(
        events.all.map(([name]) => name),
        ['open', 'close'],
      );
      assert.deepEqual(client.messages.all, []);
    }
  });
});

describe('a socket', () => {
  test('is its own user data and takes any property', BOUND, async (context) => {
    const { ws } = await pair(context);
    assert.equal(ws.getUserData(), ws);
    ws.user = { name: 'Ada' };
    ws[Symbol.for('tag')] = 7;
    assert.deepEqual(ws.getUserData().user, { name: 'Ada' });
    assert.equal(ws[Symbol.for('tag')], 7);
  });

  test('is the same object in every handler', BOUND, async (context) => {
    const known = new Map();
    const { client, ws, events } = await pair(context, { open: (socket) => known.set(socket, 'opened') });
    client.send('hello');
    client.socket.ping('p');
    client.socket.pong('q');
    client.socket.close(1000);
    const seen = await events.take(4);
    assert.deepEqual(
      seen.map(([name]) => name),
      ['message', 'ping', 'pong', 'close'],
    );
    for (const [, socket] of seen) {
      assert.equal(socket, ws);
      assert.equal(known.get(socket), 'opened');
    }
  });

  test('is called uWS.WebSocket', BOUND, async (context) => {
    const { ws } = await pair(context);
    assert.equal(ws.constructor.name, 'uWS.WebSocket');
  });

  test('has the ready states of browsers', BOUND, async (context) => {
    const states = [];
    const note = (ws) => states.push(ws.readyState);
    const { client, ws, events } = await pair(context, { open: note, message: note, close: note });
    client.send('hello');
    client.socket.close();
    await events.take(2);
    assert.deepEqual([...states, ws.readyState], [1, 1, 2, 3]);
  });

  test('pings', BOUND, async (context) => {
    const { client, ws, events } = await pair(context);
    assert.equal(ws.ping(), 1);
    assert.equal(ws.ping('text'), 1);
    assert.equal(ws.ping(Uint8Array.of(65, 66)), 1);
    assert.equal(ws.ping('x'.repeat(125)), 1);
    assert.deepEqual(await client.pings.take(4), ['', 'text', 'AB', 'x'.repeat(125)]);
    const pongs = await events.take(4);
    assert.deepEqual(
      pongs.map(([name, , data]) => [name, data]),
      ['', 'text', 'AB', 'x'.repeat(125)].map((data) => ['pong', data]),
    );
    assert.throws(() => ws.ping('x'.repeat(126)), { name: 'RangeError', code: 'TIDEWIRE_OUT_OF_RANGE' });
    assert.throws(() => ws.ping(7), { name: 'TypeError', code: 'TIDEWIRE_TEXT_OR_DATA' });
  });

  test('corks', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    ws.send('1');
    const returned = ws.cork(() => {
      ws.send('2');
      ws.cork(() => ws.send('3'));
      ws.send('4');
    });
    ws.send('5');
    assert.equal(returned, ws);
    const messages = await client.messages.take(5);
    assert.deepEqual(messages.map(String), ['1,false', '2,false', '3,false', '4,false', '5,false']);
    assert.throws(() => ws.cork(), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
    const thrown = new Error('from the callback');
    assert.throws(
      () =>
        ws.cork(() => {
          ws.send('6');
          throw thrown;
        }),
      (error) => error === thrown,
    );
    assert.equal(await client.text(), '6');
  });

  test('has nothing buffered before it sends and after the peer has all', BOUND, async (context) => {
    const { client, ws } = await pair(context);
    assert.equal(ws.getBufferedAmount(), 0);
    ws.send('x'.repeat(1_000));
    assert.ok(ws.getBufferedAmount() >= 1_000);
    await client.messages.next();
    client.send('an event behind the write');
    while (ws.getBufferedAmount() > 0) await new Promise(setImmediate);
  });

  test('knows the port of its peer', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [, ws] = await events.next();
    assert.equal(ws.getRemotePort(), client.socket.localPort);
  });

  const addresses = [
    ['4 bytes on an IPv4 listener', '127.0.0.1', '127.0.0.1', '7f000001', '127.0.0.1'],
    [
      '16 mapped bytes on a dual-stack listener',
      '',
      '127.0.0.1',
      '00000000000000000000ffff7f000001',
      '0000:0000:0000:0000:0000:ffff:7f00:0001',
    ],
    [
      '16 bytes on an IPv6 listener',
      '::1',
      '::1',
      '00000000000000000000000000000001',
      '0000:0000:0000:0000:0000:0000:0000:0001',
    ],
  ];
  for (const [name, listener, host, bytes, written] of addresses) {
    test(`has an address of ${name}`, BOUND, async (context) => {
      const { port, events } = observe(context, {}, { host: listener });
      await connectRaw(context, port, { host });
      const [, ws] = await events.next();
      const address = ws.getRemoteAddress();
      assert.ok(address instanceof ArrayBuffer);
      assert.equal(Buffer.from(address).toString('hex'), bytes);
      assert.ok(ws.getRemoteAddressAsText() instanceof ArrayBuffer);
      assert.equal(text(ws.getRemoteAddressAsText()), written);
    });
  }

  test('has an address of 16 bytes for an IPv6 peer of a dual-stack listener', BOUND, async (context) => {
    const { port, events } = observe(context, {}, { host: '' });
    await connectRaw(context, port, { host: '::1' });
    await connectRaw(context, port);
    const [[, first], [, second]] = await events.take(2);
    assert.equal(Buffer.from(first.getRemoteAddress()).toString('hex'), `${'00'.repeat(15)}01`);
    assert.equal(Buffer.from(second.getRemoteAddress()).toString('hex').slice(-8), '7f000001');
  });

  test('does not mix up its messages with those of others', BOUND, async (context) => {
    const { url, port } = serve(context, { message: (ws, message, isBinary) => ws.send(message, isBinary) });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(context, url)));
    const raw = await connectRaw(context, port);
    raw.write(frame(BINARY, 'raw'));
    for (const [number, client] of clients.entries()) client.send(`mine is ${number}`);
    for (const [number, client] of clients.entries()) assert.equal(await client.text(), `mine is ${number}`);
    const { opcode, payload } = await raw.frames.next();
    assert.deepEqual([opcode, payload.toString()], [BINARY, 'raw']);
  });
});
