'use strict';

/** An App with HTTP routes, and two clients of it: that of Node, and a bare TCP socket. */

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { App, us_socket_local_port } = require('tidewire');

/**
 * Listens with the routes that `add` adds, and closes the App when the test ends.
 * @param {import('node:test').TestContext} context
 * @param {(app: import('tidewire').TemplatedApp) => unknown} add
 * @param {{ options?: object, host?: string }} [place]
 */
function serveHttp(context, add, { options, host = '127.0.0.1' } = {}) {
  const app = App(options);
  context.after(() => app.close());
  add(app);
  let token;
  app.listen(host, 0, (given) => {
    token = given;
  });
  if (!token) throw new Error(`Cannot listen on ${host}`);
  return { app, token, port: us_socket_local_port(token) };
}

/**
 * Asks by Node's client, each time on a connection of its own.
 * @param {number} port
 * @param {string} path
 * @param {http.RequestOptions & { body?: string | Uint8Array }} [options] a body is sent with its length
 */
async function ask(port, path, { body, ...options } = {}) {
  const request = http.request({ port, host: '127.0.0.1', path, agent: false, ...options });
  if (body !== undefined) request.setHeader('content-length', Buffer.byteLength(body));
  request.end(body);
  const [response] = await once(request, 'response');
  return answerOf(response);
}

/** What came, in whole. */
async function answerOf(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const { statusCode: status, statusMessage: phrase, headers, rawHeaders } = response;
  return { status, phrase, headers, rawHeaders, body, text: body.toString() };
}

/** A bare socket that says what it is told to. */
class Speaker {
  /** All that was answered, a byte for a character. */
  heard = '';
  #listeners = new Set();

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    /** How the connection ended: `'fin'`, or the code of the error, such as `'ECONNRESET'`. */
    this.ended = new Promise((resolve) => {
      socket.once('end', () => resolve('fin'));
      socket.once('error', ({ code }) => resolve(code));
      socket.once('close', () => resolve('closed'));
    });
    this.ended.then(() => this.#tell());
    socket.on('data', (bytes) => {
      this.heard += bytes.toString('latin1');
      this.#tell();
    });
  }

  /** @param {...(string | Uint8Array)} pieces */
  say(...pieces) {
    for (const piece of pieces) this.socket.write(piece);
    return this;
  }

  /**
   * Waits until this was heard, and returns what was heard up to its end; that is forgotten then.
   * @param {string | RegExp} what
   */
  async hear(what) {
    const pattern = typeof what === 'string' ? new RegExp(what.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : what;
    let over = false;
    this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const found = pattern.exec(this.heard);
      if (found !== null) {
        const end = found.index + found[0].length;
        const part = this.heard.slice(0, end);
        this.heard = this.heard.slice(end);
        return part;
      }
      if (over) throw new Error(`The connection ended without ${pattern}, but with: ${this.heard}`);
      await new Promise((resolve) => this.#listeners.add(resolve));
    }
  }

  /** All that is answered until the server ends. */
  async all() {
    await this.ended;
    return this.heard;
  }

  #tell() {
    for (const resolve of this.#listeners) resolve();
    this.#listeners.clear();
  }
}

/**
 * Connects a bare socket, and ends it with the test.
 * @param {import('node:test').TestContext} context
 * @param {number} port
 * @param {string | Uint8Array} [words] what it says first
 */
async function speak(context, port, words = '') {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  context.after(() => socket.destroy());
  const speaker = new Speaker(socket);
  await once(socket, 'connect');
  return words.length > 0 ? speaker.say(words) : speaker;
}

/**
 * A request as text.
 * @param {string} method
 * @param {string} path
 * @param {string[]} [lines] of its header, beside Host
 * @param {string} [body]
 */
function requestText(method, path, lines = [], body = '') {
  return [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...lines, '', body].join('\r\n');
}

/** What every method of a response throws once it is over. */
const OVER = {
  code: 'TIDEWIRE_RESPONSE_OVER',
  message:
    'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful ' +
    'response. See documentation for uWS.HttpResponse and consult the user manual.',
};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

module.exports = { OVER, answerOf, ask, pause, requestText, serveHttp, speak };
