'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { App } = require('tidewire');
const WebSocket = require('./support/ws');
const { runScript } = require('./support/child');
const { exchange, opening } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

/** Resolves to 'open', or to the status that the server refused with. */
function outcome(context, port, origin, headers = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { origin, headers });
  context.after(() => socket.terminate());
  return new Promise((resolve) => {
    socket.on('open', () => resolve('open'));
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
    socket.on('error', () => {});
  });
}

/** The outcomes for each origin. */
async function assertOutcomes(context, origins, expected) {
  const { port, events } = observe(context, { origins });
  for (const [origin, wanted, headers] of expected) {
    assert.equal(await outcome(context, port, origin, headers), wanted, `${origin}`);
  }
  const opened = expected.filter(([, wanted]) => wanted === 'open').length;
  await events.take(opened);
  assert.equal(events.all.filter(([name]) => name === 'open').length, opened);
}

describe('origins', () => {
  test('are any by default', BOUND, (context) =>
    assertOutcomes(context, undefined, [
      ['https://anywhere.example', 'open'],
      ['null', 'open'],
      [undefined, 'open'],
    ]),
  );

  test("of 'same' are the host and port that were asked", BOUND, async (context) => {
    const { port } = serve(context, { origins: 'same' });
    for (const [origin, wanted, headers] of [
      [`http://127.0.0.1:${port}`, 'open'],
      [`https://127.0.0.1:${port}`, 'open'],
      ['http://127.0.0.1', 403],
      [`http://localhost:${port}`, 403],
      [`http://127.0.0.1:${port}.evil.example`, 403],
      ['null', 403],
      // Behind a proxy that speaks TLS.
      ['https://example.org', 'open', { Host: 'Example.org' }],
      ['https://example.org', 'open', { Host: 'example.org:443' }],
      ['http://example.org', 403, { Host: 'example.org:443' }],
      [undefined, 'open'],
    ]) {
      assert.equal(await outcome(context, port, origin, headers), wanted, `${origin} ${headers?.Host}`);
    }
  });

  test('of a list are those in it', BOUND, (context) =>
    assertOutcomes(
      context,
      ['https://Example.org:443', 'http://localhost:3000'],
      [
        ['https://example.org', 'open'],
        ['http://LOCALHOST:3000', 'open'],
        ['http://example.org', 403],
        ['https://www.example.org', 403],
        ['http://localhost', 403],
        ['null', 403],
        [undefined, 'open'],
      ],
    ),
  );

  test('of an empty list are none', BOUND, (context) =>
    assertOutcomes(
      context,
      [],
      [
        ['https://example.org', 403],
        [undefined, 'open'],
      ],
    ),
  );

  test('are of one route', BOUND, async (context) => {
    const { app, port } = serve(context, { origins: [] });
    app.ws('/open', {});
    const from = (path) => opening(path).replace('\r\n\r\n', '\r\nOrigin: http://a\r\n\r\n');
    assert.match(await exchange(port, from('/')), /^HTTP\/1.1 403 /);
    assert.match(await exchange(port, from('/open')), /^HTTP\/1.1 101 /);
  });

  test('of a function are those for which it returns true, and nothing else', BOUND, async (context) => {
    const asked = [];
    const answers = { 'http://a': true, 'http://b': false, 'http://c': 1, 'http://d': undefined };
    const { port } = serve(context, {
      origins(origin, req) {
        asked.push([origin, req.getUrl(), req.getHeader('host') !== '']);
        return answers[origin];
      },
    });
    for (const origin of [...Object.keys(answers), undefined]) {
      assert.equal(await outcome(context, port, origin), origin && origin !== 'http://a' ? 403 : 'open');
    }
    assert.deepEqual(
      asked,
      Object.keys(answers).map((origin) => [origin, '/', true]),
    );
    assert.equal(await outcome(context, port, undefined, { Origin: ['http://a', 'http://a'] }), 403);
    assert.equal(asked.length, Object.keys(answers).length);
  });

  test('of a function are asked before the upgrade handler', BOUND, async (context) => {
    let upgrades = 0;
    const { port } = serve(context, {
      origins: (origin) => origin === 'http://a',
      upgrade(res, req, socketContext) {
        upgrades++;
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', socketContext);
      },
    });
    assert.equal(await outcome(context, port, 'http://b'), 403);
    assert.equal(upgrades, 0);
    assert.equal(await outcome(context, port, 'http://a'), 'open');
    assert.equal(upgrades, 1);
  });

  test('of a function keep the subprotocol that is the default', BOUND, async (context) => {
    const { url } = serve(context, { origins: () => true });
    const socket = new WebSocket(url, ['chat', 'other'], { origin: 'http://a' });
    context.after(() => socket.terminate());
    await new Promise((resolve) => socket.on('open', resolve));
    assert.equal(socket.protocol, 'chat');
  });

  test('of a function that throws answer 500, and of an async one 403', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      process.on('uncaughtException', (error) => console.log(JSON.stringify(error.code ?? error.message)));
      const throws = () => {
        throw new Error('thrown');
      };
      App()
        .ws('/throws', { origins: throws })
        .ws('/async', { origins: async () => true })
        .listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
    });
    const port = Number(await child.line());
    assert.equal(await outcome(context, `${port}/throws`, 'http://a'), 500);
    assert.equal(JSON.parse(await child.line()), 'thrown');
    assert.equal(await outcome(context, `${port}/async`, 'http://a'), 403);
    assert.equal(JSON.parse(await child.line()), 'TIDEWIRE_INVALID_TYPE');
  });

  test('that are refused get a sentence, and the connection ends', BOUND, async (context) => {
    const { app, port } = serve(context, { origins: 'same' });
    for (const lines of ['Origin: http://a', 'Origin: http://localhost\r\nOrigin: http://localhost']) {
      const answer = await exchange(port, opening().replace('\r\n\r\n', `\r\n${lines}\r\n\r\n`));
      assert.match(answer, /^HTTP\/1.1 403 Forbidden\r\n/);
      assert.match(answer, /\r\nconnection: close\r\n/);
      assert.match(answer, /\r\n\r\npages of this origin may not open a WebSocket here$/);
    }
    assert.deepEqual(app.stats().gate.refused, { 403: 2 });
  });

  for (const bad of [
    'example.org',
    'https://example.org/',
    'https://*.example.org',
    'null',
    '*',
    '',
    'http://a:x',
  ]) {
    test(`throw for ${JSON.stringify(bad)}`, () => {
      assert.throws(
        () => App().ws('/*', { origins: ['https://example.org', bad] }),
        (error) => {
          assert.equal(error.name, 'RangeError');
          assert.equal(error.code, 'TIDEWIRE_OUT_OF_RANGE');
          assert.ok(error.message.includes(`not ${JSON.stringify(bad)}`), error.message);
          return true;
        },
      );
    });
  }
});
