'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { runScript } = require('./support/child');
const { TEXT, connectRaw, exchange, frame, opening } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

/** The request of an opening handshake, with lines taken out and lines added. */
function request({ without = [], lines = [], first } = {}) {
  const [start, ...fields] = opening('/').trimEnd().split('\r\n');
  const kept = fields.filter((field) => !without.some((name) => field.toLowerCase().startsWith(`${name}:`)));
  return [first ?? start, ...kept, ...lines, '\r\n'].join('\r\n');
}

/** The statuses of an answer, and that the last one has a sentence. */
function statuses(answer) {
  const all = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));
  if (all.at(-1) !== 101) assert.match(answer, /\r\n\r\n[^\r\n]{10,}$/, 'there is no sentence');
  return all;
}

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';

describe('an opening handshake', () => {
  const good = {
    'with Connection split over lines': { lines: ['Connection: keep-alive'] },
    'with Connection in a list': { without: ['connection'], lines: ['Connection: keep-alive,, UPGRADE'] },
    'with Connection in the second line': {
      without: ['connection'],
      lines: ['Connection: keep-alive', 'Connection: x, upgrade'],
    },
    'with Upgrade in a list': { without: ['upgrade'], lines: ['Upgrade: h2c, WebSocket'] },
    'with Upgrade in the second line': {
      without: ['upgrade'],
      lines: ['Upgrade: h2c', 'Upgrade: websocket'],
    },
    'with white space around values': { without: ['upgrade'], lines: ['Upgrade:\t websocket \t'] },
    'with an empty Host': { without: ['host'], lines: ['Host:'] },
    'with Content-Length 0': { lines: ['Content-Length: 0'] },
    'with a target in absolute form': { first: 'GET http://localhost/ HTTP/1.1' },
  };
  for (const [name, changes] of Object.entries(good)) {
    test(`${name} is good`, BOUND, async (context) => {
      const { port } = serve(context, {});
      assert.deepEqual(statuses(await exchange(port, request(changes))), [101]);
    });
  }

  const refused = {
    'without a key': [{ without: ['sec-websocket-key'] }, 400],
    'with two keys': [{ lines: [KEY] }, 400],
    'with an empty key': [{ without: ['sec-websocket-key'], lines: ['Sec-WebSocket-Key:'] }, 400],
    'with a key of 15 bytes': [
      { without: ['sec-websocket-key'], lines: [KEY.slice(0, -4).concat('====')] },
      400,
    ],
    'with a key that is no base64': [
      { without: ['sec-websocket-key'], lines: [KEY.replace('dG', '*-')] },
      400,
    ],
    'with two keys in a list': [{ without: ['sec-websocket-key'], lines: [`${KEY}, ${KEY.slice(19)}`] }, 400],
    'without a version': [{ without: ['sec-websocket-version'] }, 426],
    'with version 8': [{ without: ['sec-websocket-version'], lines: ['Sec-WebSocket-Version: 8'] }, 426],
    'with version 013': [{ without: ['sec-websocket-version'], lines: ['Sec-WebSocket-Version: 013'] }, 426],
    'with two versions': [{ lines: ['Sec-WebSocket-Version: 13'] }, 426],
    'with versions in a list': [
      { without: ['sec-websocket-version'], lines: ['Sec-WebSocket-Version: 13, 8'] },
      426,
    ],
    'without Upgrade': [{ without: ['upgrade'] }, 426],
    'with another Upgrade': [{ without: ['upgrade'], lines: ['Upgrade: websockets'] }, 426],
    'without Connection': [{ without: ['connection'] }, 400],
    'with another Connection': [{ without: ['connection'], lines: ['Connection: Upgraded'] }, 400],
    'without Host': [{ without: ['host'] }, 400],
    'with two Hosts': [{ lines: ['Host: localhost'] }, 400],
    'with a Host that is none': [{ without: ['host'], lines: ['Host: a b'] }, 400],
    'over HTTP/1.0': [{ first: 'GET / HTTP/1.0' }, 505],
    'over HTTP/2.0': [{ first: 'GET / HTTP/2.0' }, 505],
    'with content': [{ lines: ['Content-Length: 5'] }, 400],
    'with chunks': [{ lines: ['Transfer-Encoding: chunked'] }, 400],
    'with POST': [{ first: 'POST / HTTP/1.1' }, 404],
    'with a bare LF': [{ lines: ['X: a\nY: b'] }, 400],
    'with a bare CR': [{ lines: ['X: a\rY: b'] }, 400],
    'with NUL': [{ lines: ['X: a\0b'] }, 400],
    'with white space before a colon': [{ lines: ['X : a'] }, 400],
    'with a folded line': [{ lines: ['X: a', ' b'] }, 400],
    'with a name that is no token': [{ lines: ['X(y): a'] }, 400],
    'with Content-Length and Transfer-Encoding': [
      { lines: ['Content-Length: 5', 'Transfer-Encoding: chunked'] },
      400,
    ],
    'with two equal Content-Lengths': [{ lines: ['Content-Length: 0', 'Content-Length: 0'] }, 400],
    'with two Content-Lengths': [{ lines: ['Content-Length: 0', 'Content-Length: 5'] }, 400],
    'with a sign in Content-Length': [{ lines: ['Content-Length: +0'] }, 400],
    'with a list in Content-Length': [{ lines: ['Content-Length: 0, 0'] }, 400],
    'with another transfer coding': [{ lines: ['Transfer-Encoding: gzip, chunked'] }, 501],
    'with 101 header lines': [{ lines: Array(96).fill('X: y') }, 431],
    'with a head over 16 KiB': [{ lines: [`X: ${'x'.repeat(16_384)}`] }, 431],
  };
  for (const [name, [changes, status]] of Object.entries(refused)) {
    test(`${name} is ${status}, with a sentence`, BOUND, async (context) => {
      const { app, port, events } = observe(context);
      const answer = await exchange(
        port,
        request(changes) + frame(TEXT, 'GET / HTTP/1.1\r\n\r\n').toString('latin1'),
      );
      assert.equal(statuses(answer)[0], status);
      if (status === 426) assert.match(answer, /\r\nsec-websocket-version: 13\r\n/);
      if (![404, 426].includes(status)) assert.equal(statuses(answer).length, 1, 'the connection goes on');
      assert.equal(app.stats().gate.refused[status] >= 1, true);
      assert.deepEqual(events.all, []);
    });
  }

  test('with 100 header lines, or 16 KiB, is good', BOUND, async (context) => {
    const { port } = serve(context, {});
    assert.deepEqual(statuses(await exchange(port, request({ lines: Array(95).fill('X: y') }))), [101]);
    const room = 16_384 - request({ lines: ['X: '] }).length;
    assert.deepEqual(statuses(await exchange(port, request({ lines: [`X: ${'x'.repeat(room)}`] }))), [101]);
    assert.deepEqual(
      statuses(await exchange(port, request({ lines: [`X: ${'x'.repeat(room + 1)}`] }))),
      [431],
    );
  });

  test('loses no frame that comes in one packet with it', BOUND, async (context) => {
    const { port, events } = observe(context, { maxPayloadLength: 100_000 });
    for (const size of [1, 100, 1_000, 4_000, 8_192, 20_000, 65_536]) {
      const early = Buffer.concat([frame(TEXT, 'x'.repeat(size)), frame(TEXT, 'last')]);
      await connectRaw(context, port, { early });
      const [[opened], [, , first], [, , last]] = await events.take(3);
      assert.deepEqual([opened, first.length, last], ['open', size, 'last']);
    }
  });

  test('of one byte of early frames loses it not', BOUND, async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port, { early: frame(TEXT, 'whole').subarray(0, 1) });
    client.write(frame(TEXT, 'whole').subarray(1));
    const [, message] = await events.take(2);
    assert.equal(message[2], 'whole');
  });
});

describe('a request with content', () => {
  for (const [name, content] of Object.entries({
    'of a length': 'Content-Length: 3\r\n\r\nabc',
    'in chunks': 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'in a chunk with a sign': 'Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n',
    'in a chunk of more than 64 bits':
      'Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n',
    'in a chunk that ends with LF': 'Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n',
    'in chunks with an extension of LF': 'Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n',
  })) {
    test(`${name} is the last of its connection`, BOUND, async (context) => {
      const { port, events } = observe(context);
      const answer = await exchange(port, `POST / HTTP/1.1\r\nHost: a\r\n${content}${opening('/')}`);
      assert.deepEqual(statuses(answer), [404]);
      assert.match(answer, /\r\nconnection: close\r\n/);
      assert.deepEqual(events.all, []);
    });
  }
});

describe('UWS_HTTP_MAX_HEADERS_SIZE', () => {
  /** The longest head that a server of its own takes, of those asked, and its warnings. */
  async function longest(context, value) {
    const child = runScript(
      context,
      (given) => {
        process.env.UWS_HTTP_MAX_HEADERS_SIZE = given;
        const { App, us_socket_local_port } = require('tidewire');
        process.on('warning', ({ code, message }) => console.log(JSON.stringify({ code, message })));
        const app = App().ws('/*', {});
        App();
        // Warnings come in the next turn.
        app.listen('127.0.0.1', 0, (token) => setImmediate(() => console.log(us_socket_local_port(token))));
      },
      value,
    );
    const warnings = [];
    let port;
    while (port === undefined) {
      const told = await child.value();
      if (typeof told === 'number') port = told;
      else warnings.push(told);
    }
    const sizes = [];
    for (const size of [600, 1_000, 1_001, 16_384, 16_385, 100_000, 100_001]) {
      const bare = request({ lines: ['X: '] }).length;
      const [status] = statuses(await exchange(port, request({ lines: [`X: ${'x'.repeat(size - bare)}`] })));
      assert.ok([101, 431].includes(status), `${status}`);
      if (status === 101) sizes.push(size);
    }
    return { most: Math.max(...sizes), warnings };
  }

  for (const [value, most] of [
    ['1000', 1_000],
    ['100000', 100_000],
    ['', 16_384],
  ]) {
    test(`of '${value}' is a head of ${most} bytes at most`, BOUND, async (context) => {
      assert.deepEqual(await longest(context, value), { most, warnings: [] });
    });
  }

  for (const value of ['511', '1048577', 'many', '-1', '1e3', ' 1000']) {
    test(`of '${value}' warns once, and the default is taken`, BOUND, async (context) => {
      const { most, warnings } = await longest(context, value);
      assert.equal(most, 16_384);
      assert.equal(warnings.length, 1);
      assert.equal(warnings[0].code, 'TIDEWIRE_INVALID_ENVIRONMENT');
      assert.ok(warnings[0].message.includes(`not '${value}': 16384 is taken`), warnings[0].message);
    });
  }
});

test('a connection that ends in its request is forgotten', BOUND, async (context) => {
  const { app, port } = serve(context, {});
  for (const bytes of ['', 'GET / HTTP/1.1\r\n']) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.end(bytes);
    socket.resume();
    await once(socket, 'close');
  }
  while (app.stats().gate.handshakes > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(app.stats().gate.accepted, 2);
});
