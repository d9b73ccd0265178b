'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, test } = require('node:test');
const { SHARED_COMPRESSOR } = require('tidewire');
const WebSocket = require('./support/ws');
const { connect, refusal } = require('./support/client');
const { runScript } = require('./support/child');
const { accept } = require('./support/pair');
const { Queue } = require('./support/queue');
const { TEXT, connectRaw, frame, opening } = require('./support/raw_client');
const { BOUND, serve, text } = require('./support/server');

const OVER = {
  code: 'TIDEWIRE_RESPONSE_OVER',
  message:
    'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful ' +
    'response. See documentation for uWS.HttpResponse and consult the user manual.',
};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A client that has sent its request; `answer` reads the whole response and the connection's end. */
async function request(context, port, path = '/') {
  const socket = net.connect({ port, host: '127.0.0.1' });
  context.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(opening(path));
  const ended = (async () => {
    let all = '';
    for await (const piece of socket) all += piece;
    return all;
  })().catch(() => '');
  return { socket, ended };
}

describe('res.upgrade', () => {
  test('calls open before it returns, with the user data on the socket', BOUND, async (context) => {
    const order = [];
    const sockets = new Set();
    const symbol = Symbol('no string');
    const userData = { name: 'joe', send: 1, readyState: 7, [symbol]: 2, __proto__: { inherited: 3 } };
    Object.defineProperty(userData, '__proto__', { value: 'own', enumerable: true });
    const { url } = serve(context, {
      upgrade: (res, req, token) => {
        order.push('upgrade');
        accept(res, req, token, userData);
        order.push('returned');
      },
      open: (ws) => {
        order.push('open');
        sockets.add(ws);
        assert.equal(ws.getUserData(), ws);
        assert.equal(ws.constructor.name, 'uWS.WebSocket');
        assert.equal(ws.name, 'joe');
        assert.equal(ws.send, 1);
        assert.equal(ws.readyState, 7);
        assert.equal(Object.hasOwn(ws, '__proto__'), true);
        assert.equal('inherited' in ws || symbol in ws, false);
      },
      message: (ws, message) => {
        sockets.add(ws);
        delete ws.send;
        ws.send(`${ws.name} said ${text(message)}`);
      },
    });
    const client = await connect(context, url);
    client.send('hello');
    assert.equal(await client.text(), 'joe said hello');
    assert.deepEqual(order, ['upgrade', 'open', 'returned']);
    assert.equal(sockets.size, 1);
  });

  test('takes no user data for none', BOUND, async (context) => {
    for (const userData of [undefined, null, 'text', 1]) {
      const { url } = serve(context, {
        upgrade: (res, req, token) => accept(res, req, token, userData ?? undefined),
        open: (ws) => ws.send(JSON.stringify(Object.keys(ws))),
      });
      assert.equal(await (await connect(context, url)).text(), '[]');
    }
  });

  test('can come after an await', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: async (res, req, token) => {
        res.onAborted(() => assert.fail('nobody left'));
        const name = await Promise.resolve(req.getQuery('name'));
        await pause(20);
        accept(res, req, token, { name });
        assert.throws(() => res.cork(() => {}), OVER);
      },
      open: (ws) => ws.send(ws.name),
    });
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, number) => connect(context, `${url}/?name=${number}`)),
    );
    for (const [number, client] of clients.entries()) assert.equal(await client.text(), `${number}`);
  });

  test('sends what open sends, in order, behind the 101', BOUND, async (context) => {
    const { app, url } = serve(context, {
      maxBackpressure: 0,
      upgrade: (res, req, token) => accept(res, req, token),
      open: (ws) => {
        for (let number = 0; number < 100; number++) assert.equal(ws.send(`${number}`), 1);
        ws.send(Buffer.alloc(100_000, 'x'), true);
        ws.cork(() => ws.send('corked'));
        ws.ping('ping');
        queueMicrotask(() => ws.send('microtask'));
      },
    });
    const client = await connect(context, url);
    for (let number = 0; number < 100; number++) assert.equal(await client.text(), `${number}`);
    const [large, isBinary] = await client.messages.next();
    assert.deepEqual([large.length, isBinary], [100_000, true]);
    assert.deepEqual([await client.text(), await client.text()], ['corked', 'microtask']);
    assert.equal(await client.pings.next(), 'ping');
    assert.equal(app.stats().opened, 1);
  });

  test('open may end the connection', BOUND, async (context) => {
    const events = new Queue();
    const { url, app } = serve(context, {
      upgrade: (res, req, token) => accept(res, req, token, { way: req.getUrl() }),
      open: (ws) => {
        ws.send('first');
        if (ws.way === '/end') ws.end(4001, 'over');
        else ws.close();
        events.push('behind it');
      },
      close: (ws, code, reason) => events.push([ws.way, code, text(reason)]),
    });
    const ends = { '/end': [4001, 'over'], '/close': [1006, ''] };
    for (const [way, [code, reason]] of Object.entries(ends)) {
      const client = await connect(context, url + way);
      assert.equal(await client.text(), 'first');
      assert.deepEqual(await client.closed, { code, reason });
      assert.deepEqual(await events.take(2), [[way, code, reason], 'behind it']);
    }
    assert.deepEqual([app.stats().connections, app.stats().closes.local], [0, 2]);
  });

  test('delivers what came with the request', BOUND, async (context) => {
    const { port } = serve(context, {
      upgrade: async (res, req, token) => {
        res.onAborted(() => {});
        await pause(20);
        accept(res, req, token);
      },
      message: (ws, message) => ws.send(message),
    });
    const client = await connectRaw(context, port, { early: frame(TEXT, 'early') });
    assert.equal((await client.frames.next()).payload.toString(), 'early');
  });

  test('has the header fields that were written before', BOUND, async (context) => {
    const { port } = serve(context, {
      upgrade: (res, req, token) => {
        res
          .writeStatus('101 Switching Protocols')
          .writeHeader('Set-Cookie', 'a=1')
          .writeHeader('Set-Cookie', 'b=grün');
        res.writeHeader('Upgrade', 'h2c').writeHeader('Content-Length', '3');
        accept(res, req, token);
      },
      open: (ws) => ws.end(),
    });
    const { ended } = await request(context, port);
    const [head] = (await ended).split('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(head, /set-cookie: a=1\r\nset-cookie: b=grün/);
    assert.doesNotMatch(head, /h2c|content-length/i);
  });

  test('answers with the subprotocol that it is given', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: (res, req, token) => res.upgrade({}, '', req.getQuery('protocol'), '', token),
    });
    const offered = ['soap', 'wamp'];
    const chosen = async (protocol) => {
      const socket = new WebSocket(`${url}/?protocol=${protocol}`, offered);
      context.after(() => socket.terminate());
      await once(socket, 'open');
      return socket.protocol;
    };
    assert.equal(await chosen('wamp'), 'wamp');
    // As uWebSockets.js: of a list, the first.
    assert.equal(await chosen('soap,%20wamp'), 'soap');
    const none = new WebSocket(`${url}/?protocol=`);
    await once(none, 'open');
    assert.equal(none.protocol, '');
    none.terminate();
  });

  test('compresses from the first message on, unless extensions is empty', BOUND, async (context) => {
    const hello = 'hello '.repeat(100);
    const { url } = serve(context, {
      compression: SHARED_COMPRESSOR,
      upgrade: (res, req, token) => res.upgrade({}, '', '', req.getQuery('extensions'), token),
      open: (ws) => ws.send(hello, false, true),
    });
    for (const [extensions, agreed] of [
      ['permessage-deflate', 'permessage-deflate'],
      ['', ''],
    ]) {
      const client = await connect(context, `${url}/?extensions=${extensions}`, { perMessageDeflate: true });
      assert.equal(client.socket.extensions.split(';')[0], agreed);
      assert.equal(await client.text(), hello);
    }
  });

  test('judges the handshake before it asks', BOUND, async (context) => {
    const { port } = serve(context, { upgrade: () => assert.fail('a bad handshake came through') });
    const { socket, ended } = await request(context, port, '/x\r\nSec-WebSocket-Version: 8\r\nX:');
    socket.end();
    assert.match(await ended, /^HTTP\/1\.1 4/);
  });

  test('null is no handler', BOUND, async (context) => {
    const { url } = serve(context, { upgrade: null, open: (ws) => ws.send('hello') });
    assert.equal(await (await connect(context, url)).text(), 'hello');
    assert.throws(() => serve(context, { upgrade: true }), { code: 'TIDEWIRE_INVALID_TYPE' });
  });
});

describe('a refusal', () => {
  test('has status, header fields and body', BOUND, async (context) => {
    const bodies = ['no', Buffer.from('no'), Uint8Array.of(110, 111).buffer, 'ö'.repeat(30_000), undefined];
    let number = 0;
    const { url, app } = serve(context, {
      upgrade: (res) => {
        const corked = res.cork(() => {
          res
            .writeHeader('X-One', '1')
            .writeStatus('403 Go Away')
            .writeStatus('200 OK')
            .writeHeader('X-Two', '\tä ');
          assert.equal(res.end(bodies[number++]), res);
        });
        assert.equal(corked, res);
      },
    });
    for (const body of bodies) {
      const { status, phrase, headers, body: received } = await refusal(url);
      assert.deepEqual([status, phrase, headers['x-one']], [403, 'Go Away', '1']);
      assert.equal(Buffer.from(headers['x-two'], 'latin1').toString(), 'ä');
      assert.equal(received, body === undefined ? '' : typeof body === 'string' ? body : 'no');
    }
    assert.equal(app.stats().gate.refused[403], bodies.length);
    assert.equal(app.stats().opened, 0);
  });

  test('is 200 without a status, and may close the connection', BOUND, async (context) => {
    const { port } = serve(context, { upgrade: (res) => res.end('body', true) });
    const { ended } = await request(context, port);
    assert.match(await ended, /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*connection: close\r\n(.*\r\n)*\r\nbody$/);
    const { port: other } = serve(context, { upgrade: (res) => res.endWithoutBody(10, true) });
    assert.match(await (await request(context, other)).ended, /content-length: 0\r\n(.*\r\n)*\r\n$/);
  });

  test('can be written piece by piece', BOUND, async (context) => {
    const body = Buffer.alloc(1_000_000, 'abcdefg');
    const ways = {
      '/write': (res) => {
        res.writeStatus('403 No').writeHeader('a', 'b');
        assert.equal(res.write(body.subarray(0, 100)), true);
        assert.equal(res.write(body.subarray(100, 600_000)), false);
        res.onWritable((offset) => {
          assert.equal(offset, 600_000);
          res.end(body.subarray(offset));
          return true;
        });
      },
      '/tryEnd': (res) => {
        res.writeStatus('403 No').writeHeader('a', 'b');
        const more = (offset) => res.tryEnd(body.subarray(offset), body.length)[0];
        res.onWritable(more);
        assert.equal(more(0), false);
      },
    };
    const { url } = serve(context, {
      upgrade: (res, req) => {
        res.onAborted(() => {});
        ways[req.getUrl()](res);
      },
    });
    for (const way of Object.keys(ways)) {
      const { status, headers, body: received } = await refusal(url + way);
      assert.deepEqual([status, headers.a, headers['content-length']], [403, 'b', '1000000']);
      assert.equal(received, body.toString());
    }
  });

  test('that ends short of its length is the end of the connection', BOUND, async (context) => {
    const { port } = serve(context, {
      upgrade: (res) => {
        res.tryEnd('abc', 10);
        res.end('d');
      },
    });
    assert.equal(await (await request(context, port)).ended, '');
  });

  test('comes of a request without content', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: (res) => {
        res.onAborted(() => {});
        assert.equal(res.maxRemainingBodyLength(), 0n);
        res.onData((chunk, isLast) => res.writeStatus('403 No').end(`${chunk.byteLength} ${isLast}`));
      },
    });
    assert.equal((await refusal(url)).body, '0 true');
  });

  test('by close calls onAborted', BOUND, async (context) => {
    const events = new Queue();
    const { port } = serve(context, {
      upgrade: (res) => {
        res.onAborted(() => events.push('aborted'));
        res.close();
        events.push('closed');
      },
    });
    assert.equal(await (await request(context, port)).ended, '');
    assert.deepEqual(events.all, ['aborted', 'closed']);
  });

  test('can be the end of the connection', BOUND, async (context) => {
    const { port } = serve(context, { upgrade: (res) => res.close() });
    assert.equal(await (await request(context, port)).ended, '');
  });

  test('leaves the connection for another request', BOUND, async (context) => {
    let asked = 0;
    const { port } = serve(context, {
      upgrade: (res, req, token) => {
        if (asked++ < 3) res.writeStatus('503 Not Yet').end('later');
        else accept(res, req, token);
      },
      open: (ws) => ws.end(),
    });
    const { socket, ended } = await request(context, port);
    for (let more = 0; more < 3; more++) socket.write(opening('/'));
    const answer = await ended;
    assert.equal(answer.split('HTTP/1.1 503 Not Yet').length, 4);
    assert.match(answer, /HTTP\/1\.1 101 /);
  });
});

describe('HttpResponse', () => {
  /** Calls `use` with a response that is not over, which is refused behind it. */
  async function using(context, use) {
    let failure = null;
    const upgrade = (res, req, token) => {
      try {
        use(res, req, token);
      } catch (error) {
        failure = error;
      }
      res.writeStatus('204 No Content').end();
    };
    const { url } = serve(context, { upgrade });
    assert.equal((await refusal(url)).status, 204);
    if (failure) throw failure;
  }

  test('refuses what would be another header line', BOUND, (context) =>
    using(context, (res) => {
      const invalid = { name: 'TypeError', code: 'TIDEWIRE_INVALID_HEADER' };
      for (const value of ['a\r\nb: c', 'a\nb', 'a\rb', 'a\0b', '\x7f', Buffer.from('a\nb')]) {
        assert.throws(() => res.writeHeader('x-a', value), invalid);
      }
      for (const name of ['', 'a b', 'a:', 'a\n', 'ä', 'a\0', '(a)']) {
        assert.throws(() => res.writeHeader(name, 'a'), invalid);
      }
      assert.throws(() => res.upgrade({}, '', 'a\r\nb', '', null), invalid);
      assert.throws(() => res.upgrade({}, '', 'a b', '', null), invalid);
    }),
  );

  test('refuses what is no status', BOUND, (context) =>
    using(context, (res) => {
      const invalid = { name: 'RangeError', code: 'TIDEWIRE_INVALID_STATUS' };
      for (const status of ['', '20', 'OK', '200OK', '200 a\r\nb: c', '200 a\nb', '099 x', '2000', ' 200']) {
        assert.throws(() => res.writeStatus(status), invalid, status);
      }
      res.writeStatus('204');
    }),
  );

  test('refuses an informational response', BOUND, async (context) => {
    const { port } = serve(context, {
      upgrade: (res) => {
        res.writeStatus('101 Switching Protocols');
        assert.throws(() => res.end(), { code: 'TIDEWIRE_INVALID_STATUS' });
        res.close();
      },
    });
    assert.equal(await (await request(context, port)).ended, '');
  });

  test('refuses what is neither text nor data, nor a function', BOUND, (context) =>
    using(context, (res) => {
      const notText = { code: 'TIDEWIRE_TEXT_OR_DATA' };
      assert.throws(() => res.writeHeader('a', 1), notText);
      assert.throws(() => res.writeStatus(200), notText);
      assert.throws(() => res.end({}), notText);
      assert.throws(() => res.upgrade({}, 1, '', '', null), notText);
      assert.throws(() => res.onAborted(null), { code: 'TIDEWIRE_INVALID_TYPE' });
      assert.throws(() => res.cork(), { code: 'TIDEWIRE_INVALID_TYPE' });
    }),
  );

  test('keeps the request as it was when the user data throws', BOUND, (context) =>
    using(context, (res) => {
      const userData = {
        get name() {
          throw new Error('no name');
        },
      };
      assert.throws(() => res.upgrade(userData, '', '', '', null), /no name/);
    }),
  );

  test('knows the peer', BOUND, (context) =>
    using(context, (res) => {
      assert.deepEqual(Buffer.from(res.getRemoteAddress()), Buffer.from([127, 0, 0, 1]));
      assert.equal(text(res.getRemoteAddressAsText()), '127.0.0.1');
      assert.ok(res.getRemotePort() > 0);
      res.mine = { any: 'thing' };
      assert.deepEqual(res.mine, { any: 'thing' });
    }),
  );

  test('throws the sentence of uWebSockets.js once it is over', BOUND, async (context) => {
    const ways = {
      end: (res) => res.end(),
      close: (res) => res.close(),
      upgrade: accept,
    };
    for (const way of Object.values(ways)) {
      const responses = new Queue();
      const { port } = serve(context, {
        upgrade: (res, req, token) => {
          way(res, req, token);
          responses.push(res);
        },
      });
      const { socket } = await request(context, port);
      const res = await responses.next();
      const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(res)).filter(
        (name) => name !== 'constructor',
      );
      assert.ok(methods.length >= 11);
      for (const name of methods) assert.throws(() => res[name](''), OVER, name);
      socket.destroy();
    }
  });
});

describe('a handler that fails its client', () => {
  /** A server whose uncaught exceptions are printed. */
  function server() {
    const { App, us_socket_local_port } = require('tidewire');
    const tell = (value) => console.log(JSON.stringify(value));
    process.on('uncaughtException', (error) => tell([error.code ?? null, error.message]));
    const app = App();
    const behaviors = {
      '/nothing/:at': { upgrade: () => {} },
      '/async': { upgrade: async () => {} },
      '/throws': {
        upgrade: (res) => {
          res.onAborted(() => tell('aborted'));
          throw new Error('before');
        },
      },
      '/behind': {
        upgrade: (res) => {
          res.writeStatus('403 Forbidden').end();
          throw new Error('behind');
        },
      },
      '/open': {
        upgrade: (res, _req, context) => {
          res.upgrade({}, '', '', '', context);
          tell('upgraded');
        },
        open: (ws) => {
          ws.send('still here');
          throw new Error('in open');
        },
      },
    };
    for (const [pattern, behavior] of Object.entries(behaviors)) app.ws(pattern, behavior);
    app.listen('127.0.0.1', 0, (token) => tell(us_socket_local_port(token)));
  }

  test('is told to uncaughtException, and the client gets 500', BOUND, async (context) => {
    const child = runScript(context, server);
    const url = `ws://127.0.0.1:${await child.value()}`;
    for (const [path, pattern] of [
      ['/nothing/here', '/nothing/:at'],
      ['/async', '/async'],
    ]) {
      assert.equal((await refusal(url + path)).status, 500);
      const [code, message] = await child.value();
      assert.equal(code, 'TIDEWIRE_NO_ANSWER');
      assert.ok(message.includes(pattern), message);
    }
    assert.equal((await refusal(`${url}/throws`)).status, 500);
    assert.deepEqual(await child.value(), [null, 'before']);
    assert.equal((await refusal(`${url}/behind`)).status, 403);
    assert.deepEqual(await child.value(), [null, 'behind']);
    const client = await connect(context, `${url}/open`);
    assert.equal(await client.text(), 'still here');
    assert.deepEqual(await child.value(), [null, 'in open']);
    assert.equal(await child.value(), 'upgraded');
  });
});

describe('a client that leaves while its request is pending', () => {
  for (const [way, leave] of [
    ['by FIN', (socket) => socket.end()],
    ['by reset', (socket) => socket.resetAndDestroy()],
  ]) {
    test(`${way} is told to onAborted, once`, BOUND, async (context) => {
      const events = new Queue();
      let response;
      const { app, port } = serve(context, {
        upgrade: (res) => {
          res.onAborted(() => assert.fail('it was replaced'));
          res.onAborted((...values) => {
            assert.throws(() => res.end(), OVER);
            events.push(values);
          });
          response = res;
          events.push('asked');
        },
        open: () => assert.fail('nobody is there'),
        close: () => assert.fail('nobody was there'),
      });
      const { socket } = await request(context, port);
      assert.equal(await events.next(), 'asked');
      leave(socket);
      assert.deepEqual(await events.next(), []);
      assert.throws(() => accept(response, { getHeader: () => '' }), OVER);
      assert.throws(() => response.onAborted(() => {}), OVER);
      // The place is free for others.
      const { socket: next } = await request(context, port);
      assert.equal(await events.next(), 'asked');
      next.destroy();
      assert.deepEqual(await events.next(), []);
      assert.equal(app.stats().connections, 0);
    });
  }

  test('closes a socket that was upgraded before it was known', BOUND, async (context) => {
    const events = new Queue();
    const { port, app } = serve(context, {
      upgrade: (res, req, token) => {
        res.onAborted(() => events.push('aborted'));
        // The client goes while JavaScript is busy: word of it cannot come before the upgrade.
        events.push('asked');
        for (const end = performance.now() + 300; performance.now() < end; );
        accept(res, req, token);
      },
      open: (ws) => events.push(['open', ws.send('hello')]),
      close: (_ws, code) => events.push(['close', code]),
    });
    const child = runScript(
      context,
      (at) => {
        const socket = require('node:net').connect(at.port, '127.0.0.1', () => {
          socket.write(at.opening);
          setTimeout(() => socket.resetAndDestroy(), 100);
        });
      },
      { port, opening: opening('/') },
    );
    assert.deepEqual(await events.take(3), ['asked', ['open', 1], ['close', 1006]]);
    await child.exited;
    assert.equal(app.stats().connections, 0);
  });
});
