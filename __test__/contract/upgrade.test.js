'use strict';

/** Requests, responses and upgrades, row by row, as far as an opening handshake needs them. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const WebSocket = require('../support/ws');
const { runScript } = require('../support/child');
const { connect, refusal } = require('../support/client');
const { accept, nextClose, pair } = require('../support/pair');
const { Queue } = require('../support/queue');
const { exchange, opening } = require('../support/raw_client');
const { BOUND, observe, serve, text } = require('../support/server');

const OVER = {
  name: 'Error',
  message:
    'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful ' +
    'response. See documentation for uWS.HttpResponse and consult the user manual.',
};

/** What a handler sees of a request; it refuses it. */
async function seen(context, path, look, { pattern = '/*', ...options } = {}) {
  let value;
  const upgrade = (res, req) => {
    value = look(req, res);
    res.writeStatus('204 No Content').end();
  };
  const { url } = serve(context, { upgrade }, { pattern });
  await refusal(url + path, options);
  return value;
}

/** Calls every method of a response, each of which throws. */
function assertOver(res) {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(res));
  const methods = names.filter((name) => name !== 'constructor');
  assert.ok(methods.length >= 11);
  for (const name of methods) assert.throws(() => res[name]('', ''), OVER, name);
}

/** A client of the `ws` package that is pending, or open, or refused. */
function dial(context, url, protocols = []) {
  const socket = new WebSocket(url, protocols);
  socket.on('error', () => {});
  context.after(() => socket.terminate());
  return socket;
}

describe('HttpRequest', () => {
  test("getHeader(lowercase), '' if missing", BOUND, async (context) => {
    const look = (req) => ['x-a', 'host', 'x-none'].map((name) => req.getHeader(name));
    const [own, host, none] = await seen(context, '/', look, { headers: { 'X-A': ' green ' } });
    assert.deepEqual([own, none], ['green', '']);
    assert.match(host, /^127\.0\.0\.1:\d+$/);
  });

  test('getParameter(index | name)', BOUND, async (context) => {
    const look = (req) => [0, 1, 2, 'b', 'a', 'c'].map((which) => req.getParameter(which));
    const values = await seen(context, '/one/x/two', look, { pattern: '/:a/x/:b' });
    assert.deepEqual(values, ['one', 'two', undefined, 'two', 'one', undefined]);
  });

  test('getUrl, getMethod in lower case, getCaseSensitiveMethod', BOUND, async (context) => {
    const look = (req) => [req.getUrl(), req.getMethod(), req.getCaseSensitiveMethod()];
    assert.deepEqual(await seen(context, '/a%20b/?c', look), ['/a%20b/', 'get', 'GET']);
  });

  test('getQuery(), getQuery(key): decoded; undefined if missing', BOUND, async (context) => {
    const look = (req) => [req.getQuery(), ...['a', 'b', 'c', 'd'].map((key) => req.getQuery(key))];
    const values = await seen(context, '/?a=%C3%BC+x&b&a=2&c=', look);
    assert.deepEqual(values, ['a=%C3%BC+x&b&a=2&c=', 'ü x', '', '', undefined]);
  });

  test('forEach(callback)', BOUND, async (context) => {
    const look = (req) => {
      const lines = [];
      req.forEach((...line) => {
        lines.push(line);
      });
      return lines;
    };
    const lines = await seen(context, '/', look, { headers: { 'X-Twice': ['1', '2'] } });
    assert.ok(lines.every(([name]) => name === name.toLowerCase()));
    assert.deepEqual(
      lines.filter(([name]) => name === 'x-twice').map(([, value]) => value),
      ['1', '2'],
    );
  });

  test('valid through awaits and ever after, and extensible', BOUND, async (context) => {
    const requests = new Queue();
    const { client, url } = await pair(context, {
      upgrade: (res, req, token) => {
        req.mine = 1;
        accept(res, req, token);
        requests.push(req);
      },
    });
    client.socket.close();
    await client.closed;
    await connect(context, url);
    const req = await requests.next();
    assert.deepEqual([req.mine, req.getUrl(), req.getHeader('upgrade')], [1, '/', 'websocket']);
  });

  test('a head of more than 16 KiB, or 100 lines, gets 431', BOUND, async (context) => {
    const { port } = serve(context, {});
    const lines = (count, length) => `${'X-A: '.padEnd(length, 'x')}\r\n`.repeat(count);
    for (const extra of [lines(1, 17_000), lines(101, 8)]) {
      assert.match(await exchange(port, opening().replace(/\r\n$/, `${extra}\r\n`)), /^HTTP\/1\.1 431 /);
    }
  });
});

describe('HttpResponse', () => {
  test('writeStatus, writeHeader, end(body?): any response refuses the upgrade', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: (res) => {
        assert.equal(res.writeStatus('403 Go Away').writeHeader('X-Why', 'so').end('grüße'), res);
      },
    });
    const { status, phrase, headers, body } = await refusal(url);
    assert.deepEqual([status, phrase, headers['x-why'], body], [403, 'Go Away', 'so', 'grüße']);
    assert.deepEqual([headers['content-length'], 'date' in headers], ['7', true]);
  });

  test('endWithoutBody, and 200 without a status', BOUND, async (context) => {
    const { url } = serve(context, { upgrade: (res) => res.endWithoutBody() });
    assert.deepEqual(await refusal(url).then(({ status, body }) => [status, body]), [200, '']);
  });

  test('close(): no response', BOUND, async (context) => {
    const { port } = serve(context, { upgrade: (res) => res.close() });
    assert.equal(await exchange(port, opening()), '');
  });

  test('cork(callback), with an upgrade in it', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: (res, req, token) =>
        assert.equal(
          res.cork(() => accept(res, req, token)),
          res,
        ),
      open: (ws) => ws.send('open'),
    });
    assert.equal(await (await connect(context, url)).text(), 'open');
  });

  test('getRemoteAddress, getRemoteAddressAsText, getRemotePort', BOUND, async (context) => {
    const look = (_req, res) => [
      Buffer.from(res.getRemoteAddress()).toString('hex'),
      text(res.getRemoteAddressAsText()),
      res.getRemotePort() > 0,
    ];
    assert.deepEqual(await seen(context, '/', look), ['7f000001', '127.0.0.1', true]);
  });

  test('any property may be set on it', BOUND, async (context) => {
    const look = (_req, res) => {
      res.aborted = false;
      return [res.aborted, Object.keys(res), Object.isExtensible(res)];
    };
    assert.deepEqual(await seen(context, '/', look), [false, ['aborted'], true]);
  });

  test('after end, close, abort or upgrade every method throws the sentence', BOUND, async (context) => {
    for (const way of [(res) => res.end(), (res) => res.close(), accept, null]) {
      const responses = new Queue();
      const { url } = serve(context, {
        upgrade: (res, req, token) => {
          if (way === null) return res.onAborted(() => responses.push(res));
          way(res, req, token);
          responses.push(res);
        },
      });
      const socket = dial(context, url);
      if (way === null) setTimeout(() => socket.terminate(), 50);
      assertOver(await responses.next());
    }
  });

  test(
    'a handler that returns without an answer: an error that names the route, and 500',
    BOUND,
    async (context) => {
      const child = runScript(context, () => {
        const { App, us_socket_local_port } = require('tidewire');
        process.on('uncaughtException', ({ code, message }) => {
          console.log(JSON.stringify([code, message.includes('/silent/:a')]));
        });
        const app = App().ws('/silent/:a', { upgrade: () => {} });
        app.listen('127.0.0.1', 0, (token) => console.log(JSON.stringify(us_socket_local_port(token))));
      });
      const port = await child.value();
      assert.equal((await refusal(`ws://127.0.0.1:${port}/silent/b`)).status, 500);
      assert.deepEqual(await child.value(), ['TIDEWIRE_NO_ANSWER', true]);
    },
  );
});

describe('res.upgrade', () => {
  test('calls open before it returns', BOUND, async (context) => {
    const trail = [];
    const { url } = serve(context, {
      upgrade: (res, req, token) => {
        accept(res, req, token);
        trail.push('returned');
      },
      open: () => trail.push('open'),
    });
    await connect(context, url);
    assert.deepEqual(trail, ['open', 'returned']);
  });

  test('copies the own properties of the user data onto ws', BOUND, async (context) => {
    class User {
      name = 'ann';
      deep = { same: true };
      inherited() {}
    }
    const user = Object.assign(new User(), {
      get rank() {
        return 1;
      },
    });
    const { ws } = await pair(context, { upgrade: (res, req, token) => accept(res, req, token, user) });
    assert.deepEqual(Object.entries(ws), [
      ['name', 'ann'],
      ['deep', user.deep],
      ['rank', 1],
    ]);
    assert.equal(ws.deep, user.deep);
    assert.equal(ws.inherited, undefined);
  });

  test('after an await', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: async (res, req, token) => {
        res.onAborted(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
        accept(res, req, token, { later: true });
      },
      open: (ws) => ws.send(`${ws.later}`),
    });
    assert.equal(await (await connect(context, url)).text(), 'true');
  });

  test('aborted while pending: onAborted, once', BOUND, async (context) => {
    const trail = new Queue();
    const { url } = serve(context, {
      upgrade: (res) => {
        res.onAborted(() => trail.push('replaced'));
        res.onAborted(() => trail.push('aborted'));
        trail.push('asked');
      },
    });
    const socket = dial(context, url);
    assert.equal(await trail.next(), 'asked');
    socket.terminate();
    assert.equal(await trail.next(), 'aborted');
    assert.deepEqual(trail.all, ['asked', 'aborted']);
  });

  test('custom header lines on the 101', BOUND, async (context) => {
    const { url } = serve(context, {
      upgrade: (res, req, token) => {
        res
          .writeStatus('101 Switching Protocols')
          .writeHeader('Set-Cookie', 'a=1')
          .writeHeader('Set-Cookie', 'b=2');
        accept(res, req, token);
      },
    });
    const socket = dial(context, url);
    const response = await new Promise((resolve) => socket.on('upgrade', resolve));
    assert.deepEqual([response.statusCode, response.headers['set-cookie']], [101, ['a=1', 'b=2']]);
  });

  test('chooses the subprotocol', BOUND, async (context) => {
    for (const [chosen, expected] of [
      ['b', 'b'],
      ['c, a', 'c'],
    ]) {
      const { url } = serve(context, {
        upgrade: (res, req, token) => res.upgrade({}, req.getHeader('sec-websocket-key'), chosen, '', token),
      });
      const socket = dial(context, url, ['a', 'b', 'c']);
      await new Promise((resolve) => socket.on('open', resolve));
      assert.equal(socket.protocol, expected);
    }
  });

  test('sends, subscriptions and closes of open take effect in order', BOUND, async (context) => {
    const { app, url, events } = observe(context, {
      upgrade: accept,
      open: (ws) => {
        ws.send('1');
        ws.subscribe('a');
        app.publish('a', '2');
        ws.unsubscribe('a');
        app.publish('a', 'unheard');
        ws.cork(() => ws.send('3'));
        ws.end(4001, 'enough');
      },
    });
    const socket = dial(context, url);
    const got = [];
    socket.on('message', (data) => got.push(String(data)));
    const [code, reason] = await new Promise((resolve) => socket.on('close', (...values) => resolve(values)));
    assert.deepEqual([got, code, String(reason)], [['1', '2', '3'], 4001, 'enough']);
    assert.deepEqual(await nextClose(events), [4001, 'enough']);
  });
});
