'use strict';

/** HTTP over TLS, and the ways by which connections of TLS come. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const https = require('node:https');
const net = require('node:net');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { App, SSLApp, us_socket_local_port } = require('tidewire');
const { localhost } = require('./support/certificates');
const { connect } = require('./support/client');
const { answerOf, requestText } = require('./support/http');
const { BOUND } = require('./support/server');
const { addEcho, askTls, connectTls, serveTls, statsWhen, trust } = require('./support/tls');

test('a connection is kept alive for many requests', BOUND, async (context) => {
  const { app, port } = serveTls(context);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...trust() });
  context.after(() => agent.destroy());
  for (let times = 0; times < 20; times++)
    assert.equal((await askTls(port, '/', { agent })).text, 'over TLS');
  const { gate } = app.stats();
  assert.deepEqual([gate.accepted, gate.tls.handshakes, gate.requests], [1, 1, 20]);
});

test('requests in one record are answered in order', BOUND, async (context) => {
  const { port } = serveTls(context, {}, (app) => {
    app.get('/:n', (res, req) => res.end(`<${req.getParameter(0)}>`));
  });
  const socket = await connectTls(context, port);
  const numbers = Array.from({ length: 50 }, (_, at) => at);
  socket.write(numbers.map((n) => requestText('GET', `/${n}`)).join(''));
  let heard = '';
  for await (const piece of socket) {
    heard += piece;
    if (heard.includes('<49>')) break;
  }
  assert.deepEqual(heard.match(/(?<=<)\d+(?=>)/g).map(Number), numbers);
});

test('large content goes in and out whole', BOUND, async (context) => {
  const body = Buffer.alloc(5_000_000);
  for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
  const { port } = serveTls(context, {}, (app) => {
    app.post('/', (res) => {
      res.onAborted(() => {});
      res.collectBody(body.length, (content) => res.end(content));
    });
  });
  const options = { port, host: '127.0.0.1', method: 'POST', agent: false, ...trust() };
  const request = https.request({ ...options, headers: { 'content-length': body.length } });
  request.end(body);
  const [response] = await once(request, 'response');
  assert.ok((await answerOf(response)).body.equals(body));
});

test('a client that has not read is waited for: tryEnd says when', BOUND, async (context) => {
  const size = 8_000_000;
  const content = Buffer.alloc(size, 'abc');
  let waits = 0;
  const { port } = serveTls(context, {}, (app) => {
    app.get('/', (res) => {
      res.onAborted(() => {});
      const write = (offset) => {
        const [ok] = res.tryEnd(content.subarray(offset), size);
        if (!ok) waits++;
        return ok;
      };
      res.onWritable(write);
      write(0);
    });
  });
  const request = https.get({ port, host: '127.0.0.1', agent: false, ...trust() });
  const [response] = await once(request, 'response');
  assert.ok((await answerOf(response)).body.equals(content));
  assert.ok(waits > 0);
});

test('a client that is gone is told to onAborted', BOUND, async (context) => {
  let aborted;
  const gone = new Promise((resolve) => {
    aborted = resolve;
  });
  let asked;
  const came = new Promise((resolve) => {
    asked = resolve;
  });
  const { port } = serveTls(context, {}, (app) => {
    app.get('/', (res) => asked(res.onAborted(aborted)));
  });
  const socket = await connectTls(context, port);
  socket.write(requestText('GET', '/'));
  await came;
  socket.end();
  await gone;
});

test('Connection: close ends by close_notify', BOUND, async (context) => {
  const { port } = serveTls(context);
  const socket = await connectTls(context, port);
  socket.write(requestText('GET', '/', ['Connection: close']));
  let heard = '';
  for await (const piece of socket) heard += piece;
  assert.match(heard, /over TLS$/);
});

test('refusals of HTTP come over TLS', BOUND, async (context) => {
  const { app, port } = serveTls(context);
  assert.equal((await askTls(port, '/none')).status, 404);
  const socket = await connectTls(context, port);
  socket.write('no request at all\r\n\r\n');
  let heard = '';
  for await (const piece of socket) heard += piece;
  assert.match(heard, /^HTTP\/1\.1 400 /);
  await statsWhen(app, ({ gate }) => gate.refused[400] === 1 && gate.refused[404] === 1);
});

test('an acceptor passes connections to an App with TLS', BOUND, async (context) => {
  const { key, cert } = localhost();
  const child = SSLApp({ key, cert });
  addEcho(child);
  const acceptor = App().addChildAppDescriptor(child.getDescriptor());
  context.after(() => acceptor.close());
  context.after(() => child.close());
  const port = us_socket_local_port(await acceptor.listen('127.0.0.1', 0));
  assert.equal((await askTls(port, '/')).text, 'over TLS');
  const client = await connect(context, `wss://127.0.0.1:${port}`, trust());
  client.send('passed');
  assert.equal(await client.text(), 'passed');
});

test('a proxy tells of its client before the handshake', BOUND, async (context) => {
  const { port } = serveTls(context, {}, (app) => {
    app.get('/', (res) => {
      const address = Buffer.from(res.getProxiedRemoteAddressAsText()).toString();
      res.end(`${address} ${res.getProxiedRemotePort()}`);
    });
  });
  const wire = net.connect({ port, host: '127.0.0.1' });
  context.after(() => wire.destroy());
  await once(wire, 'connect');
  // The PROXY protocol, version 2: from 203.0.113.7, port 56,324.
  wire.write(Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071070909090adc0401bb', 'hex'));
  const socket = await connectTls(context, port, { socket: wire, host: '127.0.0.1' });
  socket.write(requestText('GET', '/', ['Connection: close']));
  let heard = '';
  for await (const piece of socket) heard += piece;
  assert.match(heard, /203\.0\.113\.7 56324$/);
});

test('a Unix domain socket speaks TLS, too', {
  ...BOUND,
  skip: process.platform === 'win32',
}, async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const socketPath = path.join(folder, 'app.sock');
  const { key, cert } = localhost();
  const app = SSLApp({ key, cert });
  context.after(() => app.close());
  addEcho(app);
  await app.listen_unix(socketPath);
  const request = https.get({ socketPath, host: 'localhost', path: '/', agent: false, ...trust() });
  const [response] = await once(request, 'response');
  assert.equal((await answerOf(response)).text, 'over TLS');
});
