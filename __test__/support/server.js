'use strict';

/** An App on a port of the loopback, for the length of one test. */

const { App, us_socket_local_port } = require('tidewire');
const { Queue } = require('./queue');

/** Time limit of a test: generous, since it only ends what hangs. */
const BOUND = { timeout: 30_000 };

/**
 * Listens with one route, and closes the App when the test ends.
 * @param {import('node:test').TestContext} context
 * @param {import('tidewire').WebSocketBehavior<any, any, any>} behavior
 * @param {{ options?: object, host?: string, pattern?: string }} [place]
 */
function serve(context, behavior, { options, host = '127.0.0.1', pattern = '/*' } = {}) {
  const app = App(options);
  context.after(() => app.close());
  let token;
  app.ws(pattern, behavior).listen(host, 0, (given) => {
    token = given;
  });
  if (!token) throw new Error(`Cannot listen on ${host}`);
  const port = us_socket_local_port(token);
  const name = host === '127.0.0.1' || host === '0.0.0.0' || host === '' ? '127.0.0.1' : '[::1]';
  return { app, token, port, url: `ws://${name}:${port}` };
}

/**
 * The same, with handlers that note what they get: `events` has `['open', ws]`, `['close', ws, code,
 * reason]` and so on, data as strings.
 * @param {import('node:test').TestContext} context
 * @param {object} [behavior] options, and handlers that run before the event is noted
 * @param {object} [place]
 */
function observe(context, behavior = {}, place = {}) {
  const events = new Queue();
  const noting = { ...behavior };
  for (const name of ['open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close']) {
    noting[name] = (...values) => {
      const noted = [name, ...values.map((value) => (isData(value) ? text(value) : value))];
      behavior[name]?.(...values);
      events.push(noted);
    };
  }
  return { ...serve(context, noting, place), events };
}

function isData(value) {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

/** Bytes, however a handler gets them, as a string. */
function text(data) {
  if (typeof data === 'string') return data;
  return data instanceof ArrayBuffer
    ? Buffer.from(data).toString()
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
}

module.exports = { BOUND, serve, observe, text };
