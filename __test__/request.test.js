'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { opening } = require('./support/raw_client');
const { BOUND, serve } = require('./support/server');

const REFUSED = /^HTTP\/1\.1 204 /;

/** The answer to bytes, up to the end of its head. The client is there until then. */
async function answerTo(context, port, bytes) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(bytes);
  let answer = '';
  for await (const piece of socket) {
    answer += piece;
    if (answer.includes('\r\n\r\n')) break;
  }
  return answer;
}

/** The opening handshake with more header lines. */
function request(path, lines = []) {
  return opening(path).replace(/\r\n$/, `${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

/** What a handler sees of one request. */
async function seen(context, { path = '/', pattern = '/*', lines }, look) {
  let value;
  const upgrade = (res, req) => {
    value = look(req, res);
    res.writeStatus('204 No Content').end();
  };
  const { port } = serve(context, { upgrade }, { pattern });
  assert.match(await answerTo(context, port, request(path, lines)), REFUSED);
  return value;
}

describe('HttpRequest', () => {
  test('is named as in uWebSockets.js', BOUND, async (context) => {
    assert.equal(await seen(context, {}, (req) => req.constructor.name), 'uWS.HttpRequest');
    assert.equal(await seen(context, {}, (_, res) => res.constructor.name), 'uWS.HttpResponse');
  });

  test('getMethod and getCaseSensitiveMethod', BOUND, async (context) => {
    const methods = (req) => [req.getMethod(), req.getCaseSensitiveMethod()];
    assert.deepEqual(await seen(context, {}, methods), ['get', 'GET']);
  });

  test('getUrl is the path', BOUND, async (context) => {
    const url = (req) => req.getUrl();
    assert.equal(await seen(context, { path: '/a/b%20c/?d=/e' }, url), '/a/b%20c/');
    assert.equal(await seen(context, { path: '/?' }, url), '/');
    assert.equal(await seen(context, { path: 'http://host.example/a?b' }, url), '/a');
  });

  test('getHeader', BOUND, async (context) => {
    const lines = ['X-Own: one', 'x-own: two', 'X-Empty:', 'X-Colon: a:b, "c"', 'X-Text: grüße'];
    const look = (req) =>
      ['host', 'x-own', 'X-OWN', 'x-empty', 'x-colon', 'x-text', 'x-ow', 'none', ''].map((name) =>
        req.getHeader(name),
      );
    const values = ['localhost', 'one', 'one', '', 'a:b, "c"', 'grüße', '', '', ''];
    assert.deepEqual(await seen(context, { lines }, look), values);
    assert.equal(await seen(context, {}, (req) => req.getHeader(Buffer.from('host'))), 'localhost');
  });

  test('forEach has every line', BOUND, async (context) => {
    const lines = await seen(context, { lines: ['A-b: 1', 'a-B: 2'] }, (req) => {
      const all = [];
      req.forEach((name, value) => {
        all.push(`${name}: ${value}`);
      });
      assert.throws(() => req.forEach('no function'), { code: 'TIDEWIRE_INVALID_TYPE' });
      return all;
    });
    assert.deepEqual(lines.filter((line) => line.startsWith('a-b')).sort(), ['a-b: 1', 'a-b: 2']);
    assert.ok(lines.includes('upgrade: websocket') && lines.includes('sec-websocket-version: 13'));
    assert.equal(lines.length, 7);
  });

  test('getParameter by place and by name', BOUND, async (context) => {
    const look = (req) =>
      [0, 1, 2, -1, 'room', 'user', 'rooms', ':room'].map((which) => req.getParameter(which));
    const place = { pattern: '/rooms/:room/users/:user/*', path: '/rooms/a%2Fb/users/joe/x/y' };
    const [none, values] = [undefined, ['a%2Fb', 'joe']];
    assert.deepEqual(await seen(context, place, look), [...values, none, none, ...values, none, none]);
    assert.equal(await seen(context, { pattern: '*', path: '/a' }, (req) => req.getParameter(0)), undefined);
    const twice = { pattern: '/:a/:a', path: '/1/2' };
    assert.deepEqual(await seen(context, twice, (req) => [req.getParameter('a'), req.getParameter(1)]), [
      '1',
      '2',
    ]);
  });

  test('getQuery in whole and by key', BOUND, async (context) => {
    const path = '/?a=1&b=x+y%20z&c&d=&a=2&=e&f=%E4%BD%A0&g=%zz%41%&h%20=i&__proto__=j';
    const look = (req) => [
      req.getQuery(),
      ...['a', 'b', 'c', 'd', '', 'f', 'g', 'h%20', 'h ', '__proto__', 'none'].map((key) =>
        req.getQuery(key),
      ),
    ];
    const values = ['1', 'x y z', '', '', undefined, '你', '%zzA%', 'i', undefined, 'j', undefined];
    assert.deepEqual(await seen(context, { path }, look), [path.slice(2), ...values]);
    assert.deepEqual(await seen(context, {}, (req) => [req.getQuery(), req.getQuery('a')]), ['', undefined]);
  });

  test('is valid ever after, and extensible', BOUND, async (context) => {
    let kept;
    const upgrade = (res, req) => {
      req.mine = { any: 'thing' };
      kept = req;
      res.onAborted(() => {});
      setTimeout(() => res.writeStatus('204 No Content').end(req.getHeader('x-own')), 5);
    };
    const { port } = serve(context, { upgrade }, { pattern: '/:a' });
    assert.match(await answerTo(context, port, request('/b?c=d', ['X-Own: 1'])), REFUSED);
    for (let more = 0; more < 200; more++) await answerTo(context, port, request('/other?z=z', ['X-Own: 2']));
    const first = kept;
    assert.equal(first.getHeader('x-own'), '2');
    assert.deepEqual(first.mine, { any: 'thing' });
    assert.deepEqual(
      [first.getUrl(), first.getQuery('z'), first.getParameter('a')],
      ['/other', 'z', 'other'],
    );
  });

  test('setYield leaves the request to the next route', BOUND, async (context) => {
    const order = [];
    const yields = (name) => ({
      upgrade: (res, req) => {
        order.push(name);
        assert.equal(req.setYield(true), req);
        void res;
      },
    });
    const { app, port } = serve(context, yields('static'), { pattern: '/a/b' });
    app.ws('/a/:x', yields('parameter'));
    assert.match(await answerTo(context, port, request('/a/b')), /^HTTP\/1\.1 404 /);
    app.ws('/*', {
      upgrade: (res, req) => {
        req.setYield(true).setYield(false);
        res.end(`${req.getParameter(0)}`);
      },
    });
    assert.match(await answerTo(context, port, request('/a/b')), /^HTTP\/1\.1 200 /);
    assert.deepEqual(order, ['static', 'parameter', 'static', 'parameter']);
    // A route without a handler takes it as it takes any.
    app.ws('/*', {});
    assert.match(await answerTo(context, port, request('/a/b')), /^HTTP\/1\.1 101 /);
  });

  test('has no more than a head may have', BOUND, async (context) => {
    const long = 'x'.repeat(15_000);
    assert.equal(await seen(context, { lines: [`X-Long: ${long}`] }, (req) => req.getHeader('x-long')), long);
  });
});
