'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { requestText, serveHttp, speak } = require('./support/http');
const { opening } = require('./support/raw_client');
const { BOUND, text } = require('./support/server');

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header of the PROXY protocol, version 2: command and family, and what they mean. */
function proxied(command, family, addresses) {
  const head = Buffer.from([0x20 | command, family, addresses.length >>> 8, addresses.length & 0xff]);
  return Buffer.concat([SIGNATURE, head, addresses]);
}

/** Addresses and ports of source and destination. */
function addresses(source, port) {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port, 0);
  ports.writeUInt16BE(80, 2);
  return Buffer.concat([source, Buffer.alloc(source.length, 9), ports]);
}

const V4 = addresses(Buffer.from([203, 0, 113, 7]), 56_324);
const V6_SOURCE = Buffer.from('20010db8000000000000000000000001', 'hex');
const V6 = addresses(V6_SOURCE, 443);

/** What a handler knows of the client, as text. */
const whoIs = (res) =>
  [
    Buffer.from(res.getProxiedRemoteAddress()).toString('hex'),
    text(res.getProxiedRemoteAddressAsText()),
    res.getProxiedRemotePort(),
    text(res.getRemoteAddressAsText()),
  ].join(' ');

/** The answer to a request behind such a header. */
async function answer(context, header) {
  const { port } = serveHttp(context, (app) => app.get('/', (res) => res.end(`${whoIs(res)};`)));
  const speaker = await speak(context, port, Buffer.concat([header, Buffer.from(requestText('GET', '/'))]));
  const all = await speaker.hear(';');
  return all.slice(all.indexOf('\r\n\r\n') + 4, -1);
}

test('getProxiedRemoteAddress, …AsText and getProxiedRemotePort, IPv4', BOUND, async (context) => {
  assert.equal(await answer(context, proxied(1, 0x11, V4)), 'cb007107 203.0.113.7 56324 127.0.0.1');
});

test('the same for IPv6', BOUND, async (context) => {
  const expected = `${V6_SOURCE.toString('hex')} 2001:0db8:0000:0000:0000:0000:0000:0001 443 127.0.0.1`;
  assert.equal(await answer(context, proxied(1, 0x21, V6)), expected);
});

test('IPv6 addresses of every form', BOUND, async (context) => {
  for (const hex of [
    '00000000000000000000000000000000',
    '00000000000000000000000000000001',
    '00000000000000000000ffff01020304',
    '00000000000000000000000001020304',
    'fe80000000000000aaaabbbbccccdddd',
    'ffffffffffffffffffffffffffffffff',
    '00010000000000000000000000000000',
    '00010002000300040005000600070000',
  ]) {
    const [seen] = (await answer(context, proxied(1, 0x21, addresses(Buffer.from(hex, 'hex'), 1)))).split(
      ' ',
    );
    assert.equal(seen, hex);
  }
});

test('without a proxy they are empty, and so they are for its own connections', BOUND, async (context) => {
  assert.equal(await answer(context, Buffer.alloc(0)), '  0 127.0.0.1');
  assert.equal(await answer(context, proxied(0, 0, Buffer.alloc(0))), '  0 127.0.0.1');
});

test('are the same for all requests of the connection', BOUND, async (context) => {
  const { port } = serveHttp(context, (app) => app.get('/', (res) => res.end(`${whoIs(res)};`)));
  const speaker = await speak(context, port, proxied(1, 0x11, V4));
  for (let at = 0; at < 3; at++) await speaker.say(requestText('GET', '/')).hear('203.0.113.7 56324');
});

test('no header of the request passes for it', BOUND, async (context) => {
  const { port } = serveHttp(context, (app) => app.get('/', (res) => res.end(`${whoIs(res)};`)));
  const speaker = await speak(context, port, requestText('GET', '/', [':proxied: 1.2.3.4 5']));
  assert.match(await speaker.hear('\r\n\r\n'), /^HTTP\/1\.1 400 /);
});

test('an upgrade handler knows it, too', BOUND, async (context) => {
  const { port } = serveHttp(context, (app) => {
    app.ws('/*', { upgrade: (res) => res.writeStatus('403 Forbidden').end(`${whoIs(res)};`) });
  });
  const speaker = await speak(
    context,
    port,
    Buffer.concat([proxied(1, 0x11, V4), Buffer.from(opening('/'))]),
  );
  assert.match(await speaker.hear(';'), /203\.0\.113\.7 56324/);
});
