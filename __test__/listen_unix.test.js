'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { chdir, cwd } = require('node:process');
const fs = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { Queue } = require('./support/queue');
const { opening } = require('./support/raw_client');
const { BOUND, text } = require('./support/server');

const UNIX = { ...BOUND, skip: process.platform === 'win32' && 'Windows has no such sockets' };

const echo = (ws, message, isBinary) => ws.send(message, isBinary);

/** A path for one test, in a directory that goes with it. */
function place(context) {
  const directory = fs.mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  return path.join(directory, 'socket');
}

/** An App that listens there, for the length of one test. */
async function serveAt(context, file, behavior, options) {
  const app = App(options);
  context.after(() => app.close());
  app.ws('/*', behavior);
  return { app, token: await app.listen_unix(file) };
}

/** The URL of a socket's file, for the `ws` package. */
const urlOf = (file, route = '/') => `ws+unix:${file}:${route}`;

/** Sends bytes and returns what is answered until the server ends. */
async function exchange(file, bytes) {
  const socket = net.connect(file);
  socket.end(bytes);
  let answer = '';
  for await (const piece of socket) answer += piece;
  return answer;
}

describe('App.listen_unix', () => {
  test('throws, or rejects, on Windows: there are no such sockets', {
    ...BOUND,
    skip: process.platform !== 'win32' && 'all others have them',
  }, async () => {
    const refused = { code: 'TIDEWIRE_NO_UNIX_SOCKETS' };
    await assert.rejects(App().listen_unix('app.sock'), refused);
    assert.throws(() => App().listen_unix(() => assert.fail('it is thrown'), 'app.sock'), refused);
  });

  test('serves WebSockets and HTTP on a path', UNIX, async (context) => {
    const file = place(context);
    const { app } = await serveAt(context, file, { message: echo }, { threads: 2 });
    for (let number = 0; number < 4; number++) {
      const client = await connect(context, urlOf(file, '/chat'));
      client.send('hello', Buffer.of(1, 2, 3));
      const expected = [
        [Buffer.from('hello'), false],
        [Buffer.of(1, 2, 3), true],
      ];
      assert.deepEqual(await client.messages.take(2), expected);
    }
    assert.match(
      await exchange(file, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 426 /,
    );
    assert.equal(app.stats().gate.accepted, 5);
    assert.ok(app.stats().reactors.every(({ opened }) => opened === 2));
  });

  test('calls back before it returns, with a token that has no port', UNIX, (context) => {
    const file = place(context);
    const app = App();
    context.after(() => app.close());
    const seen = [];
    const returned = app.listen_unix((token) => seen.push(token), file);
    assert.equal(returned, app);
    assert.equal(us_socket_local_port(seen[0]), 0);
    assert.ok(fs.statSync(file).isSocket());
  });

  test('takes the path as bytes, and relative to the directory of that time', UNIX, async (context) => {
    const file = place(context);
    const { token } = await serveAt(context, Buffer.from(file), {});
    us_listen_socket_close(token);
    const before = cwd();
    chdir(path.dirname(file));
    context.after(() => chdir(before));
    const other = await serveAt(context, 'socket', {});
    chdir(before);
    assert.ok(fs.existsSync(file));
    us_listen_socket_close(other.token);
    assert.ok(!fs.existsSync(file));
  });

  test('has clients without address and port', UNIX, async (context) => {
    const file = place(context);
    const seen = new Queue();
    const tell = (of) => [
      of.getRemoteAddress().byteLength,
      text(of.getRemoteAddressAsText()),
      of.getRemotePort(),
    ];
    await serveAt(context, file, {
      upgrade: (res, req, context) => {
        seen.push(tell(res));
        const key = req.getHeader('sec-websocket-key');
        res.upgrade({}, key, '', '', context);
      },
      open: (ws) => seen.push(tell(ws)),
    });
    await connect(context, urlOf(file));
    assert.deepEqual(await seen.take(2), [
      [0, '', 0],
      [0, '', 0],
    ]);
  });

  test('gives false where somebody listens', UNIX, async (context) => {
    const file = place(context);
    await serveAt(context, file, { message: echo });
    const app = App();
    const outcomes = [];
    app.listen_unix((token) => outcomes.push(token), file);
    assert.deepEqual(outcomes, [false]);
    await assert.rejects(app.listen_unix(file), (error) => {
      const { code, syscall, address } = error;
      assert.deepEqual({ code, syscall, address }, { code: 'EADDRINUSE', syscall: 'listen', address: file });
      assert.match(error.message, /^Cannot listen on .*socket: another socket listens there/);
      return true;
    });
    const client = await connect(context, urlOf(file));
    client.send('untouched');
    assert.equal(await client.text(), 'untouched');
  });

  test('gives false, too, where another program listens that has not accepted yet', UNIX, async (context) => {
    const file = place(context);
    const server = net.createServer().listen(file);
    context.after(() => server.close());
    await once(server, 'listening');
    await assert.rejects(App().listen_unix(file), { code: 'EADDRINUSE' });
    assert.ok(fs.existsSync(file));
  });

  test('never removes what is no socket', UNIX, async (context) => {
    const file = place(context);
    fs.writeFileSync(file, 'precious');
    await assert.rejects(App().listen_unix(file), { code: 'EADDRINUSE' });
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
    App().listen_unix((token) => assert.equal(token, false), path.dirname(file));
    await assert.rejects(App().listen_unix(path.join(path.dirname(file), 'none', 'socket')), {
      code: 'ENOENT',
    });
  });

  test('replaces what a process has left behind', UNIX, async (context) => {
    const file = place(context);
    const child = runScript(
      context,
      (given) => {
        require('tidewire')
          .App()
          .listen_unix((token) => console.log(JSON.stringify(Boolean(token))), given);
      },
      file,
    );
    assert.equal(await child.value(), true);
    await assert.rejects(App().listen_unix(file), { code: 'EADDRINUSE' });
    child.signal('SIGKILL');
    await child.exited;
    assert.ok(fs.existsSync(file));
    await serveAt(context, file, { message: echo });
    const client = await connect(context, urlOf(file));
    client.send('mine now');
    assert.equal(await client.text(), 'mine now');
  });

  test('throws for wrong arguments', UNIX, async (context) => {
    const app = App();
    context.after(() => app.close());
    const callback = () => assert.fail('called');
    for (const [code, ...values] of [
      ['TIDEWIRE_INVALID_TYPE'],
      ['TIDEWIRE_INVALID_TYPE', callback],
      ['TIDEWIRE_INVALID_TYPE', '/a', callback],
      ['TIDEWIRE_INVALID_TYPE', callback, callback],
      ['TIDEWIRE_TEXT_OR_DATA', callback, 7],
      ['TIDEWIRE_TEXT_OR_DATA', null],
      ['TIDEWIRE_OUT_OF_RANGE', callback, ''],
      ['TIDEWIRE_OUT_OF_RANGE', callback, '/tmp/a\0b'],
      ['TIDEWIRE_OUT_OF_RANGE', callback, `/${'x'.repeat(107)}`],
    ]) {
      assert.throws(() => app.listen_unix(...values), { code });
    }
  });
});

describe('the file', () => {
  test('goes with its listener, and live sockets go on', UNIX, async (context) => {
    const file = place(context);
    const { app, token } = await serveAt(context, file, { message: echo });
    const client = await connect(context, urlOf(file));
    us_listen_socket_close(token);
    us_listen_socket_close(token);
    assert.ok(!fs.existsSync(file));
    await assert.rejects(connect(context, urlOf(file)), { code: 'ENOENT' });
    client.send('still here');
    assert.equal(await client.text(), 'still here');
    await app.listen_unix(file);
    const other = await connect(context, urlOf(file));
    other.send('again');
    assert.equal(await other.text(), 'again');
  });

  test('goes with App.close and App.shutdown', UNIX, async (context) => {
    const file = place(context);
    const { app } = await serveAt(context, file, {});
    const client = await connect(context, urlOf(file));
    const ended = app.shutdown({ code: 1012 });
    assert.ok(!fs.existsSync(file));
    assert.deepEqual(await client.closed, { code: 1012, reason: '' });
    assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
    await app.listen_unix(file);
    app.close();
    assert.ok(!fs.existsSync(file));
  });

  test('stays if another has taken its place', UNIX, async (context) => {
    const file = place(context);
    const { token } = await serveAt(context, file, {});
    fs.rmSync(file);
    fs.writeFileSync(file, 'another');
    us_listen_socket_close(token);
    assert.equal(fs.readFileSync(file, 'utf8'), 'another');
  });

  test('goes with a process that ends by itself', UNIX, async (context) => {
    const file = place(context);
    const child = runScript(
      context,
      (given) => {
        const { App, us_listen_socket_close } = require('tidewire');
        App().listen_unix((token) => setTimeout(us_listen_socket_close, 100, token), given);
      },
      file,
    );
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
    assert.ok(!fs.existsSync(file));
  });
});

describe('a connection by a path', () => {
  test('carries large messages, both ways', UNIX, async (context) => {
    const file = place(context);
    const large = { maxPayloadLength: 64 * 1024 * 1024, maxBackpressure: 0, binaryType: 'nodebuffer' };
    await serveAt(context, file, { ...large, message: echo });
    const client = await connect(context, urlOf(file));
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 20_000_000];
    for (const size of sizes) client.send(Buffer.alloc(size, size % 251));
    for (const size of sizes) {
      const [data] = await client.messages.next();
      assert.ok(data.equals(Buffer.alloc(size, size % 251)), `${size} bytes`);
    }
  });

  test('that is slow gets all that was accepted', UNIX, async (context) => {
    const file = place(context);
    const opened = new Queue();
    const { app } = await serveAt(context, file, { maxBackpressure: 0, open: (ws) => opened.push(ws) });
    const client = await connect(context, urlOf(file));
    client.socket.pause();
    const ws = await opened.next();
    for (let number = 0; number < 100; number++) ws.send(Buffer.alloc(100_000, number), true);
    while (app.stats().waiting.outboxBytes === 0) await new Promise(setImmediate);
    const ended = app.shutdown({ timeout: 60 });
    client.socket.resume();
    for (let number = 0; number < 100; number++) {
      const [data] = await client.messages.next();
      assert.ok(data.length === 100_000 && data[0] === number);
    }
    assert.equal((await client.closed).code, 1001);
    assert.deepEqual(await ended, { closed: 1, forced: 0, aborted: 0 });
  });

  test('is noticed when it goes, before its upgrade and behind it', UNIX, async (context) => {
    const file = place(context);
    const events = new Queue();
    await serveAt(context, file, {
      upgrade: (res, req, context) => {
        res.onAborted(() => events.push('aborted'));
        if (req.getUrl() === '/late') return events.push('asked');
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
      },
      open: () => events.push('open'),
      close: (_ws, code, reason) => events.push(`${code} ${text(reason)}`),
    });
    const pending = net.connect(file);
    pending.write(opening('/late'));
    assert.equal(await events.next(), 'asked');
    pending.destroy();
    assert.equal(await events.next(), 'aborted');
    const client = await connect(context, urlOf(file));
    assert.equal(await events.next(), 'open');
    client.socket.terminate();
    assert.match(await events.next(), /^1006 /);
  });
});
