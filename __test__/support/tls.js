'use strict';

/** An App with TLS on a port of the loopback, and clients of it that know its authority. */

const { once } = require('node:events');
const https = require('node:https');
const tls = require('node:tls');
const { SSLApp, us_socket_local_port } = require('tidewire');
const { localhost } = require('./certificates');
const { answerOf } = require('./http');
const { unfit } = require('./runtime');
const { BOUND } = require('./server');

/**
 * Listens, with `GET /` and an echo at the same place, or what `add` adds, and closes the App when the test ends.
 * @param {import('node:test').TestContext} context
 * @param {object} [options] of the App, beside a certificate for this machine
 * @param {(app: import('tidewire').TemplatedApp) => unknown} [add]
 */
function serveTls(context, options = {}, add = addEcho) {
  const { key, cert } = localhost();
  const app = SSLApp({ ...(isCertified(options) ? {} : { key, cert }), ...options });
  context.after(() => app.close());
  add(app);
  let token;
  app.listen('127.0.0.1', 0, (given) => {
    token = given;
  });
  if (!token) throw new Error('Cannot listen');
  const port = us_socket_local_port(token);
  return { app, token, port, url: `wss://127.0.0.1:${port}` };
}

const isCertified = (options) => 'cert' in options || 'cert_file_name' in options;

/** @param {import('tidewire').TemplatedApp} app */
function addEcho(app) {
  app.get('/', (res) => res.end('over TLS'));
  app.ws('/', { message: (ws, message, isBinary) => ws.send(message, isBinary) });
}

/** Options of a test whose client offers the suites of its own choice. */
const CHOOSY = { ...BOUND, skip: unfit({ deno: "Deno's TLS client offers whatever suites it has" }) };

/** What a client of Node's is told: whom to trust. */
const trust = () => ({ ca: localhost().ca });

/**
 * Shakes hands, and ends the client with the test. Fails where the handshake does.
 * @param {import('node:test').TestContext} context
 * @param {number} port
 * @param {tls.ConnectionOptions} [options]
 * @returns {Promise<tls.TLSSocket>}
 */
async function connectTls(context, port, options = {}) {
  const socket = tls.connect({ host: '127.0.0.1', port, ...trust(), ...options });
  context.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  // What happens behind that is for those to see who look.
  socket.on('error', () => {});
  return socket;
}

/**
 * The common name of the certificate that a client gets, and how its handshake went.
 * @param {import('node:test').TestContext} context
 * @param {number} port
 * @param {tls.ConnectionOptions} [options]
 */
async function certified(context, port, options = {}) {
  const socket = await connectTls(context, port, { checkServerIdentity: () => undefined, ...options });
  const seen = {
    name: socket.getPeerCertificate().subject.CN,
    protocol: socket.getProtocol(),
    resumed: socket.isSessionReused(),
    alpn: socket.alpnProtocol,
  };
  // To its end: a client that is destroyed may not have said its last word of the handshake.
  socket.resume().end();
  await once(socket, 'close');
  return seen;
}

/**
 * Asks by Node's client, each time on a connection of its own.
 * @param {number} port
 * @param {string} path
 * @param {https.RequestOptions} [options]
 */
async function askTls(port, path, options = {}) {
  const request = https.get({ port, host: '127.0.0.1', path, agent: false, ...trust(), ...options });
  const [response] = await once(request, 'response');
  return answerOf(response);
}

/** The stats, as soon as they are as wanted: what the threads do is seen a little later. */
async function statsWhen(app, wanted) {
  for (;;) {
    const stats = app.stats();
    if (wanted(stats)) return stats;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

module.exports = { CHOOSY, addEcho, askTls, certified, connectTls, serveTls, statsWhen, trust };
