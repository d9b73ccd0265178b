'use strict';

/** The configurations of docs/guide/proxies.md, as they stand there: only ports and files are those of the test. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { chmodSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { App, SSLApp, us_socket_local_port } = require('tidewire');
const { filesOf, localhost } = require('../support/certificates');
const { connect, refusal } = require('../support/client');
const { adapt, blocksOf } = require('../support/documents');
const { speak } = require('../support/http');
const { freePort, startProxy } = require('../support/proxy');
const { lacking } = require('../support/requirements');
const { BOUND } = require('../support/server');
const { askTls, trust } = require('../support/tls');

const BLOCKS = blocksOf('docs/guide/proxies.md');
const [nginx] = textsOf('nginx');
const [passing, speaking] = textsOf('haproxy');
const [caddy] = textsOf('caddy');

/** Clients of several addresses are had on Linux alone, without setting any up. */
const skipped = (program) => ({ ...BOUND, skip: lacking('linux', program) });

function textsOf(language) {
  return BLOCKS.filter((block) => block.language === language).map(({ text }) => text);
}

/** An echo that tells first whom the proxy speaks for, beside HTTP. An address may have two connections. */
async function serve(context, App, options, where = ['127.0.0.1', 0]) {
  const app = App({ maxConnectionsPerAddress: 2, textType: 'string', ...options });
  context.after(() => app.close());
  app
    .ws('/*', {
      origins: 'same',
      upgrade: (res, req, socket) => {
        const proxied = Buffer.from(res.getProxiedRemoteAddressAsText()).toString();
        const told = { forwarded: req.getHeader('x-forwarded-for'), proxied };
        res.upgrade({ told }, req.getHeader('sec-websocket-key'), '', '', socket);
      },
      open: (ws) => ws.send(JSON.stringify(ws.told)),
      message: (ws, message, isBinary) => ws.send(message, isBinary),
    })
    .get('/health', (res) => res.end('up'));
  const token = await (typeof where === 'string' ? app.listen_unix(where) : app.listen(...where));
  return { app, port: us_socket_local_port(token) };
}

/** What each proxy must do: an echo both ways, whoever it is for, and no more than two for an address. */
async function assertServes(context, url, toldOf) {
  const from = (localAddress, headers = {}) => ({ ...trust(), localAddress, headers });
  const clients = [];
  for (const address of ['127.0.0.2', '127.0.0.2', '127.0.0.3']) {
    // What a client claims is nobody's word.
    const client = await connect(context, url, from(address, { 'X-Forwarded-For': '192.0.2.1' }));
    assert.deepEqual(toldOf(JSON.parse(await client.text())), address);
    client.send('hello', Buffer.alloc(10_000, 7));
    const [[text, isBinary], [data, isData]] = await client.messages.take(2);
    assert.deepEqual([text.toString(), isBinary, data.length, isData], ['hello', false, 10_000, true]);
    clients.push(client);
  }
  assert.equal((await refusal(url, from('127.0.0.2'))).status, 429);
  const { host, protocol } = new URL(url);
  const page = (origin) => from('127.0.0.4', { Origin: origin });
  await connect(context, url, page(`${protocol.replace('ws', 'http')}//${host}`));
  assert.equal((await refusal(url, page('https://elsewhere.example'))).status, 403);
  clients[0].socket.close(4000, 'enough');
  assert.equal((await clients[0].closed).code, 4000);
}

/** Where nginx keeps what does not fit its buffers. */
const temporary = (folder) =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`);

for (const by of ['TCP', 'a Unix domain socket']) {
  test(`nginx, by ${by}`, skipped('nginx'), async (context) => {
    const { key, cert } = localhost();
    const files = filesOf(context, { key, cert, configuration: '' });
    const folder = path.dirname(files.key);
    const socket = path.join(folder, 'app.sock');
    const { port } =
      by === 'TCP'
        ? await serve(context, App, { trustProxy: ['127.0.0.1'] })
        : await serve(context, App, { trustProxy: ['unix'] }, socket);
    // nginx's workers are those of another user, where the test is root's.
    chmodSync(folder, 0o755);
    if (by !== 'TCP') chmodSync(socket, 0o777);
    const entrance = await freePort();
    const text = adapt(nginx, {
      'http {\n': `http {\n${temporary(folder).join('\n')}\n`,
      '/etc/letsencrypt/live/example.org/fullchain.pem': files.cert,
      '/etc/letsencrypt/live/example.org/privkey.pem': files.key,
      'server 127.0.0.1:9001;': by === 'TCP' ? `server 127.0.0.1:${port};` : `server unix:${socket};`,
      'listen 443 ssl;': `listen 127.0.0.1:${entrance} ssl;`,
    });
    const { configuration } = filesOf(context, { configuration: text });
    const command = ['nginx', '-p', folder, '-e', 'stderr', '-c', configuration];
    await startProxy(context, [...command, '-g', `daemon off; pid ${folder}/pid;`], entrance);
    await assertServes(context, `wss://127.0.0.1:${entrance}`, ({ forwarded }) => forwarded);
    assert.equal((await askTls(entrance, '/health')).text, 'up');
  });
}

test('what nginx says of the PROXY protocol, its version 1, is refused', BOUND, async (context) => {
  const { port } = await serve(context, App, { trustProxy: ['127.0.0.1'] });
  const speaker = await speak(context, port, 'PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n');
  assert.match(await speaker.all(), /^HTTP\/1\.1 400 /);
});

test(
  'HAProxy passes TLS on, and tells by the PROXY protocol for whom',
  skipped('haproxy'),
  async (context) => {
    const { key, cert } = localhost();
    const options = { key, cert, trustProxy: ['127.0.0.1'] };
    const one = await serve(context, SSLApp, options);
    const two = await serve(context, SSLApp, options);
    const entrance = await freePort();
    const text = adapt(passing, {
      'maxconn 100000': 'maxconn 1000',
      'bind :443': `bind 127.0.0.1:${entrance}`,
      '10.0.0.11:9001': `127.0.0.1:${one.port}`,
      '10.0.0.12:9001': `127.0.0.1:${two.port}`,
    });
    const { configuration } = filesOf(context, { configuration: text });
    await startProxy(context, ['haproxy', '-db', '-f', configuration], entrance);
    const url = `wss://127.0.0.1:${entrance}`;
    const from = (localAddress) => ({ ...trust(), localAddress });
    // Two machines that have two each.
    for (let at = 0; at < 4; at++) {
      const client = await connect(context, url, from('127.0.0.2'));
      assert.deepEqual(JSON.parse(await client.text()), { forwarded: '', proxied: '127.0.0.2' });
      client.send('hello');
      assert.equal(await client.text(), 'hello');
    }
    const opened = [one, two].map(({ app }) => app.stats().opened);
    assert.deepEqual(opened, [2, 2]);
    // A client that is one too many is closed before the handshake; others are served.
    await assert.rejects(connect(context, url, from('127.0.0.2')));
    await connect(context, url, from('127.0.0.3'));
  },
);

test('HAProxy ends TLS, and has other services beside', skipped('haproxy'), async (context) => {
  const { key, cert } = localhost();
  const { port } = await serve(context, App, { trustProxy: ['127.0.0.1'] });
  const pages = http.createServer((_, response) => response.end('a page')).listen(0, '127.0.0.1');
  context.after(() => pages.close().closeAllConnections());
  await once(pages, 'listening');
  const entrance = await freePort();
  const { both } = filesOf(context, { both: `${key}\n${cert}` });
  const text = adapt(speaking, {
    'maxconn 100000': 'maxconn 1000',
    'bind :443 ssl crt /etc/haproxy/example.org.pem': `bind 127.0.0.1:${entrance} ssl crt ${both}`,
    '127.0.0.1:9001': `127.0.0.1:${port}`,
    '127.0.0.1:8080': `127.0.0.1:${pages.address().port}`,
  });
  const { configuration } = filesOf(context, { configuration: text });
  await startProxy(context, ['haproxy', '-db', '-f', configuration], entrance);
  await assertServes(context, `wss://127.0.0.1:${entrance}/chat`, ({ forwarded }) => forwarded);
  assert.equal((await askTls(entrance, '/')).text, 'a page');
});

test('Caddy', skipped('caddy'), async (context) => {
  const { port } = await serve(context, App, { trustProxy: ['127.0.0.1'] });
  const entrance = await freePort();
  // Without its own ports for administration and for redirections, and without a certificate.
  const own = `{\n\tadmin off\n\tauto_https off\n}\nhttp://127.0.0.1:${entrance} {`;
  const text = adapt(caddy, { 'example.org {': own, '127.0.0.1:9001': `127.0.0.1:${port}` });
  const { configuration } = filesOf(context, { configuration: text });
  const home = path.dirname(configuration);
  const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', configuration];
  await startProxy(context, command, entrance, { XDG_CONFIG_HOME: home, XDG_DATA_HOME: home });
  await assertServes(context, `ws://127.0.0.1:${entrance}`, ({ forwarded }) => forwarded);
});
