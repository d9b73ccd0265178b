'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { networkInterfaces, tmpdir } = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const {
  App,
  LIBUS_LISTEN_DEFAULT,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  us_listen_socket_close,
  us_socket_local_port,
} = require('tidewire');
const { runLimited, runScript } = require('./support/child');
const { connect } = require('./support/client');
const { Queue } = require('./support/queue');
const { PONG, TEXT, PING, connectRaw, exchange, frame, opening } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

const echo = (ws, message, isBinary) => ws.send(message, isBinary);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Whether somebody accepts connections there. */
async function isListening(port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const accepted = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return accepted;
}

describe('listen', () => {
  test('calls back before it returns, with the token of a free port', BOUND, async (context) => {
    const app = App();
    context.after(() => app.close());
    const seen = [];
    app.listen('127.0.0.1', 0, (token) => seen.push(us_socket_local_port(token)));
    seen.push('returned');
    assert.equal(seen[1], 'returned');
    assert.ok(await isListening(seen[0]));
  });

  test('gives false for a port that is busy', BOUND, async (context) => {
    const server = net.createServer().listen(0, '127.0.0.1');
    context.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address();
    const app = App();
    context.after(() => app.close());
    for (const options of [LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT]) {
      const outcomes = [];
      app.listen('127.0.0.1', port, options, (token) => outcomes.push(token));
      assert.deepEqual(outcomes, [false]);
    }
    const failed = { code: 'EADDRINUSE', syscall: 'listen', port };
    await assert.rejects(app.listen('127.0.0.1', port), { ...failed, address: '127.0.0.1' });
    // Without a host, it is every address that could not be had, as Node calls it.
    await assert.rejects(app.listen(port, LIBUS_LISTEN_EXCLUSIVE_PORT), (error) => {
      assert.deepEqual(
        { code: error.code, syscall: error.syscall, port: error.port, address: error.address },
        { ...failed, address: '::' },
      );
      assert.match(error.message, new RegExp(`^Cannot listen on \\[::\\]:${port}: the address is in use`));
      return true;
    });
  });

  test('throws, or rejects, where the host has no descriptors for its threads', {
    ...BOUND,
    skip: process.platform === 'win32',
  }, async (context) => {
    const child = runLimited(context, 100, () => {
      const { App } = require('tidewire');
      const show = ({ code, syscall, message }) => console.log(JSON.stringify({ code, syscall, message }));
      const app = App({ threads: 64 });
      try {
        app.listen('127.0.0.1', 0, (token) => console.log(JSON.stringify(token)));
      } catch (error) {
        show(error);
      }
      app.listen('127.0.0.1', 0).catch(show);
    });
    for (let form = 0; form < 2; form++) {
      const { code, syscall, message } = await child.value();
      assert.deepEqual([code, syscall], ['EMFILE', 'start']);
      assert.match(message, /threads cannot be started.*ulimit -n.*fewer `threads`/);
    }
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('shares a port with another App unless one is exclusive', BOUND, async (context) => {
    const [first, second] = [App(), App()];
    context.after(() => [first.close(), second.close()]);
    const shared = us_socket_local_port(await first.listen('127.0.0.1', 0));
    if (process.platform === 'linux') {
      assert.equal(us_socket_local_port(await second.listen('127.0.0.1', shared)), shared);
    }
    await assert.rejects(second.listen('127.0.0.1', shared, LIBUS_LISTEN_EXCLUSIVE_PORT), {
      code: 'EADDRINUSE',
    });
    const alone = us_socket_local_port(await first.listen('127.0.0.1', 0, LIBUS_LISTEN_EXCLUSIVE_PORT));
    await assert.rejects(second.listen('127.0.0.1', alone), { code: 'EADDRINUSE' });
  });

  test('takes a host name, an address, or none for all', BOUND, async (context) => {
    const app = App();
    context.after(() => app.close());
    for (const values of [['localhost', 0], ['127.0.0.1', 0], ['0.0.0.0', 0], [0]]) {
      const port = us_socket_local_port(await app.listen(...values));
      assert.ok((await isListening(port)) || values[0] === 'localhost', `nobody listens on ${values}`);
    }
  });

  test(
    'without a host, and on ::, listens on IPv6 and IPv4; on an address, there alone',
    BOUND,
    async (context) => {
      const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
        list?.some(({ family }) => family === 'IPv6'),
      );
      const app = App();
      context.after(() => app.close());
      const reached = async (port, host) => {
        const socket = net.connect({ port, host });
        const [outcome] = await Promise.race([
          once(socket, 'connect').then(() => ['yes']),
          once(socket, 'close'),
        ]).catch(({ code }) => [code]);
        socket.destroy();
        return outcome;
      };
      const both = hasIPv6 ? { '127.0.0.1': 'yes', '::1': 'yes' } : { '127.0.0.1': 'yes' };
      const places = [
        [[0], both],
        [[undefined, 0], both],
        [['0.0.0.0', 0], { '127.0.0.1': 'yes', '::1': 'ECONNREFUSED' }],
        ...(hasIPv6
          ? [
              [['::', 0], both],
              [['[::1]', 0], { '::1': 'yes', '127.0.0.1': 'ECONNREFUSED' }],
            ]
          : []),
      ];
      for (const [values, expected] of places) {
        const port = us_socket_local_port(await app.listen(...values, LIBUS_LISTEN_EXCLUSIVE_PORT));
        for (const [host, outcome] of Object.entries(expected)) {
          if (host === '::1' && !hasIPv6) continue;
          assert.equal(await reached(port, host), outcome, `${host} of ${values}`);
        }
      }
    },
  );

  test('frees an exclusive port with its listener', BOUND, async (context) => {
    const [first, second] = [App(), App()];
    context.after(() => [first.close(), second.close()]);
    for (const values of [['127.0.0.1', 0], [0]]) {
      const token = await first.listen(...values, LIBUS_LISTEN_EXCLUSIVE_PORT);
      const again = [...values.slice(0, -1), us_socket_local_port(token), LIBUS_LISTEN_EXCLUSIVE_PORT];
      const refused = [];
      second.listen(...again, (outcome) => refused.push(outcome));
      assert.deepEqual(refused, [false]);
      us_listen_socket_close(token);
      us_listen_socket_close(await second.listen(...again));
    }
  });

  test('is refused a host that is not of this machine', BOUND, async (context) => {
    const app = App();
    context.after(() => app.close());
    await assert.rejects(app.listen('192.0.2.1', 0), { code: 'EADDRNOTAVAIL' });
    await assert.rejects(app.listen('no-such-host.invalid', 0), { code: 'ENOTFOUND' });
    app.listen('192.0.2.1', 0, (token) => assert.equal(token, false));
  });

  test('throws for wrong arguments, and listens behind them all the same', BOUND, async (context) => {
    const app = App();
    context.after(() => app.close());
    const callback = () => assert.fail('called');
    for (const values of [
      [],
      ['9001'],
      ['127.0.0.1'],
      [{}, 0],
      [null, 0],
      [-1],
      [65_536],
      [1.5],
      [0, 2],
      [0, '1'],
    ]) {
      assert.throws(() => app.listen(...values, callback), /TIDEWIRE|must be/);
      assert.throws(() => app.listen(...values), /TIDEWIRE|must be/);
    }
    await app.listen('127.0.0.1', 0);
  });

  test('may be called for several ports of one App', BOUND, async (context) => {
    const { app, url } = serve(context, { message: echo });
    const other = us_socket_local_port(await app.listen('127.0.0.1', 0));
    for (const place of [url, `ws://127.0.0.1:${other}`]) {
      const client = await connect(context, place);
      client.send(place);
      assert.equal(await client.text(), place);
    }
  });
});

describe('us_listen_socket_close', () => {
  test('lets live sockets go on, and frees the port', BOUND, async (context) => {
    const { app, url, port, token } = serve(context, { message: echo });
    const client = await connect(context, url);
    us_listen_socket_close(token);
    assert.equal(await isListening(port), false);
    client.send('still here');
    assert.equal(await client.text(), 'still here');
    const server = net.createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    assert.equal(us_socket_local_port(await app.listen('127.0.0.1', port)), port);
    const other = await connect(context, url);
    other.send('again');
    assert.equal(await other.text(), 'again');
    client.send('and still');
    assert.equal(await client.text(), 'and still');
  });

  test('may be called in a handler, and in the callback of listen', BOUND, async (context) => {
    const closed = new Queue();
    const app = App();
    context.after(() => app.close());
    let token;
    app.ws('/*', {
      open: () => us_listen_socket_close(token),
      close: (_, code) => closed.push(code),
    });
    app.listen('127.0.0.1', 0, (given) => us_listen_socket_close(given));
    token = await app.listen('127.0.0.1', 0);
    const client = await connect(context, `ws://127.0.0.1:${us_socket_local_port(token)}`);
    client.socket.close(4000);
    assert.equal(await closed.next(), 4000);
  });
});

describe('App.close', () => {
  test('ends every connection with 1006 on both sides, and every listener', BOUND, async (context) => {
    for (const threads of [1, 2]) {
      const { app, url, port, events } = observe(context, {}, { options: { threads } });
      const clients = await Promise.all(Array.from({ length: 10 }, () => connect(context, url)));
      await events.take(10);
      assert.equal(app.close(), app);
      assert.equal(events.all.filter(([name, , code]) => name === 'close' && code === 1006).length, 10);
      for (const client of clients) assert.deepEqual(await client.closed, { code: 1006, reason: '' });
      assert.equal(await isListening(port), false);
    }
  });

  test('lets the App listen again at once, with its routes', BOUND, async (context) => {
    const { app, url, port } = serve(context, { message: echo });
    for (let round = 0; round < 10; round++) {
      const client = await connect(context, url);
      client.send(`round ${round}`);
      assert.equal(await client.text(), `round ${round}`);
      app.close();
      app.listen('127.0.0.1', port, (token) => assert.ok(token));
      assert.equal((await client.closed).code, 1006);
    }
  });

  test('in every handler ends all and calls each close once', BOUND, async (context) => {
    for (const name of ['open', 'message', 'ping', 'close']) {
      const counts = new Map();
      const { app, port } = serve(context, {
        open: (ws) => {
          counts.set(ws, 0);
          if (name === 'open' && counts.size === 5) app.close();
        },
        message: () => name === 'message' && app.close(),
        ping: () => name === 'ping' && app.close(),
        close: (ws) => {
          counts.set(ws, counts.get(ws) + 1);
          if (name === 'close') app.close();
        },
      });
      const clients = [];
      for (let number = 0; number < 5; number++) clients.push(await connectRaw(context, port));
      clients[2].write(frame(TEXT, 'x'), frame(PING, 'y'), frame(TEXT, 'z'), frame(8));
      for (const client of clients) await client.ended;
      // Those whose open event was on its way then get both events later.
      while (app.stats().opened > 0) await pause(5);
      assert.deepEqual([...counts.values()], Array(5).fill(1), `App.close() in ${name}`);
    }
  });

  test('ends those, too, whose open is still on its way', BOUND, async (context) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
    context.after(() => rmSync(directory, { recursive: true }));
    const signal = path.join(directory, 'go');
    const child = runScript(
      context,
      (file) => {
        const { App, us_socket_local_port } = require('tidewire');
        const { existsSync } = require('node:fs');
        const app = App();
        let opens = 0;
        let closes = 0;
        app.ws('/*', { open: () => opens++, close: () => closes++ });
        app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
        setTimeout(() => {
          // The parent connects while this thread is busy, so that no open handler can run.
          const word = new Int32Array(new SharedArrayBuffer(4));
          for (let waits = 0; waits < 2_000 && !existsSync(file); waits++) Atomics.wait(word, 0, 0, 5);
          app.close();
        }, 50);
        process.on('exit', () => console.log(JSON.stringify({ opens, closes })));
      },
      signal,
    );
    const port = await child.value();
    await pause(100);
    const clients = [];
    for (let number = 0; number < 5; number++) clients.push(await connectRaw(context, port));
    // A pong says that a reactor has them.
    for (const client of clients) client.write(frame(PING));
    for (const client of clients) assert.equal((await client.frames.next()).opcode, PONG);
    writeFileSync(signal, '');
    for (const client of clients) await client.ended;
    const { opens, closes } = await child.value();
    assert.equal(opens, closes);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('ends connections that are no WebSockets yet', BOUND, async (context) => {
    const { app, port } = serve(context, {});
    const socket = net.connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    socket.write('GET / HTTP/1.1\r\n');
    socket.resume();
    // A whole exchange behind it: the gate has accepted the first by then.
    await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    app.close();
    await once(socket, 'close');
  });

  test('lets a close handler listen again', BOUND, async (context) => {
    const tokens = [];
    const { app, url, port } = serve(context, {
      message: echo,
      close: () => {
        if (tokens.length === 0) app.listen('127.0.0.1', port, (token) => tokens.push(token));
      },
    });
    const client = await connect(context, url);
    client.send('open for sure');
    await client.text();
    app.close();
    assert.equal((await client.closed).code, 1006);
    const other = await connect(context, url);
    other.send('again');
    assert.equal(await other.text(), 'again');
    assert.equal(tokens.length, 1);
  });

  test('ends connections whatever their properties are called', BOUND, async (context) => {
    const { app, url, events } = observe(context, { open: (ws) => Object.assign(ws, { close: 'mine' }) });
    const client = await connect(context, url);
    await events.take(1);
    app.close();
    assert.equal((await client.closed).code, 1006);
  });

  test(
    'and listen in one handler begin a second life, which has all of its events',
    BOUND,
    async (context) => {
      const child = runScript(context, () => {
        const { Worker } = require('node:worker_threads');
        const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
        const opened = new Int32Array(new SharedArrayBuffer(4));
        const source = `
        const { workerData } = require('node:worker_threads');
        const WebSocket = require('./__test__/support/ws');
        for (let number = 0; number < 2; number++) {
          const client = new WebSocket('ws://127.0.0.1:' + workerData.port);
          client.on('open', () => {
            client.send('who?');
            if (Atomics.add(workerData.opened, 0, 1) === 1) Atomics.notify(workerData.opened, 0);
          });
          client.on('message', () => client.close());
        }
      `;
        const app = App({ threads: 2 });
        const counts = { open: 0, message: 0, close: 0 };
        let token;
        const secondLife = () => {
          app.close();
          // Time for the reactors to let go of all, so that the next call ends their threads.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
          app.close();
          app.listen('127.0.0.1', 0, (given) => {
            token = given;
          });
          new Worker(source, { eval: true, workerData: { opened, port: us_socket_local_port(token) } });
          for (let waits = 0; waits < 1_000 && Atomics.load(opened, 0) < 2; waits++) {
            Atomics.wait(opened, 0, Atomics.load(opened, 0), 10);
          }
        };
        app.ws('/*', {
          open: () => counts.open++,
          message: (ws) => {
            if (counts.message++ === 0) secondLife();
            else ws.send('the second life');
          },
          close: () => {
            if (++counts.close === 3) us_listen_socket_close(token);
          },
        });
        app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
        process.on('exit', () => console.log(JSON.stringify(counts)));
      });
      const client = await connect(context, `ws://127.0.0.1:${await child.value()}`);
      client.send('begin');
      assert.equal((await client.closed).code, 1006);
      assert.deepEqual(await child.value(), { open: 3, message: 3, close: 3 });
      assert.deepEqual(await child.exited, { code: 0, signal: null });
      assert.equal(child.errors, '');
    },
  );

  test('does nothing on an App that does not listen', () => {
    const app = App();
    assert.equal(app.close(), app);
    assert.equal(app.close(), app);
  });
});

describe('two Apps of one process', () => {
  test('serve each its own, and end one by one', BOUND, async (context) => {
    const first = serve(context, { message: (ws) => ws.send('first') });
    const second = serve(context, { message: (ws) => ws.send('second') }, { options: { threads: 2 } });
    const one = await connect(context, first.url);
    const two = await connect(context, second.url);
    one.send('who?');
    two.send('who?');
    assert.deepEqual([await one.text(), await two.text()], ['first', 'second']);
    first.app.close();
    assert.equal((await one.closed).code, 1006);
    two.send('who?');
    assert.equal(await two.text(), 'second');
  });
});

describe('routes', () => {
  /** Connects to each path and asks which pattern serves it. */
  async function answersOf(context, patterns, paths) {
    const app = App();
    context.after(() => app.close());
    for (const pattern of patterns) app.ws(pattern, { open: (ws) => ws.send(pattern) });
    const port = us_socket_local_port(await app.listen('127.0.0.1', 0));
    const answers = [];
    for (const path of paths) {
      const client = await connect(context, `ws://127.0.0.1:${port}${path}`).catch(({ message }) => message);
      answers.push(typeof client === 'string' ? client : await client.text());
    }
    return answers;
  }

  const patterns = ['/*', '/:any', '/static', '/a/*', '/a/:b', '/a/b', '/a/:b/c', '/a/b/*'];
  const expected = {
    '/static': '/static',
    '/static?query=1': '/static',
    '/other': '/:any',
    '/': '/*',
    '/a': '/:any',
    '/a/': '/a/*',
    '/a/b': '/a/b',
    '/a/x': '/a/:b',
    '/a/b/c': '/a/b/*',
    '/a/x/c': '/a/:b/c',
    '/a/x/y': '/a/*',
    '/static/': '/*',
    '/%73tatic': '/:any',
  };
  for (const [name, ordered] of [
    ['are found by how specific they are', patterns],
    ['are so in any order', [...patterns].reverse()],
  ]) {
    test(name, BOUND, async (context) => {
      const answers = await answersOf(context, ordered, Object.keys(expected));
      assert.deepEqual(answers, Object.values(expected));
    });
  }

  test('do not serve what none of them matches', BOUND, async (context) => {
    const answers = await answersOf(
      context,
      ['/chat', '/:room/x'],
      ['/chat', '/chat/', '/Chat', '//x', '/', '/r/x'],
    );
    const refused = 'Unexpected server response: 404';
    assert.deepEqual(answers, ['/chat', refused, refused, refused, refused, '/:room/x']);
  });

  test('of the same pattern replace each other; live sockets keep their handlers', BOUND, async (context) => {
    const { app, url } = serve(context, { message: (ws) => ws.send('old') });
    const before = await connect(context, url);
    app.ws('/*', { message: (ws) => ws.send('new') });
    const after = await connect(context, url);
    before.send('who?');
    after.send('who?');
    assert.deepEqual([await before.text(), await after.text()], ['old', 'new']);
  });

  test('may be added while the App runs', BOUND, async (context) => {
    const { app, url } = serve(context, {}, { pattern: '/first' });
    await assert.rejects(connect(context, `${url}/second`), /404/);
    app.ws('/second', { open: (ws) => ws.send('second') });
    const client = await connect(context, `${url}/second`);
    assert.equal(await client.text(), 'second');
  });

  test('of an impossible pattern throw', () => {
    const app = App();
    for (const pattern of ['', 'chat', '/a/*/b', '/*x', '/:', '/:/x']) {
      assert.throws(
        () => app.ws(pattern, {}),
        (error) => typeof error.code === 'string',
      );
    }
  });
});

describe('the answer over HTTP', () => {
  const HOST = 'Host: localhost\r\n';
  const UPGRADE = 'Upgrade: websocket\r\nConnection: Upgrade\r\n';
  const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const VERSION = 'Sec-WebSocket-Version: 13\r\n';
  const answers = {
    'no route': [`GET /nowhere HTTP/1.1\r\n${HOST}${UPGRADE}${KEY}${VERSION}\r\n`, 404],
    'no route, no upgrade': [`GET /nowhere HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, 404],
    'another method': [`POST /chat HTTP/1.1\r\n${HOST}Content-Length: 0\r\nConnection: close\r\n\r\n`, 404],
    'a request without an upgrade': [`GET /chat HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, 426],
    'another version': [`GET /chat HTTP/1.1\r\n${HOST}${UPGRADE}${KEY}Sec-WebSocket-Version: 8\r\n\r\n`, 426],
    'no version': [`GET /chat HTTP/1.1\r\n${HOST}${UPGRADE}${KEY}\r\n`, 426],
    'no key': [`GET /chat HTTP/1.1\r\n${HOST}${UPGRADE}${VERSION}\r\n`, 400],
    'a short key': [
      `GET /chat HTTP/1.1\r\n${HOST}${UPGRADE}${VERSION}Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n`,
      400,
    ],
    'two keys': [`GET /chat HTTP/1.1\r\n${HOST}${UPGRADE}${VERSION}${KEY}${KEY}\r\n`, 400],
    'no connection field': [`GET /chat HTTP/1.1\r\n${HOST}Upgrade: websocket\r\n${KEY}${VERSION}\r\n`, 400],
    'no host': [`GET /chat HTTP/1.1\r\n${UPGRADE}${KEY}${VERSION}\r\n`, 400],
    'two hosts': [`GET /chat HTTP/1.1\r\n${HOST}${HOST}${UPGRADE}${KEY}${VERSION}\r\n`, 400],
    'what is no HTTP': ['\x16\x03\x01 hello\r\n\r\n', 400],
    'HTTP/1.0': [`GET /chat HTTP/1.0\r\n${HOST}${UPGRADE}${KEY}${VERSION}\r\n`, 505],
    'a head over 16 KiB': [`GET /chat HTTP/1.1\r\n${HOST}X: ${'x'.repeat(17_000)}\r\n\r\n`, 431],
    '101 header lines': [`GET /chat HTTP/1.1\r\n${HOST}${'X: y\r\n'.repeat(100)}\r\n`, 431],
  };
  for (const [name, [request, status]] of Object.entries(answers)) {
    test(`to ${name} is ${status}`, BOUND, async (context) => {
      const { port, events } = observe(context, {}, { pattern: '/chat' });
      const answer = await exchange(port, request);
      assert.match(answer, new RegExp(`^HTTP/1\\.[01] ${status} `));
      const head = answer.slice(0, answer.indexOf('\r\n\r\n')).toLowerCase();
      if (status === 426) assert.match(head, /\r\nsec-websocket-version: 13(\r\n|$)/);
      assert.deepEqual(events.all, []);
      const client = await connect(context, `ws://127.0.0.1:${port}/chat`);
      client.socket.close(1000);
      assert.equal((await client.closed).code, 1000);
    });
  }

  test('to the opening handshake picks the first subprotocol that is offered', BOUND, async (context) => {
    const { port } = serve(context, {});
    const client = await connect(context, `ws://127.0.0.1:${port}`, {});
    assert.equal(client.socket.protocol, '');
    const WebSocket = require('./support/ws');
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, ['second.choice', 'first']);
    context.after(() => socket.terminate());
    await once(socket, 'open');
    assert.equal(socket.protocol, 'second.choice');
  });

  test('comes to a handshake that arrives byte by byte', BOUND, async (context) => {
    const { port, events } = observe(context, { message: echo });
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    for (const byte of Buffer.concat([Buffer.from(opening('/')), frame(TEXT, 'bytes')])) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    const [, message] = await events.take(2);
    assert.equal(message[2], 'bytes');
  });
});

describe('the process', () => {
  test('ends by itself when nothing is left', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      App().ws('/*', {});
      const app = App({ threads: 2 });
      app.ws('/*', { message: (ws, message) => ws.send(message) });
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => {
          us_listen_socket_close(token);
          client.send('x');
        });
        client.on('message', () => client.close(1000));
      });
      process.on('exit', (code) => console.log(JSON.stringify({ code })));
    });
    assert.deepEqual(await child.value(), { code: 0 });
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('lives while it listens, and ends by App.close()', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App } = require('tidewire');
      const app = App();
      app.listen('127.0.0.1', 0, () => console.log('1'));
      setTimeout(() => {
        console.log('2');
        app.close();
      }, 200).unref();
    });
    assert.equal(await child.value(), 1);
    assert.equal(await child.value(), 2);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
  });

  for (const handler of ['open', 'message', 'close']) {
    test(`may exit in ${handler}`, BOUND, async (context) => {
      const child = runScript(
        context,
        (name) => {
          const { App, us_socket_local_port } = require('tidewire');
          const WebSocket = require('./__test__/support/ws');
          const app = App({ threads: 2 });
          app.ws('/*', {
            [name]: (ws) => {
              if (name !== 'close') ws.send('last words');
              process.exit(7);
            },
          });
          app.listen('127.0.0.1', 0, (token) => {
            for (let number = 0; number < 20; number++) {
              const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
              client.on('open', () => {
                client.send('x');
                if (name === 'close') client.close();
              });
            }
          });
        },
        handler,
      );
      assert.deepEqual(await child.exited, { code: 7, signal: null });
      assert.equal(child.errors, '');
    });
  }

  test('may close its App as it exits', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_socket_local_port } = require('tidewire');
      const WebSocket = require('./__test__/support/ws');
      const app = App();
      app.ws('/*', {
        message: () => process.exit(4),
        close: (_, code) => console.log(JSON.stringify(code)),
      });
      process.on('exit', () => app.close());
      app.listen('127.0.0.1', 0, (token) => {
        const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
        client.on('open', () => client.send('x'));
      });
    });
    assert.equal(await child.value(), 1006);
    assert.deepEqual(await child.exited, { code: 4, signal: null });
    assert.equal(child.errors, '');
  });

  for (const handler of ['open', 'message', 'close']) {
    test(`ends with a code and a stack if nobody catches what ${handler} throws`, BOUND, async (context) => {
      const child = runScript(
        context,
        (name) => {
          const { App, us_socket_local_port } = require('tidewire');
          const WebSocket = require('./__test__/support/ws');
          const app = App();
          app.ws('/*', {
            [name]: function guilty() {
              throw new RangeError('nobody catches this');
            },
          });
          app.listen('127.0.0.1', 0, (token) => {
            const client = new WebSocket(`ws://127.0.0.1:${us_socket_local_port(token)}`);
            client.on('error', () => {});
            client.on('open', () => {
              client.send('x');
              if (name === 'close') client.close();
            });
          });
        },
        handler,
      );
      const { code, signal } = await child.exited;
      assert.equal(signal, null);
      assert.ok(code === 1 || code === 7, `exit code ${code}`);
      assert.match(child.errors, /RangeError: nobody catches this\r?\n\s+at .*guilty/);
    });
  }

  test('ends with a code if the callback of listen throws', BOUND, async (context) => {
    const child = runScript(context, () => {
      require('tidewire')
        .App()
        .listen('127.0.0.1', 0, () => {
          throw new Error('in the callback');
        });
    });
    assert.deepEqual(await child.exited, { code: 1, signal: null });
    assert.match(child.errors, /error: in the callback/i);
  });
});
