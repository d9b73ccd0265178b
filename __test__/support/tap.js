'use strict';

/** A client of TLS whose records can be seen, and changed on their way. */

const { once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');
const { trust } = require('./tls');

/** Of the head of a record (RFC 8446 §5.1). */
const ALERT = 21;
const APPLICATION_DATA = 23;
const RECORD_HEAD_BYTES = 5;

class Tap extends Duplex {
  /** Everything that came from the server. */
  heard = Buffer.alloc(0);
  /** What becomes of bytes on their way to the server. @type {(bytes: Buffer) => Buffer} */
  edit = (bytes) => bytes;

  /** @param {net.Socket} wire */
  constructor(wire) {
    super({ allowHalfOpen: true });
    this.wire = wire;
    wire.on('data', (bytes) => {
      this.heard = Buffer.concat([this.heard, bytes]);
      this.push(bytes);
    });
    wire.on('end', () => this.push(null));
    /** How the connection ended: `'fin'`, or the code of the error, such as `'ECONNRESET'`. */
    this.ended = new Promise((resolve) => {
      wire.once('end', () => resolve('fin'));
      wire.once('error', ({ code }) => resolve(code));
      wire.once('close', () => resolve('closed'));
    });
  }

  /** The records that came, whole ones: their types and their lengths. */
  get records() {
    const records = [];
    for (let at = 0; at + RECORD_HEAD_BYTES <= this.heard.length; ) {
      const length = this.heard.readUInt16BE(at + 3);
      if (at + RECORD_HEAD_BYTES + length > this.heard.length) break;
      records.push({ type: this.heard[at], length });
      at += RECORD_HEAD_BYTES + length;
    }
    return records;
  }

  _read() {}

  _write(bytes, _encoding, done) {
    const edited = this.edit(bytes);
    if (edited.length === 0) done();
    else this.wire.write(edited, () => done());
  }

  _final(done) {
    this.wire.end(() => done());
  }

  _destroy(error, done) {
    this.wire.destroy();
    done(error);
  }
}

/**
 * Shakes hands, and ends the client with the test.
 * @param {import('node:test').TestContext} context
 * @param {number} port
 * @param {tls.ConnectionOptions} [options]
 */
async function tapped(context, port, options = {}) {
  const wire = net.connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
  context.after(() => wire.destroy());
  await once(wire, 'connect');
  const tap = new Tap(wire);
  tap.on('error', () => {});
  const socket = tls.connect({ socket: tap, host: '127.0.0.1', ...trust(), ...options });
  context.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return { socket, tap };
}

/** The ClientHello of Node's client. */
async function helloBytes() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: server.address().port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [peer] = await once(server, 'connection');
  const [bytes] = await once(peer, 'data');
  client.destroy();
  peer.destroy();
  server.close();
  return bytes;
}

module.exports = { ALERT, APPLICATION_DATA, Tap, helloBytes, tapped };
