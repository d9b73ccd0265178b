'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { ask, requestText, serveHttp, speak } = require('./support/http');
const { BOUND } = require('./support/server');

/** What a handler sees of one request. */
async function seen(context, { path = '/', pattern = '/*', method = 'GET', lines }, look) {
  let value;
  const { port } = serveHttp(context, (app) => {
    app.any(pattern, (res, req) => {
      value = look(req, res);
      res.end();
    });
  });
  const speaker = await speak(
    context,
    port,
    requestText(method, path, [...(lines ?? []), 'Connection: close']),
  );
  assert.match(await speaker.all(), /^HTTP\/1\.1 200 /);
  return value;
}

describe('HttpRequest', () => {
  test('is named as in uWebSockets.js, and so is HttpResponse', BOUND, async (context) => {
    const names = await seen(context, {}, (req, res) => [req.constructor.name, res.constructor.name]);
    assert.deepEqual(names, ['uWS.HttpRequest', 'uWS.HttpResponse']);
  });

  test('getHeader(lowercase), "" if missing', BOUND, async (context) => {
    const lines = ['X-Own: one', 'x-own: two', 'X-Empty:', 'X-Colon: a:b', 'http: //trap', 'X-Text: grüße'];
    const names = ['host', 'x-own', 'x-empty', 'x-colon', 'http', 'x-text', 'x-ow', 'none', '', ':proxied'];
    const path = 'http://localhost/http:a';
    const values = await seen(context, { path, lines }, (req) => names.map((name) => req.getHeader(name)));
    assert.deepEqual(values, ['localhost', 'one', '', 'a:b', '//trap', 'grüße', '', '', '', '']);
  });

  test('getParameter(index | name)', BOUND, async (context) => {
    const which = [0, 1, 2, -1, 'room', 'user', 'rooms', Buffer.from('room')];
    const place = { pattern: '/rooms/:room/:user/*', path: '/rooms/a%2Fb/joe/x?/y' };
    const values = await seen(context, place, (req) => which.map((key) => req.getParameter(key)));
    assert.deepEqual(values, ['a%2Fb', 'joe', undefined, undefined, 'a%2Fb', 'joe', undefined, 'a%2Fb']);
  });

  test('getUrl', BOUND, async (context) => {
    const url = (req) => req.getUrl();
    assert.equal(await seen(context, { path: '/a/b%20c/?d=/e' }, url), '/a/b%20c/');
    assert.equal(await seen(context, { path: '/?' }, url), '/');
    assert.equal(await seen(context, { path: 'http://host.example/a?b' }, url), '/a');
  });

  test('getMethod (lower case), getCaseSensitiveMethod', BOUND, async (context) => {
    const methods = (req) => [req.getMethod(), req.getCaseSensitiveMethod()];
    assert.deepEqual(await seen(context, { method: 'DELETE' }, methods), ['delete', 'DELETE']);
    assert.deepEqual(await seen(context, { method: 'Mixed' }, methods), ['mixed', 'Mixed']);
  });

  test('getQuery(), getQuery(key) (decoded; undefined if missing)', BOUND, async (context) => {
    const path = '/?a=1&b=x+y%20z&c&a=2&f=%E4%BD%A0';
    const look = (req) => [req.getQuery(), ...['a', 'b', 'c', 'f', 'none'].map((key) => req.getQuery(key))];
    assert.deepEqual(await seen(context, { path }, look), [path.slice(2), '1', 'x y z', '', '你', undefined]);
    assert.deepEqual(await seen(context, {}, (req) => [req.getQuery(), req.getQuery('a')]), ['', undefined]);
  });

  test('forEach', BOUND, async (context) => {
    const lines = await seen(context, { lines: ['A-b: 1', 'a-B: 2'] }, (req) => {
      const all = [];
      req.forEach((name, value) => {
        all.push(`${name}: ${value}`);
      });
      assert.throws(() => req.forEach(), { code: 'TIDEWIRE_INVALID_TYPE' });
      return all;
    });
    assert.deepEqual(lines.sort(), ['a-b: 1', 'a-b: 2', 'connection: close', 'host: localhost']);
  });

  test('is valid ever after, and extensible', BOUND, async (context) => {
    const kept = [];
    const { port } = serveHttp(context, (app) => {
      app.get('/:a', (res, req) => {
        req.mine = req.getUrl();
        kept.push(req);
        res.end();
      });
    });
    for (let number = 0; number < 200; number++) await ask(port, `/${number}?q=${number}`);
    for (const [number, req] of kept.entries()) {
      assert.equal(req.mine, `/${number}`);
      assert.deepEqual([req.getQuery('q'), req.getParameter(0)], [`${number}`, `${number}`]);
      assert.match(req.getHeader('host'), /^127\.0\.0\.1:/);
    }
    assert.equal(kept.length, 200);
  });
});
