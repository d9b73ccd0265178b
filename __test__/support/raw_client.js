'use strict';

/**
 * A client made of a bare TCP socket: says what a proper client never says, keeps silent where it
 * would answer, and does not read where it would.
 */

const { once } = require('node:events');
const net = require('node:net');
const { Queue } = require('./queue');

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** RFC 6455 §1.2 has this key and its answer. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/**
 * One frame of a client (RFC 6455 §5.2).
 * @param {number} opcode
 * @param {string | Uint8Array} [data]
 * @param {{ fin?: boolean, rsv?: number, masked?: boolean }} [shape]
 */
function frame(opcode, data = '', { fin = true, rsv = 0, masked = true } = {}) {
  const payload = Buffer.from(data);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  let head = Buffer.from([first, mask | payload.length]);
  if (payload.length > 125) {
    const wide = payload.length > 65_535;
    head = Buffer.alloc(wide ? 10 : 4);
    head[0] = first;
    head[1] = mask | (wide ? 127 : 126);
    if (wide) head.writeBigUInt64BE(BigInt(payload.length), 2);
    else head.writeUInt16BE(payload.length, 2);
  }
  if (!masked) return Buffer.concat([head, payload]);
  for (let at = 0; at < payload.length; at++) payload[at] ^= MASK[at & 3];
  return Buffer.concat([head, MASK, payload]);
}

/** A client's close frame; a code of null leaves the payload empty. */
function closeFrame(code = null, reason = '') {
  if (code === null) return frame(CLOSE);
  return frame(CLOSE, Buffer.concat([Buffer.from([code >>> 8, code & 0xff]), Buffer.from(reason)]));
}

/** The request that opens a WebSocket, with a line of extensions if they are given. */
function opening(path = '/', host = 'localhost', extensions = undefined) {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`,
    'Sec-WebSocket-Version: 13',
    ...(extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${extensions}`]),
    '\r\n',
  ].join('\r\n');
}

class RawClient {
  /** Frames of the server, as `{ opcode, fin, payload }`, and with `rsv` where one is set. */
  frames = new Queue();
  /** Bytes of the server that are no whole frame yet, as they came. */
  #pieces = [];
  /** How many there are, and how many must be there to go on. */
  #unreadBytes = 0;
  #wantedBytes = 2;

  /** @param {net.Socket} socket established, its 101 read */
  constructor(socket) {
    this.socket = socket;
    /** The value of the response's Sec-WebSocket-Extensions. */
    this.extensions = '';
    /** How the connection ended: `'fin'`, or the code of the error, such as `'ECONNRESET'`. */
    this.ended = new Promise((resolve) => {
      socket.once('end', () => resolve('fin'));
      socket.once('error', ({ code }) => resolve(code));
    });
  }

  write(...pieces) {
    this.socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
  }

  /** Begins to read, or goes on. */
  read() {
    if (this.socket.listenerCount('data') === 0) this.socket.on('data', (bytes) => this.#take(bytes));
    this.socket.resume();
  }

  /** The code and reason of a close frame; a code of null where it has none. */
  async closeFrame() {
    for (;;) {
      const { opcode, payload } = await this.frames.next();
      if (opcode !== CLOSE) continue;
      if (payload.length === 0) return { code: null, reason: '' };
      return { code: payload.readUInt16BE(), reason: payload.subarray(2).toString() };
    }
  }

  #take(bytes) {
    this.#pieces.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes < this.#wantedBytes) return;
    let unread = Buffer.concat(this.#pieces);
    for (let size = frameBytes(unread); unread.length >= size; size = frameBytes(unread)) {
      const head = headBytes(unread);
      const fin = (unread[0] & 0x80) !== 0;
      const rsv = (unread[0] >>> 4) & 7;
      const payload = unread.subarray(head, size);
      this.frames.push({ opcode: unread[0] & 0xf, fin, payload, ...(rsv === 0 ? {} : { rsv }) });
      unread = unread.subarray(size);
    }
    this.#pieces = [unread];
    this.#unreadBytes = unread.length;
    this.#wantedBytes = frameBytes(unread);
  }
}

/** Bytes of the head of a server's frame, which is not masked. */
function headBytes(bytes) {
  return { 126: 4, 127: 10 }[bytes[1] & 0x7f] ?? 2;
}

/** Bytes of the whole frame, or of as much of its head as must be there to know. */
function frameBytes(bytes) {
  if (bytes.length < 2) return 2;
  const head = headBytes(bytes);
  if (bytes.length < head) return head;
  if (head === 2) return head + (bytes[1] & 0x7f);
  return head + (head === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)));
}

/**
 * Opens a WebSocket by hand, and ends it with the test.
 * @param {import('node:test').TestContext} context
 * @param {number} port
 * @param {{ path?: string, reads?: boolean, early?: Buffer, host?: string, extensions?: string }} [manner]
 *     `reads`: whether it takes what the server sends; `early`: bytes in the same segment as the request;
 *     `extensions`: what it offers
 */
async function connectRaw(context, port, manner = {}) {
  const { path, reads = true, early = Buffer.alloc(0), host = '127.0.0.1', extensions } = manner;
  const socket = net.connect({ port, host, allowHalfOpen: true, noDelay: true });
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  const client = new RawClient(socket);
  socket.write(Buffer.concat([Buffer.from(opening(path, undefined, extensions)), early]));
  let answer = Buffer.alloc(0);
  let end = -1;
  while (end < 0) {
    const bytes = await oneChunk(socket);
    if (bytes === null) throw new Error(`The server ended in the handshake: ${answer}`);
    answer = Buffer.concat([answer, bytes]);
    end = answer.indexOf('\r\n\r\n');
  }
  if (!answer.includes(ACCEPT)) throw new Error(`The server refused the handshake: ${answer}`);
  [, client.extensions = ''] = /^sec-websocket-extensions: (.*)$/im.exec(answer.toString('latin1')) ?? [];
  client.extensions = client.extensions.trim();
  socket.unshift(answer.subarray(end + 4));
  if (reads) client.read();
  return client;
}

/** The next bytes of a socket, which is paused behind them; null at its end. */
async function oneChunk(socket) {
  for (;;) {
    const bytes = socket.read();
    if (bytes !== null) return bytes;
    if (socket.readableEnded) return null;
    await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
}

/**
 * Sends bytes and returns all that is answered until the server ends.
 * @param {number} port
 * @param {string | Uint8Array} bytes
 */
async function exchange(port, bytes) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.end(bytes);
  let answer = '';
  for await (const piece of socket) answer += piece;
  return answer;
}

module.exports = {
  TEXT,
  BINARY,
  CLOSE,
  PING,
  PONG,
  RawClient,
  closeFrame,
  connectRaw,
  exchange,
  frame,
  opening,
};
