'use strict';

/** What a port of TLS says to what is no TLS, or breaks its rules, and how connections of TLS end. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { connect } = require('./support/client');
const { ask, requestText } = require('./support/http');
const { TEXT, closeFrame, exchange, frame, opening } = require('./support/raw_client');
const { Queue } = require('./support/queue');
const { unfit } = require('./support/runtime');
const { BOUND } = require('./support/server');
const { ALERT, APPLICATION_DATA, helloBytes, tapped } = require('./support/tap');
const { connectTls, serveTls, statsWhen, trust } = require('./support/tls');

const FIN_REASON = 'Received TCP FIN before WebSocket close frame';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

/** An App whose sockets tell how they end. */
function serveEnds(context) {
  const closes = new Queue();
  const server = serveTls(context, { textType: 'string' }, (app) => {
    app.get('/', (res) => res.end('over TLS'));
    app.ws('/', {
      message: (ws, message) => {
        if (message === 'end') ws.end(4000, 'bye');
        else if (message === 'close') ws.close();
        else ws.send(message);
      },
      close: (ws, code, reason) => closes.push([code, Buffer.from(reason).toString(), ws.closeCause]),
    });
  });
  return { ...server, closes };
}

/** Opens a WebSocket by hand. */
async function opened(context, port, options) {
  const { socket, tap } = await tapped(context, port, options);
  socket.write(opening());
  const [answer] = await once(socket, 'data');
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 101 /);
  return { socket, tap };
}

/** Bytes of a handshake message in a record. */
const record = (type, version, body) => {
  const head = Buffer.from([type, version >> 8, version & 0xff, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, body]);
};

/** A ClientHello as it was before extensions (RFC 6101 §5.6.1.2), for one suite that everybody had. */
function oldHello(version) {
  const body = Buffer.concat([
    Buffer.from([version >> 8, version & 0xff]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 2, 0, 0x2f, 1, 0]),
  ]);
  return record(22, version, Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]));
}

/** SSL 2.0 (draft-hickman-netscape-ssl-00): two bytes of length, and a hello of its own. */
const SSL2_HELLO = Buffer.from('802e010002001500000010010080020080030080040080050080060040070040', 'hex');

/** What a client may say first, and what it counts as. */
const FIRST_WORDS = [
  ['SSL 3.0', oldHello(0x0300), 'version'],
  ['TLS 1.0', oldHello(0x0301), 'version'],
  ['SSL 2.0', Buffer.concat([SSL2_HELLO, Buffer.alloc(16)]), 'version'],
  ['nothing but noise', Buffer.alloc(300, 0xa5), 'notTls'],
  ['an alert', record(ALERT, 0x0303, Buffer.from([2, 40])), null],
  ['application data', record(APPLICATION_DATA, 0x0303, Buffer.alloc(40)), null],
  ['an empty handshake record', record(22, 0x0303, Buffer.alloc(0)), null],
  ['a hello that says it is 16 MB long', record(22, 0x0301, Buffer.from([1, 0xff, 0xff, 0xff, 3, 3])), null],
  [
    'a record that is too long',
    Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff]), Buffer.alloc(0xffff)]),
    null,
  ],
];

describe('what is no TLS that is served', () => {
  for (const [name, bytes, counted] of FIRST_WORDS) {
    test(`${name} is ended at once, and counted`, BOUND, async (context) => {
      const { app, port } = serveTls(context);
      const socket = net.connect({ port, host: '127.0.0.1' });
      context.after(() => socket.destroy());
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
      const { gate } = await statsWhen(app, ({ gate }) => Object.keys(gate.tls.failed).length > 0);
      assert.equal(gate.tls.handshakes, 0);
      const failures = Object.values(gate.tls.failed).reduce((sum, count) => sum + count);
      assert.equal(failures, 1, JSON.stringify(gate.tls.failed));
      if (counted !== null) assert.deepEqual(gate.tls.failed, { [counted]: 1 });
    });
  }

  test('plain HTTP gets a plain 400 that says what to do', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const { status, text, headers } = await ask(port, '/');
    assert.equal(status, 400);
    assert.equal(headers.connection, 'close');
    assert.match(text, /https:\/\/.*wss:\/\//);
    assert.match(await exchange(port, opening()), /^HTTP\/1\.1 400 /);
    const { gate } = await statsWhen(app, ({ gate }) => gate.tls.failed.plainHttp === 2);
    assert.deepEqual(gate.tls, { handshakes: 0, resumed: 0, failed: { plainHttp: 2 } });
  });

  test('a client that is gone in its handshake is counted, wherever it is', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const hello = await helloBytes();
    const cuts = [0, 1, 5, 100, hello.length - 1, hello.length];
    for (const cut of cuts) {
      const socket = net.connect({ port, host: '127.0.0.1' });
      await once(socket, 'connect');
      socket.end(hello.subarray(0, cut));
      socket.resume();
      await once(socket, 'close');
    }
    const { gate } = await statsWhen(
      app,
      ({ gate }) => gate.accepted === cuts.length && gate.handshakes === 0,
    );
    assert.deepEqual(gate.tls, { handshakes: 0, resumed: 0, failed: { closed: cuts.length } });
  });

  test('a hello byte by byte is a hello', BOUND, async (context) => {
    const { port } = serveTls(context);
    const wire = net.connect({ port, host: '127.0.0.1', noDelay: true });
    context.after(() => wire.destroy());
    await once(wire, 'connect');
    const answered = once(wire, 'data');
    for (const byte of await helloBytes()) {
      wire.write(Uint8Array.of(byte));
      await pause(0);
    }
    const [answer] = await answered;
    assert.deepEqual([answer[0], answer[5]], [22, 2], 'a ServerHello');
  });
});

for (const maxVersion of VERSIONS) {
  describe(`a WebSocket over ${maxVersion}`, () => {
    test('that the server ends: a close frame, close_notify, FIN', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      let heard = Buffer.alloc(0);
      socket.on('data', (bytes) => {
        heard = Buffer.concat([heard, bytes]);
      });
      socket.write(frame(TEXT, 'end'));
      // Only a close_notify ends what is read here.
      await once(socket, 'end');
      assert.equal(await tap.ended, 'fin');
      assert.deepEqual(heard, Buffer.concat([Buffer.from([0x88, 5, 0x0f, 0xa0]), Buffer.from('bye')]));
      assert.deepEqual(await closes.next(), [4000, 'bye', 'local']);
      if (maxVersion === 'TLSv1.2') assert.equal(tap.records.at(-1).type, ALERT);
    });

    test('that the client ends by a closing handshake', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      socket.resume();
      socket.write(closeFrame(1000, 'done'));
      await once(socket, 'end');
      assert.equal(await tap.ended, 'fin');
      assert.deepEqual(await closes.next(), [1000, 'done', 'peer']);
    });

    test('that the server closes at once', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      socket.resume();
      socket.write(frame(TEXT, 'close'));
      await tap.ended;
      assert.deepEqual(await closes.next(), [1006, '', 'local']);
    });

    test('whose client says close_notify without a close frame', BOUND, async (context) => {
      const { app, port, closes } = serveEnds(context);
      const { socket } = await opened(context, port, { maxVersion });
      const ended = once(socket.resume(), 'end');
      socket.end();
      assert.deepEqual(await closes.next(), [1006, FIN_REASON, 'fin']);
      await ended;
      assert.equal(app.stats().closes.fin, 1);
    });

    test('whose client says FIN without close_notify', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { tap } = await opened(context, port, { maxVersion });
      tap.wire.end();
      assert.deepEqual(await closes.next(), [1006, FIN_REASON, 'fin']);
      await tap.ended;
    });

    test('whose client is cut off in the middle of a record', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      tap.edit = (bytes) => bytes.subarray(0, bytes.length - 1);
      socket.write(frame(TEXT, 'x'.repeat(300)));
      tap.wire.end();
      assert.deepEqual(await closes.next(), [1006, FIN_REASON, 'fin']);
    });

    test('whose client resets', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { tap } = await opened(context, port, { maxVersion });
      tap.wire.resetAndDestroy();
      const [code, , cause] = await closes.next();
      assert.deepEqual([code, cause], [1006, 'reset']);
    });

    test('a record that was changed on its way ends it, by an alert', BOUND, async (context) => {
      const { app, port, closes } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      tap.edit = (bytes) => {
        const changed = Buffer.from(bytes);
        changed[changed.length - 1] ^= 1;
        return changed;
      };
      const failed = once(socket, 'error');
      socket.write(frame(TEXT, 'hello'));
      const [{ code }] = await failed;
      assert.match(code, /ALERT_BAD_RECORD_MAC|DECRYPT_ERROR|ALERT/);
      const [status, , cause] = await closes.next();
      assert.deepEqual([status, cause], [1006, 'protocol']);
      assert.equal(app.stats().closes.protocol, 1);
    });

    test('a record in pieces is one, whatever the pieces', BOUND, async (context) => {
      const { port } = serveEnds(context);
      const { socket, tap } = await opened(context, port, { maxVersion });
      tap.edit = (bytes) => {
        for (const byte of bytes) tap.wire.write(Uint8Array.of(byte));
        return Buffer.alloc(0);
      };
      socket.write(frame(TEXT, 'in pieces'));
      const [echo] = await once(socket, 'data');
      assert.equal(echo.subarray(2).toString(), 'in pieces');
    });

    test('bytes without a record end it', BOUND, async (context) => {
      const { port, closes } = serveEnds(context);
      const { tap } = await opened(context, port, { maxVersion });
      tap.wire.write('this is no record at all');
      const [status, , cause] = await closes.next();
      assert.deepEqual([status, cause], [1006, 'protocol']);
      await tap.ended;
    });
  });

  test(`the end of an App with ${maxVersion} ends what shakes hands, too`, BOUND, async (context) => {
    const { app, port, url } = serveEnds(context);
    const silent = net.connect({ port, host: '127.0.0.1' });
    silent.on('error', () => {});
    await once(silent, 'connect');
    const client = await connect(context, url, { ...trust(), maxVersion });
    const idle = await connectTls(context, port, { maxVersion });
    idle.resume();
    const ended = Promise.all([once(silent, 'close'), once(idle, 'close'), client.closed]);
    // What a client has said last is read: over unread bytes the end would be a reset.
    await statsWhen(app, ({ gate }) => gate.accepted === 3 && gate.tls.handshakes === 2);
    app.close();
    silent.resume();
    await ended;
  });
}

test('a client of TLS 1.2 that asks for a renegotiation gets none', {
  ...BOUND,
  skip: unfit({
    bun: "Bun's TLS client does not renegotiate",
    deno: "Deno's TLS client does not renegotiate",
  }),
}, async (context) => {
  const { port, closes } = serveEnds(context);
  const { socket } = await opened(context, port, { maxVersion: 'TLSv1.2' });
  const refused = once(socket, 'error');
  socket.renegotiate({}, () => assert.fail('it was renegotiated'));
  const [{ code }] = await refused;
  assert.match(code, /NO_RENEGOTIATION/);
  socket.destroy();
  await closes.next();
  // Others are served as ever.
  const other = await connectTls(context, port);
  other.write(requestText('GET', '/'));
  const [response] = await once(other, 'data');
  assert.match(response.toString(), /^HTTP\/1\.1 200 /);
});

test('a handshake that takes too long ends after 10 s, and is counted', {
  timeout: 60_000,
}, async (context) => {
  const { app, port } = serveTls(context);
  const sockets = [
    Buffer.alloc(0),
    Buffer.from([22]),
    (await helloBytes()).subarray(0, 200),
    await helloBytes(),
  ].map((bytes) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    context.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(bytes);
    socket.resume();
    return once(socket, 'close');
  });
  const started = performance.now();
  await Promise.all(sockets);
  assert.ok(performance.now() - started >= 9_000, 'not before');
  const { gate } = await statsWhen(app, ({ gate }) => gate.tls.failed.timedOut === sockets.length);
  assert.equal(gate.handshakes, 0);
});
