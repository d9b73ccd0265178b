'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const {
  App,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  us_listen_socket_close,
  us_socket_local_port,
} = require('tidewire');

/** An App that is closed when its test ends. */
function appOf(context, options) {
  const app = App(options);
  context.after(() => app.close());
  return app;
}

/** A port of the loopback that somebody else listens on, until the test ends. */
async function busyPort(context) {
  const server = net.createServer().listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  return server.address().port;
}

test('an App is made with and without new', (context) => {
  for (const app of [appOf(context), new App({ threads: 1 })]) {
    assert.ok(app instanceof App);
    assert.equal(app.constructor.name, 'uWS.App');
    assert.equal(app.constructor, App);
    app.close();
  }
});

test('an App can be extended', (context) => {
  class Chat extends App {
    rooms = [];
  }
  const chat = new Chat();
  context.after(() => chat.close());
  assert.ok(chat instanceof Chat && chat instanceof App);
  assert.deepEqual(chat.rooms, []);
  assert.equal(chat.ws('/', {}), chat);
});

test('an App refuses options that are none', () => {
  assert.throws(() => new App({ threads: 0 }), { name: 'RangeError', code: 'TIDEWIRE_OUT_OF_RANGE' });
  assert.throws(() => App(null), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
});

test('the callback of listen runs before listen returns, with a token', (context) => {
  const app = appOf(context);
  const tokens = [];
  assert.equal(
    app.listen('127.0.0.1', 0, (token) => tokens.push(token)),
    app,
  );
  assert.equal(tokens.length, 1);
  const [token] = tokens;
  assert.ok(Object.isFrozen(token));
  assert.deepEqual(Reflect.ownKeys(token), []);

  const port = us_socket_local_port(token);
  assert.ok(Number.isInteger(port) && port > 0 && port < 65_536);
  us_listen_socket_close(token);
  us_listen_socket_close(token);
  assert.equal(us_socket_local_port(token), port);
});

test('the callback of listen gets false for a busy port', async (context) => {
  const port = await busyPort(context);
  const outcomes = [];
  const app = appOf(context).listen('127.0.0.1', port, (token) => outcomes.push(token));
  app.listen('127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => outcomes.push(token));
  assert.deepEqual(outcomes, [false, false]);
});

test('what the callback of listen throws goes to the caller', (context) => {
  const app = appOf(context);
  const thrown = new Error('from the callback');
  const callback = () => {
    throw thrown;
  };
  assert.throws(
    () => app.listen('127.0.0.1', 0, callback),
    (error) => error === thrown,
  );
});

test('listen without a callback gives a Promise of the token', async (context) => {
  const token = await appOf(context).listen('127.0.0.1', 0);
  assert.ok(us_socket_local_port(token) > 0);
});

test('the Promise of listen is rejected for a busy port', async (context) => {
  const port = await busyPort(context);
  await assert.rejects(appOf(context).listen('127.0.0.1', port), (error) => {
    const { code, syscall, address, port: tried, message } = error;
    assert.deepEqual(
      { code, syscall, address, tried },
      {
        code: 'EADDRINUSE',
        syscall: 'listen',
        address: '127.0.0.1',
        tried: port,
      },
    );
    assert.ok(message.includes(`127.0.0.1:${port}`), message);
    return true;
  });
});

test('a pattern that is none is refused by name', (context) => {
  const app = appOf(context);
  for (const pattern of ['', 'chat', '/*/b', '/:']) {
    assert.throws(
      () => app.ws(pattern, {}),
      ({ name, code, message }) =>
        name === 'RangeError' && code === 'TIDEWIRE_INVALID_PATTERN' && message.includes(`"${pattern}"`),
    );
  }
  assert.equal(app.ws('*', {}), app);
});

test('wrong arguments throw, with a callback and without', (context) => {
  const app = appOf(context);
  const callback = () => assert.fail('called');
  const invalid = { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' };
  assert.throws(() => app.listen('9001', callback), { ...invalid, message: /not '9001'$/ });
  assert.throws(() => app.listen('127.0.0.1'), invalid);
  assert.throws(() => app.ws('/'), invalid);
  assert.throws(() => app.ws('/', { message: 'text' }), invalid);
});

for (const take of [us_listen_socket_close, us_socket_local_port]) {
  test(`${take.name} throws for what is not a token`, () => {
    for (const value of [undefined, null, false, 0, {}, 'token', Object.create(null)]) {
      assert.throws(() => take(value), {
        name: 'TypeError',
        code: 'TIDEWIRE_INVALID_TYPE',
        message: new RegExp(`${take.name}\\(\\) must be the token`),
      });
    }
  });
}

test('a token may be closed after its App', async () => {
  const app = App();
  const token = await app.listen('127.0.0.1', 0);
  app.close();
  us_listen_socket_close(token);
  app.close();
});
