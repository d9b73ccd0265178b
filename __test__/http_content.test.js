'use strict';

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const http = require('node:http');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { runScript } = require('./support/child');
const { answerOf, ask, pause, requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { BOUND, text: textOf } = require('./support/server');

const MIB = 1024 * 1024;
const UNKNOWN = 2n ** 64n - 1n;

/** A server whose POST handler gets the response alone, with `onAborted` set. */
function serveContent(context, handler) {
  return serveHttp(context, (app) => {
    app.any('/*', (res, req) => {
      res.onAborted(() => {});
      return handler(res, req);
    });
  });
}

/** Sends a body in chunks (RFC 9112 §7.1), piece by piece. */
async function askChunked(port, pieces) {
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false });
  for (const piece of pieces) request.write(piece);
  request.end();
  const [response] = await once(request, 'response');
  return answerOf(response);
}

describe('onData(chunk, isLast)', () => {
  test('gets all of the content, in order, and says which chunk is the last', BOUND, async (context) => {
    const body = Buffer.alloc(3 * MIB);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    const { port } = serveContent(context, (res) => {
      const hash = createHash('sha1');
      let lasts = 0;
      const returned = res.onData((chunk, isLast) => {
        assert.ok(chunk instanceof ArrayBuffer);
        hash.update(new Uint8Array(chunk));
        if (isLast) res.end(`${++lasts} ${hash.digest('hex')}`);
      });
      assert.equal(returned, res);
    });
    const expected = `1 ${createHash('sha1').update(body).digest('hex')}`;
    assert.equal((await ask(port, '/', { method: 'POST', body })).text, expected);
    assert.equal((await askChunked(port, [body.subarray(0, 7), body.subarray(7)])).text, expected);
    assert.equal((await ask(port, '/', { method: 'PUT', body })).text, expected);
  });

  test('has one empty chunk where there is no content', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.onData((chunk, isLast) => res.end(`${chunk.byteLength} ${isLast}`));
    });
    assert.equal((await ask(port, '/')).text, '0 true');
    assert.equal((await ask(port, '/', { method: 'POST', body: '' })).text, '0 true');
    assert.equal((await askChunked(port, [])).text, '0 true');
  });

  test('chunks stay valid for ever', BOUND, async (context) => {
    const chunks = [];
    const { port } = serveContent(context, (res) => {
      res.onData((chunk, isLast) => {
        chunks.push(chunk);
        if (isLast) res.end();
      });
    });
    const bodies = Array.from({ length: 50 }, (_, number) => `body ${number} `.repeat(1 + number * 40));
    for (const body of bodies) await ask(port, '/', { method: 'POST', body });
    assert.equal(Buffer.concat(chunks.map((chunk) => new Uint8Array(chunk))).toString(), bodies.join(''));
  });

  test('can be asked for late: nothing is lost', BOUND, async (context) => {
    const { port } = serveContent(context, async (res) => {
      await pause(50);
      let text = '';
      res.onData((chunk, isLast) => {
        text += textOf(chunk);
        if (isLast) res.end(text);
      });
    });
    const body = 'x'.repeat(300_000);
    assert.equal((await ask(port, '/', { method: 'POST', body })).text, body);
  });

  test('the last handler counts', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.onData(() => assert.fail('it was replaced'));
      res.onData((chunk) => res.end(chunk));
      assert.throws(() => res.onData(null), { code: 'TIDEWIRE_INVALID_TYPE' });
    });
    assert.equal((await ask(port, '/', { method: 'POST', body: 'b' })).text, 'b');
  });

  test('bytes that come one by one are delivered', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => res.collectBody(100, (body) => res.end(body)));
    const speaker = await speak(context, port, requestText('POST', '/', ['Transfer-Encoding: chunked']));
    for (const letter of '5\r\nhello\r\n1;a="b"\r\n!\r\n0\r\ntrailer: x\r\n\r\n') speaker.say(letter);
    await speaker.hear(/\r\n\r\nhello!$/);
  });
});

describe('onDataV2(chunk, maxRemaining), maxRemainingBodyLength', () => {
  test('count down, with a Content-Length', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      assert.equal(res.maxRemainingBodyLength(), 300_000n);
      let expected = 300_000n;
      res.onDataV2((chunk, maxRemaining) => {
        expected -= BigInt(chunk.byteLength);
        assert.equal(maxRemaining, expected);
        assert.equal(res.maxRemainingBodyLength(), expected);
        if (maxRemaining === 0n) res.end('all');
      });
    });
    assert.equal((await ask(port, '/', { method: 'POST', body: 'x'.repeat(300_000) })).text, 'all');
  });

  test('do not know the length of chunks, until the last', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      const seen = new Set([res.maxRemainingBodyLength()]);
      res.onDataV2((_chunk, maxRemaining) => {
        if (maxRemaining !== 0n) seen.add(maxRemaining);
        else res.end([...seen].join());
      });
    });
    assert.equal((await askChunked(port, ['a', 'b'])).text, `${UNKNOWN}`);
  });

  test('are 0n without content', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.onDataV2((chunk, most) => res.end(`${chunk.byteLength} ${most} ${res.maxRemainingBodyLength()}`));
      assert.equal(res.maxRemainingBodyLength(), 0n);
    });
    assert.equal((await ask(port, '/')).text, '0 0 0');
  });
});

describe('collectBody(max, callback)', () => {
  test('gives one ArrayBuffer', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      let called = 0;
      const returned = res.collectBody(2 * MIB, (body) => {
        assert.ok(body instanceof ArrayBuffer);
        assert.equal(++called, 1);
        res.end(body);
      });
      assert.equal(returned, res);
      assert.equal(called, 0);
    });
    for (const length of [0, 1, 1_000, 100_000, 2 * MIB]) {
      const body = Buffer.alloc(length, 'abc');
      assert.ok((await ask(port, '/', { method: 'POST', body })).body.equals(body));
      assert.ok((await askChunked(port, length === 0 ? [] : [body])).body.equals(body));
    }
  });

  test('gives null for more than max, also before it has come', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      let returned = false;
      res.collectBody(1_000, (body) => {
        assert.ok(returned);
        res.writeStatus(body === null ? '413 Content Too Large' : '200 OK').end();
      });
      returned = true;
    });
    assert.equal((await ask(port, '/', { method: 'POST', body: 'x'.repeat(1_000) })).status, 200);
    assert.equal((await ask(port, '/', { method: 'POST', body: 'x'.repeat(1_001) })).status, 413);
    assert.equal((await askChunked(port, ['x'.repeat(999), 'xx'])).status, 413);
    const lines = ['Content-Length: 1000000000', 'Expect: 100-continue'];
    const speaker = await speak(context, port, requestText('POST', '/', lines));
    assert.match(await speaker.hear('\r\n\r\n'), /^HTTP\/1\.1 413 /);
    // One that never ends.
    const endless = await speak(context, port, requestText('POST', '/', ['Transfer-Encoding: chunked']));
    endless.say('3e9\r\n', 'x'.repeat(1_001), '\r\n');
    assert.match(await endless.hear('\r\n\r\n'), /^HTTP\/1\.1 413 /);
  });

  test('refuses what is no size and no function', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      for (const size of [-1, Number.NaN, '1', 1n, undefined]) {
        assert.throws(() => res.collectBody(size, () => {}), { code: 'TIDEWIRE_INVALID_TYPE' });
      }
      assert.throws(() => res.collectBody(1), { code: 'TIDEWIRE_INVALID_TYPE' });
      res.collectBody(Number.POSITIVE_INFINITY, (body) => res.end(body));
    });
    assert.equal((await ask(port, '/', { method: 'POST', body: 'b' })).text, 'b');
  });

  test('a million chunks of one byte cost a million bytes', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.collectBody(MIB, (body) => {
        globalThis.gc?.();
        res.end(`${body?.byteLength}`);
      });
    });
    const speaker = await speak(context, port, requestText('POST', '/', ['Transfer-Encoding: chunked']));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 20);
    const bytes = '1\r\nx\r\n'.repeat(50_000);
    for (let part = 0; part < 10; part++) {
      speaker.say(bytes);
      await pause(1);
    }
    speaker.say('0\r\n\r\n');
    await speaker.hear(/500000$/);
    clearInterval(watch);
    assert.ok(most < 64 * MIB, `${most}`);
  });
});

describe('pause, resume', () => {
  test('hold the content, in order', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      const chunks = [];
      let paused = false;
      res.onData((chunk, isLast) => {
        assert.equal(paused, false);
        chunks.push(new Uint8Array(chunk));
        if (isLast) {
          res.end(createHash('sha1').update(Buffer.concat(chunks)).digest('hex'));
          return;
        }
        paused = true;
        assert.equal(res.pause(), res);
        setTimeout(() => {
          paused = false;
          const before = chunks.length;
          assert.equal(res.resume(), res);
          assert.equal(chunks.length, before);
        }, 2);
      });
    });
    const body = Buffer.alloc(2 * MIB);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    const expected = createHash('sha1').update(body).digest('hex');
    assert.equal((await ask(port, '/', { method: 'POST', body })).text, expected);
    assert.equal((await askChunked(port, [body])).text, expected);
  });

  test('before anybody asks for content', BOUND, async (context) => {
    const { port } = serveContent(context, async (res) => {
      let called = false;
      res.pause().onData((chunk, isLast) => {
        called = true;
        if (isLast) res.end(chunk);
      });
      await pause(50);
      assert.equal(called, false);
      res.resume();
    });
    assert.equal((await ask(port, '/', { method: 'POST', body: 'b' })).text, 'b');
  });

  test('make the client wait: a large upload has bounded memory', BOUND, async (context) => {
    const responses = new Queue();
    let bytes = 0;
    const { port } = serveContent(context, (res) => {
      res.onData((chunk, isLast) => {
        bytes += chunk.byteLength;
        if (isLast) res.end(`${bytes}`);
      });
      res.pause();
      responses.push(res);
    });
    const body = Buffer.alloc(32 * MIB, 'x');
    // With what other tests have left, and is not collected yet.
    const before = process.memoryUsage().arrayBuffers;
    const answer = ask(port, '/', { method: 'POST', body });
    const res = await responses.next();
    await pause(300);
    assert.equal(bytes, 0);
    const { arrayBuffers } = process.memoryUsage();
    assert.ok(arrayBuffers - before < 16 * MIB, `${arrayBuffers} bytes, ${before} before`);
    res.resume();
    assert.equal((await answer).text, `${body.length}`);
  });
});

describe('the content of a request', () => {
  test('is asked for by 100 Continue, once somebody wants it', BOUND, async (context) => {
    const responses = new Queue();
    const { port } = serveContent(context, (res) => responses.push(res));
    const lines = ['Content-Length: 2', 'Expect: 100-continue'];
    const speaker = await speak(context, port, requestText('POST', '/', lines));
    const res = await responses.next();
    await pause(50);
    assert.equal(speaker.heard, '');
    res.collectBody(10, (body) => res.end(body));
    await speaker.hear('HTTP/1.1 100 Continue\r\n\r\n');
    speaker.say('ok');
    await speaker.hear(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)*\r\nok$/);
  });

  test('that a client was not asked for is not awaited: the connection ends', BOUND, async (context) => {
    const events = new Queue();
    const { port } = serveContent(context, (res, req) => {
      events.push(req.getUrl());
      if (req.getUrl() === '/whole') res.writeStatus('401 Unauthorized').end('no');
      else res.write('begun');
      if (req.getUrl() === '/begun') setImmediate(() => res.end());
    });
    for (const path of ['/whole', '/begun']) {
      const expects = ['Content-Length: 5', 'Expect: 100-continue'];
      const speaker = await speak(context, port, requestText('POST', path, expects));
      await speaker.hear('connection: close');
      speaker.say(requestText('GET', '/smuggled'));
      await speaker.ended;
      assert.equal(await events.next(), path);
    }
    assert.equal(events.all.length, 2);
  });

  test('behind a handler that yields to nobody is not awaited, either', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => app.post('/', (_res, req) => void req.setYield(true)));
    const speaker = await speak(context, port, requestText('POST', '/', ['Content-Length: 500000']));
    assert.match(await speaker.hear(/no route matches.*/), /404 Not Found[\s\S]*connection: close/);
    assert.equal(await speaker.ended, 'fin');
  });

  test('that nobody asked for is thrown away, and the connection lives', BOUND, async (context) => {
    const { port } = serveContent(context, (res, req) => res.end(`answer to ${req.getUrl()}.`));
    const first = requestText('POST', '/1', ['Content-Length: 1000'], 'x'.repeat(1000));
    const second = requestText('POST', '/2', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n');
    const speaker = await speak(context, port, first + second + requestText('GET', '/3'));
    for (const number of [1, 2, 3]) await speaker.hear(`answer to /${number}.`);
  });

  test('may go on behind the response', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.onData(() => res.end('enough'));
    });
    const { status, text } = await ask(port, '/', { method: 'POST', body: 'x'.repeat(400_000) });
    assert.deepEqual([status, text], [200, 'enough']);
  });

  test('comes while a response is written: an echo of any length', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.onData((chunk, isLast) => {
        if (!res.write(chunk)) {
          res.pause();
          res.onWritable(() => {
            res.resume();
            return true;
          });
        }
        if (isLast) res.end();
      });
    });
    const body = Buffer.alloc(4 * MIB);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false });
    request.end(body);
    const [response] = await once(request, 'response');
    assert.ok((await answerOf(response)).body.equals(body));
  });

  test('arrives also when JavaScript is blocked meanwhile', BOUND, async (context) => {
    const { port } = serveContent(context, (res) => {
      res.collectBody(MIB, (body) => res.end(`${body?.byteLength}`));
      // The body comes from another process, in the meantime.
      for (const end = performance.now() + 400; performance.now() < end; );
    });
    const child = runScript(
      context,
      (at) => {
        const request = require('node:http').request(
          { port: at, host: '127.0.0.1', method: 'POST' },
          (res) => {
            res.setEncoding('utf8').on('data', (text) => console.log(JSON.stringify(text)));
          },
        );
        request.end('x'.repeat(900_000));
      },
      port,
    );
    assert.equal(await child.value(), '900000');
  });

  test(
    'what its handler throws goes to uncaughtException, and the response is still open',
    BOUND,
    async (context) => {
      const child = runScript(context, () => {
        const { App, us_socket_local_port } = require('tidewire');
        const tell = (value) => console.log(JSON.stringify(value));
        process.on('uncaughtException', (error) => tell(error.message));
        const app = App().post('/', (res) => {
          res.onAborted(() => {});
          res.onData((_chunk, isLast) => {
            if (isLast) setTimeout(() => res.end('still'), 5);
            throw new Error('in onData');
          });
        });
        app.listen('127.0.0.1', 0, (token) => tell(us_socket_local_port(token)));
      });
      const port = await child.value();
      assert.equal((await ask(port, '/', { method: 'POST', body: 'b' })).text, 'still');
      assert.equal(await child.value(), 'in onData');
    },
  );
});
