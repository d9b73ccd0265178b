'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { App } = require('tidewire');
const { connect } = require('./support/client');
const { ask, requestText, serveHttp, speak } = require('./support/http');
const { BOUND } = require('./support/server');

const METHODS = {
  get: 'GET',
  post: 'POST',
  options: 'OPTIONS',
  del: 'DELETE',
  patch: 'PATCH',
  put: 'PUT',
  connect: 'CONNECT',
  trace: 'TRACE',
};

/** A handler that says its name, and what it sees. */
const says = (name) => (res, req) => {
  res.end(`${name} ${req.getParameter(0) ?? ''}`.trim());
};

/** The answers to paths, by GET, of an App with these GET routes. */
async function answers(context, patterns, paths) {
  const { port } = serveHttp(context, (app) => {
    for (const pattern of patterns) app.get(pattern, says(pattern));
  });
  const texts = [];
  for (const path of paths) {
    const { status, text } = await ask(port, path);
    texts.push(status === 200 ? text : status);
  }
  return texts;
}

describe('get post options del patch put head connect trace any', () => {
  test('answer their own method, and all chain', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      for (const name of [...Object.keys(METHODS), 'head']) {
        assert.equal(
          app[name]('/own', (res, req) => res.writeHeader('by', name).end(req.getMethod())),
          app,
        );
      }
      assert.equal(
        app.any('/any', (res, req) => res.end(req.getCaseSensitiveMethod())),
        app,
      );
    });
    for (const [name, method] of Object.entries(METHODS)) {
      // Node's client takes an answer to CONNECT for a tunnel.
      const raw = await speak(context, port, requestText(method, '/own', ['Connection: close']));
      const text = await raw.all();
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/, name);
      assert.match(text, new RegExp(`\r\nby: ${name}\r\n`));
      // A 2xx for CONNECT has no body (RFC 9110 §9.3.6).
      assert.ok(text.endsWith(`\r\n\r\n${method === 'CONNECT' ? '' : method.toLowerCase()}`), text);
      const any = await speak(context, port, requestText(method, '/any', ['Connection: close']));
      assert.ok((await any.all()).endsWith(`\r\n\r\n${method === 'CONNECT' ? '' : method}`));
    }
    const { status, headers, text } = await ask(port, '/own', { method: 'HEAD' });
    assert.deepEqual([status, headers.by, headers['content-length'], text], [200, 'head', '4', '']);
  });

  test('leave other methods alone: 404', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => app.get('/', says('get')));
    for (const method of ['POST', 'PUT', 'HEAD'])
      assert.equal((await ask(port, '/', { method })).status, 404);
  });

  test('any takes methods that have no route of their own', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.any('/*', (res, req) => res.end(`${req.getMethod()} ${req.getCaseSensitiveMethod()}`));
    });
    const { text } = await ask(port, '/', { method: 'PROPFIND' });
    assert.equal(text, 'propfind PROPFIND');
  });
});

describe('routing', () => {
  test('is by specificity, not by order: static, then :param, then *', BOUND, async (context) => {
    const patterns = ['/*', '/a/*', '/a/:x', '/a/b', '/:y/b', '/a/:x/c'];
    const paths = ['/a/b', '/a/c', '/x/b', '/a/b/c', '/a/b/d', '/x', '/'];
    const expected = ['/a/b', '/a/:x c', '/:y/b x', '/a/:x/c b', '/a/*', '/*', '/*'];
    assert.deepEqual(await answers(context, patterns, paths), expected);
    assert.deepEqual(await answers(context, [...patterns].reverse(), paths), expected);
  });

  test('tries the tree of the method before that of any', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.any('/r/static', says('any')).get('/r/*', says('get'));
    });
    assert.equal((await ask(port, '/r/static')).text, 'get');
    assert.equal((await ask(port, '/r/static', { method: 'POST' })).text, 'any');
  });

  test('* matches any rest', BOUND, async (context) => {
    const paths = ['/a/', '/a/b', '/a/b/c/', '/b'];
    assert.deepEqual(await answers(context, ['/a/*'], paths), ['/a/*', '/a/*', '/a/*', 404]);
    assert.deepEqual(await answers(context, ['*'], ['/', '/x/y?z']), ['*', '*']);
  });

  test('/a/ is not /a', BOUND, async (context) => {
    assert.deepEqual(await answers(context, ['/a'], ['/a', '/a/', '/a?b=/']), ['/a', 404, '/a']);
    assert.deepEqual(await answers(context, ['/a/'], ['/a', '/a/']), [404, '/a/']);
  });

  test('does not decode parameters', BOUND, async (context) => {
    assert.deepEqual(await answers(context, ['/:x'], ['/a%2Fb%20c', '/%41']), ['/:x a%2Fb%20c', '/:x %41']);
  });

  test('an empty segment never matches :param', BOUND, async (context) => {
    assert.deepEqual(await answers(context, ['/:x', '/:x/:y'], ['/', '/a/', '//a', '/a']), [
      404,
      404,
      404,
      '/:x a',
    ]);
  });

  test('setYield(true) goes on to the next match', BOUND, async (context) => {
    const order = [];
    const yields = (name) => (res, req) => {
      order.push(name);
      res.writeStatus('403 Forbidden').writeHeader('left', 'behind');
      assert.equal(req.setYield(true), req);
    };
    const { port, app } = serveHttp(context, (app) => {
      app.get('/a/b', yields('static')).get('/a/:x', yields('parameter')).get('/a/*', yields('rest'));
      app.any('/a/b', yields('any'));
    });
    assert.equal((await ask(port, '/a/b')).status, 404);
    assert.deepEqual(order.splice(0), ['static', 'parameter', 'rest', 'any']);
    app.any('/*', (res, req) => {
      req.setYield(true).setYield(false);
      res.end('the last');
    });
    const { status, headers, text } = await ask(port, '/a/b');
    assert.deepEqual([status, headers.left, text], [200, undefined, 'the last']);
  });

  test('nothing matches: 404', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => app.get('/a', says('a')));
    const raw = await speak(context, port, requestText('GET', '/b') + requestText('GET', '/a'));
    assert.match(await raw.hear(/HTTP\/1\.1 200 OK/), /^HTTP\/1\.1 404 Not Found\r\n/);
  });
});

describe('the same pattern again', () => {
  test('replaces, and null as a handler removes the route', BOUND, async (context) => {
    const { port, app } = serveHttp(context, (app) => app.get('/', says('first')).any('/', says('any')));
    const texts = [];
    const look = async () => texts.push((await ask(port, '/')).text);
    await look();
    app.get('/', says('second'));
    await look();
    assert.equal(app.get('/', null), app);
    await look();
    app.get('/', null).get('/none', null).get('/', says('third'));
    await look();
    assert.deepEqual(texts, ['first', 'second', 'any', 'third']);
  });

  test('leaves a request with the handler that has it', BOUND, async (context) => {
    let answer;
    const asked = new Promise((resolve) => {
      answer = resolve;
    });
    const { port, app } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        answer(res);
      });
    });
    const pending = ask(port, '/');
    const res = await asked;
    app.get('/', says('second'));
    assert.equal((await ask(port, '/')).text, 'second');
    res.end('first');
    assert.equal((await pending).text, 'first');
  });
});

test('a non-function throws', (context) => {
  const app = App();
  context.after(() => app.close());
  for (const name of [...Object.keys(METHODS), 'head', 'any']) {
    for (const handler of [undefined, 1, 'text', {}, new Uint8Array(3)]) {
      assert.throws(() => app[name]('/', handler), {
        name: 'TypeError',
        code: 'TIDEWIRE_INVALID_TYPE',
        message: new RegExp(`\`handler\` of App\\.${name}\\('/'\\)`),
      });
    }
    assert.throws(() => app[name](1, () => {}), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
    assert.throws(() => app[name]('/*/b', () => {}), {
      name: 'RangeError',
      code: 'TIDEWIRE_INVALID_PATTERN',
    });
  }
});

test('routes that are added while the App listens are served', BOUND, async (context) => {
  const { port, app } = serveHttp(context, () => {});
  assert.equal((await ask(port, '/')).status, 404);
  app.get('/', says('late'));
  assert.equal((await ask(port, '/')).text, 'late');
});

describe('WebSockets and HTTP on one pattern', () => {
  test('get each their requests', BOUND, async (context) => {
    const { port, app } = serveHttp(context, (app) => {
      app.get('/*', says('page')).ws('/*', { open: (ws) => ws.send('socket') });
    });
    assert.equal((await ask(port, '/x')).text, 'page');
    assert.equal(await (await connect(context, `ws://127.0.0.1:${port}/x`)).text(), 'socket');
    // Without the HTTP route, a request that asks for no WebSocket is told so.
    app.get('/*', null);
    assert.equal((await ask(port, '/x')).status, 426);
    assert.equal(app.ws('/*', null), app);
    assert.equal((await ask(port, '/x')).status, 404);
    assert.throws(() => app.ws('/', undefined), { code: 'TIDEWIRE_INVALID_TYPE' });
  });

  test('an upgrade handler that yields leaves its request to HTTP', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/*', says('page')).ws('/*', { upgrade: (_res, req) => void req.setYield(true) });
    });
    const lines = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    const raw = await speak(context, port, requestText('GET', '/', [...lines, key]));
    assert.match(await raw.hear(/page$/), /^HTTP\/1\.1 200 OK\r\n/);
  });
});
