'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { OVER, ask, pause, requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { BOUND, text: textOf } = require('./support/server');

const MIB = 1024 * 1024;

/** The answer to one request that a handler answers. */
async function answer(context, handler, options) {
  const { port } = serveHttp(context, (app) => app.any('/*', handler));
  return ask(port, '/', options);
}

/** Calls `use` with a response, which is ended behind it. */
async function using(context, use) {
  let failure = null;
  const { status } = await answer(context, (res, req) => {
    try {
      use(res, req);
    } catch (error) {
      failure = error;
    }
    res.endWithoutBody();
  });
  if (failure) throw failure;
  assert.equal(status, 200);
}

/** Lines of a header, with their names as they were sent. */
const lines = ({ rawHeaders }) =>
  rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));

describe('the head of a response', () => {
  test('writeStatus: 200 OK without it, and the first call counts', BOUND, async (context) => {
    const plain = await answer(context, (res) => res.end('a'));
    assert.deepEqual([plain.status, plain.phrase], [200, 'OK']);
    const own = await answer(context, (res) => {
      assert.equal(res.writeHeader('x', 'y').writeStatus('418 Short Pot'), res);
      res.writeStatus('200 OK').end();
    });
    assert.deepEqual([own.status, own.phrase], [418, 'Short Pot']);
    const bytes = await answer(context, (res) => res.writeStatus(Buffer.from('404 Not There')).end());
    assert.deepEqual([bytes.status, bytes.phrase], [404, 'Not There']);
  });

  test('writeStatus and writeHeader refuse what is none', BOUND, (context) =>
    using(context, (res) => {
      for (const status of ['', '20', 'OK', '200 a\r\nb: c', '099 x', '2000']) {
        assert.throws(() => res.writeStatus(status), { name: 'RangeError', code: 'TIDEWIRE_INVALID_STATUS' });
      }
      for (const value of ['a\r\nb: c', 'a\nb', 'a\0b', Buffer.from('a\nb')]) {
        assert.throws(() => res.writeHeader('x-a', value), { code: 'TIDEWIRE_INVALID_HEADER' });
      }
      for (const name of ['', 'a b', 'a:', 'a\n', 'ä']) {
        assert.throws(() => res.writeHeader(name, 'a'), { code: 'TIDEWIRE_INVALID_HEADER' });
      }
      assert.throws(() => res.writeHeader('a', 1), { code: 'TIDEWIRE_TEXT_OR_DATA' });
      assert.throws(() => res.end({}), { code: 'TIDEWIRE_TEXT_OR_DATA' });
    }),
  );

  test('writeHeader: repeated names stay separate lines', BOUND, async (context) => {
    const response = await answer(context, (res) => {
      res.writeHeader('Set-Cookie', 'a=1').writeHeader('X-Two', '2').writeHeader('Set-Cookie', 'b=grün');
      res.end();
    });
    const cookies = lines(response).filter((line) => /^set-cookie/i.test(line));
    assert.deepEqual(
      cookies.map((line) => Buffer.from(line.split(': ')[1], 'latin1').toString()),
      ['a=1', 'b=grün'],
    );
    assert.equal(response.headers['x-two'], '2');
  });

  test('Date and Content-Length are set', BOUND, async (context) => {
    const { headers } = await answer(context, (res) => {
      res.writeHeader('Content-Length', '99').writeHeader('Transfer-Encoding', 'gzip').end('12345');
    });
    assert.equal(headers['content-length'], '5');
    assert.equal('transfer-encoding' in headers, false);
    assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 60_000);
  });

  test('behind content, a status is ignored and a header field refused', BOUND, async (context) => {
    const { status, text } = await answer(context, (res) => {
      res.write('a');
      res.writeStatus('500 Too Late');
      assert.throws(() => res.writeHeader('a', 'b'), { code: 'TIDEWIRE_HEAD_SENT' });
      assert.throws(() => res.upgrade({}, '', '', '', null), { code: 'TIDEWIRE_HEAD_SENT' });
      res.end('b');
    });
    assert.deepEqual([status, text], [200, 'ab']);
  });

  test('no informational status ends a response', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.writeStatus('103 Early Hints');
        for (const way of ['end', 'endWithoutBody', 'beginWrite']) {
          assert.throws(() => res[way](), { code: 'TIDEWIRE_INVALID_STATUS' });
        }
        assert.throws(() => res.write('a'), { code: 'TIDEWIRE_INVALID_STATUS' });
        assert.throws(() => res.tryEnd('a', 2), { code: 'TIDEWIRE_INVALID_STATUS' });
        res.close();
      });
    });
    assert.equal(await (await speak(context, port, requestText('GET', '/'))).all(), '');
  });
});

describe('res.end', () => {
  test('takes text, an ArrayBuffer, any view, a SharedArrayBuffer, or nothing', BOUND, async (context) => {
    const shared = new SharedArrayBuffer(2);
    new Uint8Array(shared).set([104, 105]);
    const view = new DataView(Buffer.from('-hi-').buffer, Buffer.from('-hi-').byteOffset + 1, 2);
    const bodies = [
      'hi',
      Buffer.from('hi'),
      Uint8Array.of(104, 105).buffer,
      new Uint16Array([0x6968]),
      shared,
    ];
    for (const body of bodies) assert.equal((await answer(context, (res) => res.end(body))).text, 'hi');
    assert.equal((await answer(context, (res) => res.end(view))).body.length, 2);
    assert.equal((await answer(context, (res) => res.end())).headers['content-length'], '0');
  });

  test('sends bodies of any length', BOUND, async (context) => {
    for (const length of [15, 16, 17, 1_000, 32_767, 32_768, 70_000, 3 * MIB]) {
      const bytes = Buffer.alloc(length, 'abcdefg');
      for (const body of [bytes, bytes.toString(), 'ü'.repeat(length / 2)]) {
        const { headers, body: received } = await answer(context, (res) =>
          res.writeHeader('a', 'b').end(body),
        );
        assert.equal(Number(headers['content-length']), Buffer.byteLength(body));
        assert.ok(received.equals(Buffer.from(body)));
      }
    }
  });

  test('with closeConnection ends the connection behind the response', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => res.end('bye', true)).get('/none', (res) => res.endWithoutBody(0, true));
      app.get('/stream', (res) => {
        res.write('a');
        res.end('b', true);
      });
    });
    for (const [path, ending] of [
      ['/', '\r\n\r\nbye'],
      ['/none', '\r\n\r\n'],
      ['/stream', '\r\n0\r\n\r\n'],
    ]) {
      // The second request finds no answer any more.
      const speaker = await speak(context, port, requestText('GET', path) + requestText('GET', path));
      const all = await speaker.all();
      assert.ok(all.endsWith(ending), all);
      assert.equal(all.split('HTTP/1.1 200').length, 2);
      if (path !== '/stream') assert.match(all, /\r\nconnection: close\r\n/);
    }
  });

  test('leaves the connection alive, also for pipelined requests', BOUND, async (context) => {
    let number = 0;
    const { port } = serveHttp(context, (app) => {
      app.get('/:delay', async (res, req) => {
        const mine = ++number;
        res.onAborted(() => {});
        // The first takes longest: the answers come in the order of the requests.
        await pause(Number(req.getParameter(0)));
        res.end(`answer ${mine}.`);
      });
    });
    const delays = [30, 10, 0, 5];
    const speaker = await speak(
      context,
      port,
      delays.map((delay) => requestText('GET', `/${delay}`)).join(''),
    );
    for (let at = 1; at <= delays.length; at++) await speaker.hear(new RegExp(`answer ${at}\\.`));
    assert.equal(speaker.heard, '');
  });
});

describe('responses without a body', () => {
  test('to HEAD have the length of the body', BOUND, async (context) => {
    const ways = {
      5: (res) => res.end('12345'),
      1234: (res) => res.endWithoutBody(1234),
      4321: (res) => res.endWithoutBody('4321'),
      7: (res) => res.tryEnd('1234567', 7),
    };
    for (const [length, way] of Object.entries(ways)) {
      const { headers, text } = await answer(context, way, { method: 'HEAD' });
      assert.deepEqual([headers['content-length'], text], [length, '']);
    }
    const { port } = serveHttp(context, (app) => {
      app.head('/', (res) => {
        for (let piece = 0; piece < 100; piece++) res.write('x'.repeat(10_000));
        res.end();
      });
      app.get('/', (res) => res.end('next'));
    });
    const speaker = await speak(context, port, requestText('HEAD', '/') + requestText('GET', '/'));
    assert.equal((await speaker.hear(/\r\n\r\nnext$/)).includes('xxx'), false);
  });

  test('with 204 and 304', BOUND, async (context) => {
    for (const status of ['204 No Content', '304 Not Modified']) {
      const { port } = serveHttp(context, (app) => {
        app.get('/', (res) => res.writeStatus(status).end('nothing of this'));
        app.get('/stream', (res) => {
          res.writeStatus(status).write('nor of this');
          res.end();
        });
        app.get('/next', (res) => res.end('next'));
      });
      for (const path of ['/', '/stream']) {
        const speaker = await speak(context, port, requestText('GET', path) + requestText('GET', '/next'));
        const all = await speaker.hear(/\r\n\r\nnext$/);
        assert.ok(all.startsWith(`HTTP/1.1 ${status}\r\n`));
        assert.doesNotMatch(all, /of this/);
      }
    }
  });

  test('endWithoutBody', BOUND, async (context) => {
    const { headers, text } = await answer(context, (res) => assert.equal(res.endWithoutBody(), res));
    assert.deepEqual([headers['content-length'], text], ['0', '']);
    await using(context, (res) => {
      for (const length of [-1, 0.5, Number.NaN]) {
        assert.throws(() => res.endWithoutBody(length), { code: 'TIDEWIRE_OUT_OF_RANGE' });
      }
      for (const length of ['', '-1', '1 byte', null]) {
        assert.throws(() => res.endWithoutBody(length), { code: 'TIDEWIRE_INVALID_TYPE' });
      }
    });
  });
});

describe('a response in pieces', () => {
  test('write, end: chunked, with the head before the first piece', BOUND, async (context) => {
    const { headers, text } = await answer(context, (res) => {
      res.writeStatus('201 Created').writeHeader('a', 'b');
      assert.equal(res.write(''), true);
      for (const piece of ['one ', Buffer.from('two '), 'drei ü ']) assert.equal(res.write(piece), true);
      res.end('last');
    });
    assert.equal(text, 'one two drei ü last');
    assert.deepEqual([headers.a, headers['transfer-encoding']], ['b', 'chunked']);
  });

  test('comes piece by piece', BOUND, async (context) => {
    const responses = new Queue();
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        assert.equal(res.beginWrite(), res);
        responses.push(res.beginWrite());
      });
    });
    const speaker = await speak(context, port, requestText('GET', '/'));
    const res = await responses.next();
    assert.match(await speaker.hear('\r\n\r\n'), /\r\ntransfer-encoding: chunked\r\n/);
    res.write('first');
    await speaker.hear('5\r\nfirst\r\n');
    res.cork(() => res.write('second'));
    await speaker.hear('6\r\nsecond\r\n');
    res.end();
    await speaker.hear('0\r\n\r\n');
  });

  test('getWriteOffset counts bytes', BOUND, (context) =>
    answer(context, (res) => {
      assert.equal(res.getWriteOffset(), 0);
      res.write('ü');
      assert.equal(res.getWriteOffset(), 2);
      res.write(new Uint8Array(100_000));
      assert.equal(res.getWriteOffset(), 100_002);
      res.end();
    }),
  );

  test('tryEnd of a small body ends it, with its length', BOUND, async (context) => {
    for (const total of [undefined, 0, 4]) {
      const { headers, text } = await answer(context, (res) => {
        assert.deepEqual(res.tryEnd('body', total), [true, true]);
        assert.throws(() => res.tryEnd('body', total), OVER);
      });
      assert.deepEqual([headers['content-length'], text], ['4', 'body']);
    }
  });

  test('tryEnd in chunks', BOUND, async (context) => {
    const { headers, text } = await answer(context, (res) => {
      assert.deepEqual(res.tryEnd('abc', 8), [true, false]);
      assert.deepEqual(res.tryEnd('', 8), [true, false]);
      assert.equal(res.write('de'), true);
      assert.equal(res.getWriteOffset(), 5);
      assert.throws(() => res.tryEnd('fghi', 8), { name: 'RangeError', code: 'TIDEWIRE_CONTENT_TOO_LONG' });
      assert.throws(() => res.end('fghi'), { code: 'TIDEWIRE_CONTENT_TOO_LONG' });
      assert.deepEqual(res.tryEnd('fgh', 8), [true, true]);
    });
    assert.deepEqual(
      [headers['content-length'], headers['transfer-encoding'], text],
      ['8', undefined, 'abcdefgh'],
    );
  });

  test('tryEnd behind write ends the response', BOUND, async (context) => {
    const { text } = await answer(context, (res) => {
      res.write('a');
      assert.deepEqual(res.tryEnd('b', 100), [true, true]);
    });
    assert.equal(text, 'ab');
  });

  test('one that ends short of its length ends the connection', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/', async (res) => {
        res.onAborted(() => {});
        res.tryEnd('abc', 10);
        await pause(20);
        res.end('d');
      });
    });
    const speaker = await speak(context, port, requestText('GET', '/'));
    assert.match(await speaker.all(), /content-length: 10\r\n(.*\r\n)*\r\nabcd?$/);
  });
});

describe('a client that reads slowly', () => {
  const BODY = 24 * MIB;

  /** A request whose answer is not read, until `read` is called. */
  async function slow(context, port) {
    const request = http.get({ port, host: '127.0.0.1', agent: false, path: '/' });
    context.after(() => request.destroy());
    const [response] = await once(request, 'response');
    response.pause();
    return async () => {
      let bytes = 0;
      for await (const piece of response) bytes += piece.length;
      return bytes;
    };
  }

  test('write says false, and onWritable when there is room', BOUND, async (context) => {
    const events = new Queue();
    const piece = Buffer.alloc(64 * 1024, 'x');
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        let most = 0;
        const fill = () => {
          const before = res.getWriteOffset();
          while (res.getWriteOffset() < BODY) {
            if (!res.write(piece)) {
              most = Math.max(most, res.getWriteOffset() - before);
              events.push(['full', most]);
              return true;
            }
          }
          res.end();
          events.push(['done', most]);
          return true;
        };
        res.onWritable((offset) => {
          assert.equal(offset, res.getWriteOffset());
          return fill();
        });
        fill();
      });
    });
    const read = await slow(context, port);
    const [what] = await events.next();
    assert.equal(what, 'full');
    assert.equal(await read(), BODY);
    const [last, most] = events.all.at(-1);
    assert.equal(last, 'done');
    // So much at most was written between two words of room.
    assert.ok(most <= 1024 * 1024, `${most}`);
  });

  test('tryEnd takes what is welcome, and onWritable goes on from the offset', BOUND, async (context) => {
    const body = Buffer.alloc(BODY);
    for (let at = 0; at < BODY; at += 4096) body.writeUInt32LE(at, at);
    const events = new Queue();
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        res.onWritable((offset) => {
          const [ok, done] = res.tryEnd(body.subarray(offset), BODY);
          assert.equal(ok, done);
          if (done) events.push('done');
          return ok;
        });
        assert.deepEqual(res.tryEnd(body, BODY), [false, false]);
        assert.ok(res.getWriteOffset() > 0 && res.getWriteOffset() <= 256 * 1024);
        assert.deepEqual(res.tryEnd(body.subarray(res.getWriteOffset()), BODY), [false, false]);
      });
    });
    const { headers, body: received } = await ask(port, '/');
    assert.equal(headers['content-length'], `${BODY}`);
    assert.ok(received.equals(body));
    assert.equal(await events.next(), 'done');
  });

  test('onWritable that is set late is told of the room that came before', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/', async (res) => {
        res.onAborted(() => {});
        assert.equal(res.write(Buffer.alloc(MIB)), false);
        await pause(200);
        res.onWritable(() => {
          res.end('now');
          return true;
        });
      });
    });
    assert.equal((await ask(port, '/')).body.length, MIB + 3);
  });
});

describe('HttpResponse', () => {
  test('cork runs the callback at once, and returns the response', BOUND, async (context) => {
    const { text } = await answer(context, (res) => {
      assert.throws(() => res.cork(), { code: 'TIDEWIRE_INVALID_TYPE' });
      assert.equal(
        res.cork(() => res.writeStatus('200 OK').end('corked')),
        res,
      );
    });
    assert.equal(text, 'corked');
  });

  test('upgrade outside of upgrade handlers throws, and names the route', BOUND, (context) =>
    using(context, (res) => {
      assert.throws(() => res.upgrade({}, '', '', '', null), {
        code: 'TIDEWIRE_NO_UPGRADE',
        message: /App\.any\('\/\*'\)/,
      });
    }),
  );

  test('getRemoteAddress, …AsText, getRemotePort', BOUND, async (context) => {
    let port;
    await using(context, (res) => {
      assert.deepEqual(Buffer.from(res.getRemoteAddress()), Buffer.from([127, 0, 0, 1]));
      assert.equal(textOf(res.getRemoteAddressAsText()), '127.0.0.1');
      port = res.getRemotePort();
    });
    assert.ok(port > 0);
    const { port: dual } = serveHttp(
      context,
      (app) => app.get('/', (res) => res.end(Buffer.from(res.getRemoteAddress()).toString('hex'))),
      { host: '::' },
    );
    assert.equal((await ask(dual, '/')).text, '00000000000000000000ffff7f000001');
    assert.equal((await ask(dual, '/', { host: '::1' })).text, `${'0'.repeat(31)}1`);
  });

  test('getX509Certificate is empty without TLS', BOUND, (context) =>
    using(context, (res) => assert.equal(res.getX509Certificate(), '')),
  );

  test('any property may be set on it', BOUND, (context) =>
    using(context, (res) => {
      res.mine = { any: 'thing' };
      assert.deepEqual(res.mine, { any: 'thing' });
    }),
  );

  test('after end, every method throws the sentence of uWebSockets.js', BOUND, async (context) => {
    const ways = {
      end: (res) => res.end(),
      endWithoutBody: (res) => res.endWithoutBody(),
      tryEnd: (res) => res.tryEnd('a'),
      stream: (res) => res.beginWrite().end(),
      close: (res) => res.close(),
    };
    for (const [name, way] of Object.entries(ways)) {
      const responses = new Queue();
      const { port } = serveHttp(context, (app) => {
        app.get('/', (res) => {
          way(res);
          responses.push(res);
        });
      });
      await speak(context, port, requestText('GET', '/'));
      const res = await responses.next();
      const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(res)).slice(1);
      assert.equal(methods.length, 26, `${methods}`);
      for (const method of methods) assert.throws(() => res[method](''), OVER, `${method} behind ${name}`);
    }
  });
});
