'use strict';

/** The `ws` package as a client, for the length of one test. */

const { once } = require('node:events');
const WebSocket = require('./ws');
const { Queue } = require('./queue');

class Client {
  /** Every message, as `[data, isBinary]`. */
  messages = new Queue();
  /** The payloads of pings and pongs. */
  pings = new Queue();
  pongs = new Queue();

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    /** @type {Promise<{ code: number, reason: string }>} */
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('message', (data, isBinary) => this.messages.push([data, isBinary]));
    socket.on('ping', (data) => this.pings.push(data.toString()));
    socket.on('pong', (data) => this.pongs.push(data.toString()));
    // A socket that ends badly is a 1006, which `closed` tells.
    socket.on('error', () => {});
  }

  /** The next message, as a string. */
  async text() {
    const [data] = await this.messages.next();
    return data.toString();
  }

  /** Sends each message, a string as text. */
  send(...messages) {
    for (const message of messages) this.socket.send(message);
  }
}

/**
 * Connects, and ends the client with the test.
 * @param {import('node:test').TestContext} context
 * @param {string} url
 * @param {import('ws').ClientOptions} [options]
 * @returns {Promise<Client>}
 */
function connect(context, url, options) {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0, ...options });
  context.after(() => socket.terminate());
  const client = new Client(socket);
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(client));
    socket.once('error', reject);
  });
}

/**
 * What a client sees that is refused: status, header fields and body.
 * @param {string} url
 * @param {import('ws').ClientOptions} [options]
 */
async function refusal(url, options) {
  const client = new WebSocket(url, options);
  const [asked, response] = await once(client, 'unexpected-response');
  let body = '';
  // A character may be cut by the end of a piece.
  response.setEncoding('utf8');
  for await (const piece of response) body += piece;
  asked.destroy();
  return { status: response.statusCode, phrase: response.statusMessage, headers: response.headers, body };
}

module.exports = { Client, connect, refusal };
