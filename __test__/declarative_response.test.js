'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { App, DeclarativeResponse } = require('tidewire');
const { runScript } = require('./support/child');
const { ask, serveHttp } = require('./support/http');
const { BOUND } = require('./support/server');

/** The answer of a route with a declared response. */
async function answer(context, declare, { pattern = '/*', path = '/', ...options } = {}) {
  const { port } = serveHttp(context, (app) => app.any(pattern, declare(new DeclarativeResponse())));
  return ask(port, path, options);
}

describe('DeclarativeResponse', () => {
  test('has header fields and a body', BOUND, async (context) => {
    const { status, headers, rawHeaders, text } = await answer(context, (declared) =>
      declared
        .writeHeader('X-One', '1')
        .writeHeader('Set-Cookie', 'a')
        .writeHeader(Buffer.from('set-cookie'), 'grün')
        .writeHeader('content-length', '1')
        .write('Hello ')
        .write(Buffer.from('wörld'))
        .end('!'),
    );
    assert.deepEqual([status, headers['x-one'], text], [200, '1', 'Hello wörld!']);
    assert.equal(headers['content-length'], `${Buffer.byteLength('Hello wörld!')}`);
    assert.equal(rawHeaders.filter((name) => /^set-cookie$/i.test(name)).length, 2);
    assert.equal((await answer(context, (declared) => declared.end())).text, '');
  });

  test('has a status', BOUND, async (context) => {
    const { status, phrase, text } = await answer(context, (declared) =>
      declared.write('no ').writeStatus('404 Not Found').writeStatus('200 OK').end('way'),
    );
    assert.deepEqual([status, phrase, text], [404, 'Not Found', 'no way']);
    assert.throws(() => new DeclarativeResponse().writeStatus('101 Switching Protocols'), {
      code: 'TIDEWIRE_INVALID_STATUS',
    });
    assert.throws(() => new DeclarativeResponse().writeStatus('OK'), { code: 'TIDEWIRE_INVALID_STATUS' });
  });

  test('is filled from the request', BOUND, async (context) => {
    const declare = (declared) =>
      declared
        .write('<')
        .writeQueryValue('q')
        .write('|')
        .writeHeaderValue('X-Own')
        .write('|')
        .writeParameterValue('id')
        .write('|')
        .writeBody()
        .end('>');
    const request = { pattern: '/items/:id', path: '/items/7%20?q=a+b%41', method: 'POST' };
    const headers = { 'x-own': 'mine' };
    const { text } = await answer(context, declare, { ...request, headers, body: 'content' });
    assert.equal(text, '<a bA|mine|7%20|content>');
    assert.equal(
      (await answer(context, declare, { pattern: '/items/:id', path: '/items/7' })).text,
      '<||7|>',
    );
  });

  test('has a body of any length', BOUND, async (context) => {
    const body = 'x'.repeat(200_000);
    assert.equal((await answer(context, (declared) => declared.end(body))).text, body);
  });

  test('answers while JavaScript is blocked, for ever so long', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, DeclarativeResponse, us_socket_local_port } = require('tidewire');
      const app = App().get('/', new DeclarativeResponse().end('without JavaScript'));
      app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
      setTimeout(() => {
        console.log('"blocked"');
        for (;;);
      }, 10);
    });
    const port = await child.value();
    assert.equal(await child.value(), 'blocked');
    for (let at = 0; at < 10; at++) assert.equal((await ask(port, '/')).text, 'without JavaScript');
  });

  test('is one route among others: it is replaced, and removed', BOUND, async (context) => {
    const { port, app } = serveHttp(context, (app) => {
      app.get('/', new DeclarativeResponse().end('first')).any('/', (res) => res.end('any'));
    });
    const text = async () => (await ask(port, '/')).text;
    assert.equal(await text(), 'first');
    app.get('/', (res) => res.end('handler'));
    assert.equal(await text(), 'handler');
    app.get('/', new DeclarativeResponse().end('third'));
    assert.equal(await text(), 'third');
    app.get('/', null);
    assert.equal(await text(), 'any');
  });

  test('to HEAD it has no body', BOUND, async (context) => {
    const { headers, text } = await answer(context, (declared) => declared.end('12345'), { method: 'HEAD' });
    assert.deepEqual([headers['content-length'], text], ['5', '']);
  });

  test('can be changed by nothing once it has ended', BOUND, async (context) => {
    const bytes = Buffer.from('mine');
    const declared = new DeclarativeResponse().end(bytes);
    const { port } = serveHttp(context, (app) => app.get('/', declared));
    bytes.fill('x');
    for (const name of ['write', 'writeHeader', 'writeBody', 'writeQueryValue', 'end']) {
      assert.throws(() => declared[name]('a', 'b'), { code: 'TIDEWIRE_DECLARED' });
    }
    assert.throws(() => declared.writeStatus('200 OK'), { code: 'TIDEWIRE_DECLARED' });
    assert.equal((await ask(port, '/')).text, 'mine');
  });

  test('refuses what is none', (context) => {
    const app = App();
    context.after(() => app.close());
    assert.throws(() => app.get('/', new DeclarativeResponse().write('a')), {
      code: 'TIDEWIRE_INVALID_TYPE',
    });
    const declared = new DeclarativeResponse();
    assert.throws(() => declared.writeHeader('a b', 'c'), { code: 'TIDEWIRE_INVALID_HEADER' });
    assert.throws(() => declared.writeHeader('a', 'b\r\nc: d'), { code: 'TIDEWIRE_INVALID_HEADER' });
    assert.throws(() => declared.writeHeaderValue('a b'), { code: 'TIDEWIRE_INVALID_HEADER' });
    assert.throws(() => declared.writeHeader('a', 'b'.repeat(70_000)), { code: 'TIDEWIRE_OUT_OF_RANGE' });
    assert.throws(() => declared.writeQueryValue('b'.repeat(70_000)), { code: 'TIDEWIRE_OUT_OF_RANGE' });
    assert.throws(() => declared.write(1), { code: 'TIDEWIRE_TEXT_OR_DATA' });
  });
});
