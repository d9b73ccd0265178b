'use strict';

/** The methods of an App, as far as WebSockets need them: a test for each promise. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const {
  App,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  us_listen_socket_close,
  us_socket_local_port,
} = require('tidewire');
const { connect } = require('../support/client');
const { nextClose, pair } = require('../support/pair');
const { exchange, opening } = require('../support/raw_client');
const { BOUND, observe, serve } = require('../support/server');

/** An App that is closed with the test. */
function appOf(context) {
  const app = App();
  context.after(() => app.close());
  return app;
}

/** What the callback of `listen` gets. */
function listening(app, ...values) {
  const given = [];
  app.listen(...values, (token) => given.push(token));
  assert.equal(given.length, 1, 'the callback runs once, before listen returns');
  return given[0];
}

/** The pattern that answers a path, or the status of a refusal. */
async function answering(context, port, path) {
  try {
    return await (await connect(context, `ws://127.0.0.1:${port}${path}`)).text();
  } catch (error) {
    return Number(/\d{3}$/.exec(error.message)?.[0]);
  }
}

describe('App', () => {
  test('ws and listen and close chain', (context) => {
    const app = appOf(context);
    assert.equal(
      app
        .ws('/a', {})
        .listen('127.0.0.1', 0, () => {})
        .close(),
      app,
    );
  });

  test('listen([host,] port, [options,] callback)', (context) => {
    const forms = [
      [0],
      [0, 0],
      ['127.0.0.1', 0],
      ['127.0.0.1', 0, LIBUS_LISTEN_EXCLUSIVE_PORT],
      [undefined, 0],
    ];
    const app = appOf(context);
    for (const form of forms) assert.ok(us_socket_local_port(listening(app, ...form)) > 0);
  });

  test('the listen callback runs before listen returns, with a token, or false for a busy port', async (context) => {
    const other = net.createServer().listen(0, '127.0.0.1');
    context.after(() => other.close());
    await once(other, 'listening');
    const app = appOf(context);
    assert.equal(listening(app, '127.0.0.1', other.address().port), false);
    assert.equal(typeof listening(app, '127.0.0.1', 0), 'object');
  });

  test('without a host it binds dual-stack', BOUND, async (context) => {
    const app = appOf(context).ws('/*', {});
    const port = us_socket_local_port(listening(app, 0));
    for (const host of ['127.0.0.1', '[::1]']) await connect(context, `ws://${host}:${port}`);
  });

  test('without LIBUS_LISTEN_EXCLUSIVE_PORT, SO_REUSEPORT on Linux', {
    skip: process.platform !== 'linux',
  }, (context) => {
    const port = us_socket_local_port(listening(appOf(context), '127.0.0.1', 0));
    assert.ok(listening(appOf(context), '127.0.0.1', port));
    assert.equal(listening(appOf(context), '127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT), false);
  });

  test('listen without a callback returns a Promise', BOUND, async (context) => {
    const token = await appOf(context).listen('127.0.0.1', 0);
    const busy = appOf(context).listen('127.0.0.1', us_socket_local_port(token), LIBUS_LISTEN_EXCLUSIVE_PORT);
    await assert.rejects(busy, { code: 'EADDRINUSE' });
  });

  test('publish(topic, message, isBinary?, compress?) → boolean', BOUND, async (context) => {
    const { app, ws, client } = await pair(context);
    assert.equal(app.publish('news', 'x'), false);
    ws.subscribe('news');
    assert.equal(app.publish('news', 'text'), true);
    assert.equal(app.publish('news', 'bytes', true, true), true);
    assert.deepEqual(await client.messages.take(2), [
      [Buffer.from('text'), false],
      [Buffer.from('bytes'), true],
    ]);
  });

  test('numSubscribers(topic)', BOUND, async (context) => {
    const { app, ws } = await pair(context);
    assert.equal(app.numSubscribers('news'), 0);
    ws.subscribe('news');
    assert.equal(app.numSubscribers('news'), 1);
    ws.close();
    assert.equal(app.numSubscribers('news'), 0);
  });

  test(
    'us_listen_socket_close closes the listener alone; a wrong argument throws',
    BOUND,
    async (context) => {
      const { url, token, ws, client } = await pair(context);
      us_listen_socket_close(token);
      await assert.rejects(connect(context, url));
      ws.send('still here');
      assert.equal(await client.text(), 'still here');
      for (const wrong of [undefined, null, false, 0, {}, 'token']) {
        assert.throws(() => us_listen_socket_close(wrong), {
          name: 'TypeError',
          code: 'TIDEWIRE_INVALID_TYPE',
        });
      }
    },
  );

  test('close() force-closes everything: sockets see 1006', BOUND, async (context) => {
    const { app, client, events, url } = await pair(context);
    app.close();
    assert.deepEqual(await nextClose(events), [1006, '']);
    assert.equal((await client.closed).code, 1006);
    await assert.rejects(connect(context, url));
  });

  test(
    'routing: static, then :param, then *, segment by segment, whatever the order',
    BOUND,
    async (context) => {
      const app = appOf(context);
      for (const pattern of ['/*', '/r/*', '/r/:a', '/r/static', '/r/:a/x', '/r/static/*']) {
        app.ws(pattern, { open: (ws) => ws.send(pattern) });
      }
      const port = us_socket_local_port(listening(app, '127.0.0.1', 0));
      const expected = {
        '/r/static': '/r/static',
        '/r/other': '/r/:a',
        '/r/static/x': '/r/static/*',
        '/r/other/x': '/r/:a/x',
        '/r/other/y': '/r/*',
        '/elsewhere/at/all': '/*',
        // An empty segment never matches a parameter, and '/r/static/' is not '/r/static'.
        '/r/': '/r/*',
        '/r/static/': '/r/static/*',
      };
      for (const [path, pattern] of Object.entries(expected)) {
        assert.equal(await answering(context, port, path), pattern, path);
      }
    },
  );

  test('routing: no percent-decoding of parameters', BOUND, async (context) => {
    const seen = [];
    const { url } = serve(
      context,
      {
        upgrade: (res, req, token) => {
          seen.push(req.getParameter(0), req.getParameter('name'));
          res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', token);
        },
      },
      { pattern: '/users/:name' },
    );
    await connect(context, `${url}/users/a%20b%2Fc`);
    assert.deepEqual(seen, ['a%20b%2Fc', 'a%20b%2Fc']);
  });

  test('routing: setYield(true) goes on to the next match', BOUND, async (context) => {
    const app = appOf(context)
      .ws('/a/b', { upgrade: (_res, req) => req.setYield(true) })
      .ws('/a/*', { open: (ws) => ws.send('/a/*') });
    const port = us_socket_local_port(listening(app, '127.0.0.1', 0));
    assert.equal(await answering(context, port, '/a/b'), '/a/*');
  });

  test('routing: nothing matches, 404', BOUND, async (context) => {
    const { port } = serve(context, {}, { pattern: '/a' });
    for (const path of ['/', '/a/', '/b', '/a/b']) {
      assert.equal(await answering(context, port, path), 404, path);
    }
    assert.match(await exchange(port, opening('/nowhere')), /^HTTP\/1\.1 404 /);
  });

  test('the same pattern again replaces', BOUND, async (context) => {
    const { app, port, events } = observe(context, { open: (ws) => ws.send('first') }, { pattern: '/a' });
    assert.equal(await answering(context, port, '/a'), 'first');
    app.ws('/a', { open: (ws) => ws.send('second') });
    assert.equal(await answering(context, port, '/a'), 'second');
    assert.equal(events.all.filter(([name]) => name === 'open').length, 1);
  });

  test('a handler that is no function throws', (context) => {
    const app = appOf(context);
    assert.throws(() => app.ws('/a', { open: 1 }), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
    assert.equal(app.ws('/a', { open: null, close: undefined }), app);
  });
});
