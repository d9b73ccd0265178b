'use strict';

/** permessage-deflate (RFC 7692) with the `ws` package as the client, and with a hand-made one. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const zlib = require('node:zlib');
const tidewire = require('tidewire');
const { connect } = require('./support/client');
const { TEXT, CLOSE, PING, connectRaw, exchange, frame, opening } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

const { SHARED_COMPRESSOR, SHARED_DECOMPRESSOR, DEDICATED_COMPRESSOR, DEDICATED_DECOMPRESSOR } = tidewire;

/** RSV1. */
const COMPRESSED = { rsv: 4 };

/** Echoes, and compresses unless told otherwise. */
const echo = (compression, options = {}) => ({
  compression,
  maxPayloadLength: 1024 * 1024,
  maxBackpressure: 0,
  message: (ws, message, isBinary) => ws.send(message, isBinary, true),
  ...options,
});

/** Text that shrinks, another for each number. */
const news = (number, length = 1000) =>
  JSON.stringify({ number, text: `${number} sheep, `.repeat(length) }).slice(0, length);

/** As a client compresses, without a context. */
function deflated(data) {
  const flushed = zlib.deflateRawSync(data, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  return flushed.subarray(0, -4);
}

const inflated = (payload) =>
  zlib
    .inflateRawSync(Buffer.concat([payload, Buffer.of(0, 0, 0xff, 0xff)]), {
      finishFlush: zlib.constants.Z_SYNC_FLUSH,
    })
    .toString();

describe('with the ws package', () => {
  const servers = {
    shared: SHARED_COMPRESSOR,
    dedicated: DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR,
    small: tidewire.DEDICATED_COMPRESSOR_3KB | tidewire.DEDICATED_DECOMPRESSOR_512B,
    middle: tidewire.DEDICATED_COMPRESSOR_16KB | tidewire.DEDICATED_DECOMPRESSOR_4KB,
    mixed: SHARED_COMPRESSOR | DEDICATED_DECOMPRESSOR,
  };
  const clients = {
    'as it is': {},
    'without client takeover': { clientNoContextTakeover: true },
    'without server takeover': { serverNoContextTakeover: true },
    'with small windows': { serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    'with the largest windows': { serverMaxWindowBits: 15, clientMaxWindowBits: 15 },
  };
  for (const [server, compression] of Object.entries(servers)) {
    for (const [manner, options] of Object.entries(clients)) {
      test(`${server} echoes to one ${manner}`, BOUND, async (t) => {
        const { url } = serve(t, echo(compression));
        const client = await connect(t, url, { perMessageDeflate: { threshold: 0, ...options } });
        assert.match(client.socket.extensions, /permessage-deflate/);
        const messages = ['', 'a', 'é€😀', news(1), news(2), news(3), news(4, 100_000), '', news(5)];
        client.send(...messages, Buffer.from(news(6)));
        for (const message of messages) assert.equal(await client.text(), message);
        assert.deepEqual(await client.messages.next(), [Buffer.from(news(6)), true]);
      });
    }
  }

  test('a client without the extension is served plain', BOUND, async (t) => {
    const { url } = serve(t, echo(SHARED_COMPRESSOR));
    const client = await connect(t, url);
    assert.equal(client.socket.extensions, '');
    client.send(news(1));
    assert.equal(await client.text(), news(1));
  });

  test('a route without compression declines', BOUND, async (t) => {
    const { url } = serve(t, echo(tidewire.DISABLED));
    const client = await connect(t, url, { perMessageDeflate: true });
    assert.equal(client.socket.extensions, '');
    client.send(news(1));
    assert.equal(await client.text(), news(1));
  });

  test('fragments of a compressed message', BOUND, async (t) => {
    const { url } = serve(t, echo(DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR));
    const client = await connect(t, url, { perMessageDeflate: { threshold: 0 } });
    for (let round = 0; round < 3; round++) {
      client.socket.send(news(round), { fin: false });
      client.socket.ping();
      client.socket.send(news(round + 10), { fin: true });
      assert.equal(await client.text(), news(round) + news(round + 10));
    }
  });

  test('many clients with contexts of their own do not mix them', BOUND, async (t) => {
    const { url } = serve(t, echo(DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR), {
      options: { threads: 2 },
    });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => connect(t, url, { perMessageDeflate: { threshold: 0 } })),
    );
    for (let round = 0; round < 10; round++) {
      for (const [number, client] of clients.entries()) client.send(news(number * 100 + round));
    }
    for (const [number, client] of clients.entries()) {
      for (let round = 0; round < 10; round++) assert.equal(await client.text(), news(number * 100 + round));
    }
  });
});

describe('on the wire', () => {
  test('what is sent with the flag is compressed, and nothing else', BOUND, async (t) => {
    const { port } = serve(t, {
      compression: SHARED_COMPRESSOR,
      open(ws) {
        ws.send(news(1), false, true);
        ws.send(news(2), false);
        ws.send('short', false, true);
        ws.send(Buffer.from(news(3, 100_000)), true, true);
        ws.ping(news(4, 100));
      },
    });
    const client = await connectRaw(t, port, { extensions: 'permessage-deflate' });
    const answer = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
    assert.equal(client.extensions, answer);
    const frames = await Promise.all(Array.from({ length: 5 }, () => client.frames.next()));
    assert.deepEqual(
      frames.map(({ rsv = 0 }) => rsv),
      [4, 0, 0, 4, 0],
    );
    assert.equal(inflated(frames[0].payload), news(1));
    assert.equal(frames[1].payload.toString(), news(2));
    assert.equal(inflated(frames[3].payload), news(3, 100_000));
    assert.ok(frames[3].payload.length < 10_000);
  });

  test('a decompressor alone never compresses', BOUND, async (t) => {
    const { port } = serve(t, echo(SHARED_DECOMPRESSOR));
    const client = await connectRaw(t, port, { extensions: 'permessage-deflate' });
    assert.equal(client.extensions, 'permessage-deflate; client_no_context_takeover');
    client.write(frame(TEXT, deflated(news(1)), COMPRESSED));
    const { rsv, payload } = await client.frames.next();
    assert.deepEqual([rsv, payload.toString()], [undefined, news(1)]);
  });

  test('plain messages may stand between compressed ones', BOUND, async (t) => {
    const { port, events } = observe(t, echo(SHARED_COMPRESSOR));
    const client = await connectRaw(t, port, { extensions: 'permessage-deflate' });
    client.write(
      frame(TEXT, deflated(news(1)), COMPRESSED),
      frame(TEXT, 'plain'),
      frame(TEXT, Buffer.of(0), COMPRESSED),
    );
    await events.next();
    for (const text of [news(1), 'plain', '']) {
      const [name, , message] = await events.next();
      assert.deepEqual([name, message], ['message', text]);
    }
  });

  test('a context takes from the last message to the next', BOUND, async (t) => {
    const { port } = serve(t, echo(DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR));
    const client = await connectRaw(t, port, { extensions: 'permessage-deflate' });
    assert.equal(client.extensions, 'permessage-deflate');
    const sizes = [];
    for (let round = 0; round < 3; round++) {
      client.write(frame(TEXT, deflated(news(1)), COMPRESSED));
      sizes.push((await client.frames.next()).payload.length);
    }
    assert.ok(Math.max(sizes[1], sizes[2]) < sizes[0] * 0.6, `${sizes}`);
  });
});

describe('hostile clients', () => {
  const cases = [
    ['a bomb', frame(TEXT, deflated(Buffer.alloc(10_000_000)), COMPRESSED), 1009, 'Received too big message'],
    ['data that is not DEFLATE', frame(TEXT, 'no', COMPRESSED), 1007, 'Received invalid WebSocket frame'],
    [
      'half a block',
      frame(TEXT, deflated(news(1)).subarray(0, 20), COMPRESSED),
      1007,
      'Received invalid WebSocket frame',
    ],
    [
      'compressed text that is not UTF-8',
      frame(TEXT, deflated(Buffer.of(0xc0, 0x80)), COMPRESSED),
      1007,
      'Received invalid UTF-8',
    ],
    ['RSV1 on a ping', frame(PING, 'a', COMPRESSED), 1002, 'Received invalid WebSocket frame'],
    ['RSV2', frame(TEXT, 'a', { rsv: 2 }), 1002, 'Received invalid WebSocket frame'],
    ['RSV1 and RSV3', frame(TEXT, 'a', { rsv: 5 }), 1002, 'Received invalid WebSocket frame'],
  ];
  for (const [name, bytes, code, reason] of cases) {
    test(`${name}: ${code}`, BOUND, async (t) => {
      const { port, events } = observe(t, { compression: SHARED_COMPRESSOR });
      const client = await connectRaw(t, port, { extensions: 'permessage-deflate' });
      client.write(bytes);
      assert.equal((await client.closeFrame()).code, code);
      const [[opened], [closed, , status, text]] = [await events.next(), await events.next()];
      assert.deepEqual([opened, closed, status, text], ['open', 'close', 1006, reason]);
    });
  }

  test('RSV1 without an agreement: 1002', BOUND, async (t) => {
    const { port } = serve(t, { compression: SHARED_COMPRESSOR });
    const client = await connectRaw(t, port);
    client.write(frame(TEXT, deflated(news(1)), COMPRESSED));
    const { opcode, payload } = await client.frames.next();
    assert.deepEqual([opcode, payload.readUInt16BE()], [CLOSE, 1002]);
  });

  test('a bad offer is declined, and one that breaks the grammar is refused', BOUND, async (t) => {
    const { port } = serve(t, { compression: SHARED_COMPRESSOR });
    const declined = await connectRaw(t, port, {
      extensions: 'permessage-deflate; server_max_window_bits=8',
    });
    assert.equal(declined.extensions, '');
    const second = 'permessage-deflate; nonsense, permessage-deflate; server_max_window_bits="10"';
    const next = await connectRaw(t, port, { extensions: second });
    assert.match(next.extensions, /; server_max_window_bits=10$/);
    for (const bad of ['permessage-deflate; =1', 'permessage-deflate; a="b c"', ';']) {
      assert.match(await exchange(port, opening('/', 'localhost', bad)), /^HTTP\/1\.1 400 /);
    }
  });
});
