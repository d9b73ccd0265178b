'use strict';

/**
 * What a hostile client may do to a server, before its opening handshake and after it. Each attack is a
 * function of a port that ends when its connection has ended, whoever ended it.
 */

const { once } = require('node:events');
const net = require('node:net');
const { BINARY, PING, TEXT, closeFrame, frame, opening } = require('./raw_client');
const { COMPRESSED_VIOLATIONS, OFFER, VIOLATIONS } = require('./violations');

const HOST = 'Host: localhost\r\n';

/** Bytes that look like nothing, the same ones for the same seed (xorshift). */
function noise(seed, count) {
  let state = seed;
  return Buffer.from(
    Array.from({ length: count }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    }),
  );
}

/**
 * @typedef {(port: number) => net.Socket} Dial how a socket is had; it may say things before it is connected
 * @typedef {(port: number, dial?: Dial) => Promise<void>} Attack
 */

/** @type {Dial} */
const dialTcp = (port) => net.connect({ port, host: '127.0.0.1', noDelay: true });

/**
 * @param {(socket: net.Socket) => unknown} act is waited for, then the end of the socket
 * @returns {Attack}
 */
function attack(act) {
  return async (port, dial = dialTcp) => {
    const socket = dial(port);
    // A reset is an end like others.
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await Promise.race([Promise.resolve(act(socket)).catch(() => {}), closed]);
    await closed;
  };
}

/** An attack behind an opening handshake, with an offer of extensions. */
function attackOpen(act, extensions = undefined) {
  return attack(async (socket) => {
    socket.write(opening('/', 'localhost', extensions));
    await once(socket, 'data');
    await act(socket);
  });
}

/** Says something and waits for the server's end. */
const say = (bytes) => (socket) => {
  socket.resume();
  socket.write(bytes);
};

/** Says something, and is gone when the server has had time to hear it. */
const sayAndGo = (bytes, reads) => async (socket) => {
  if (reads) socket.resume();
  else socket.pause();
  socket.write(bytes);
  await pause(50);
  socket.resetAndDestroy();
};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Says something byte by byte, and then is gone. */
const drip = (bytes) => async (socket) => {
  socket.resume();
  for (const byte of bytes) {
    socket.write(Uint8Array.of(byte));
    await pause(1);
  }
  socket.destroy();
};

/** Requests that are refused, or never whole. */
const REQUESTS = {
  'no host': `GET / HTTP/1.1\r\n\r\n`,
  'two hosts': `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`,
  'another version of WebSocket': opening().replace('Version: 13', 'Version: 8'),
  'a short key': opening().replace('dGhl', ''),
  'two keys': opening().replace('\r\n\r\n', '\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'),
  'HTTP/1.0': opening().replace('HTTP/1.1', 'HTTP/1.0'),
  'a method that upgrades nothing': opening().replace('GET', 'POST'),
  'a NUL in a field': `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`,
  'a bare CR': `GET / HTTP/1.1\r\n${HOST}X: a\rb\r\n\r\n`,
  'a folded field': `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`,
  'two lengths': `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\na`,
  'a length and chunks': `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a field of 100 KB': `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(100_000)}\r\n\r\n`,
  'a target of 100 KB': `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n${HOST}\r\n`,
  '101 fields': `GET / HTTP/1.1\r\n${HOST}${'X: 1\r\n'.repeat(100)}\r\n`,
  'a TLS hello': Buffer.from('16030100750100007103030000', 'hex'),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'frames and no handshake': frame(TEXT, 'hello'),
  'a handshake that ends as another request': `${opening().slice(0, -2)}GET / HTTP/1.1\r\n${HOST}\r\n`,
};

const entries = (record, name, make) =>
  Object.entries(record).map(([key, value]) => [`${name}: ${key}`, make(value, key)]);

/**
 * All attacks, by name. The server's route echoes, and has the limits of the violations.
 * @returns {[name: string, run: Attack][]}
 */
function attacks(seed = 1) {
  const byName = (rows) => Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes]));
  const violations = byName(VIOLATIONS);
  const seeds = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [at, seed * 1_000 + at + 1]));
  const many = (count, make) => Buffer.concat(Array.from({ length: count }, (_, at) => make(at)));
  return [
    ...entries(violations, 'violation', (bytes) => attackOpen(say(bytes))),
    ...entries(byName(COMPRESSED_VIOLATIONS), 'violation, compressed', (bytes) =>
      attackOpen(say(bytes), OFFER),
    ),
    ...entries(violations, 'violation and gone', (bytes, at) =>
      attackOpen((socket) => (at.length % 2 ? socket.end(bytes) : sayAndGo(bytes, false)(socket))),
    ),
    ...entries(REQUESTS, 'request', (bytes) => attack((socket) => say(bytes)(socket) ?? socket.end())),
    ...entries(REQUESTS, 'request and gone', (bytes) => attack(sayAndGo(bytes, false))),
    ...entries(seeds, 'noise', (from) => attack((socket) => say(noise(from, 3_000))(socket) ?? socket.end())),
    ...entries(seeds, 'noise behind a handshake', (from) =>
      attackOpen((socket) => say(noise(from, 3_000))(socket) ?? socket.end()),
    ),
    ...entries(seeds, 'noise as a compressed message', (from) =>
      attackOpen((socket) => say(frame(TEXT, noise(from, 900), { rsv: 4 }))(socket) ?? socket.end(), OFFER),
    ),
    ...entries(seeds, 'noise in the segment of the handshake', (from) =>
      attack(
        (socket) => say(Buffer.concat([Buffer.from(opening()), noise(from, 100)]))(socket) ?? socket.end(),
      ),
    ),
    ['a handshake byte by byte, and gone', attack(drip(opening().slice(0, -2)))],
    ['a message byte by byte, and gone', attackOpen(drip(frame(BINARY, Buffer.alloc(150)).subarray(0, 150)))],
    ['a client that says nothing', attack(sayAndGo('', true))],
    ['half a message', attackOpen(sayAndGo(frame(TEXT, 'x'.repeat(900)).subarray(0, 800), true))],
    ['half a close frame', attackOpen(sayAndGo(closeFrame(1000, 'bye').subarray(0, 5), true))],
    ['a message that stays open', attackOpen(sayAndGo(frame(TEXT, 'x'.repeat(900), { fin: false }), true))],
    [
      '20,000 pings, nothing read',
      attackOpen(
        sayAndGo(
          many(20_000, (at) => frame(PING, `${at}`.padEnd(100))),
          false,
        ),
      ),
    ],
    [
      '5,000 messages, nothing read',
      attackOpen(
        sayAndGo(
          many(5_000, () => frame(BINARY, Buffer.alloc(900))),
          false,
        ),
      ),
    ],
    [
      '20,000 empty messages',
      attackOpen(
        sayAndGo(
          many(20_000, () => frame(TEXT)),
          true,
        ),
      ),
    ],
    [
      'a flood behind a close frame',
      attackOpen(sayAndGo(Buffer.concat([frame(3), noise(seed, 500_000)]), true)),
    ],
    ['close frames in a row', attackOpen(say(many(100, () => closeFrame(1000, 'again'))))],
    ['100 requests for nothing', attack(sayAndGo(`GET /none HTTP/1.1\r\n${HOST}\r\n`.repeat(100), false))],
  ];
}

/**
 * An opening handshake of which a byte comes now and then, and that is never whole: until the server ends it.
 * @type {Attack}
 */
const slowHandshake = attack(async (socket) => {
  socket.resume();
  for (const letter of opening().repeat(3)) {
    if (socket.destroyed) return;
    if (letter === '\n') continue;
    socket.write(letter);
    await pause(200);
  }
});

module.exports = { attacks, slowHandshake };
