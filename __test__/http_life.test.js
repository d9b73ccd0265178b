'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { runScript } = require('./support/child');
const { OVER, ask, pause, requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { BOUND } = require('./support/server');

/** Every method that has no meaning on a response that is over. */
const METHODS = ['end', 'write', 'tryEnd', 'writeStatus', 'onAborted', 'onData', 'pause', 'close', 'cork'];

describe('onAborted', () => {
  const ways = {
    'by FIN': (speaker) => speaker.socket.end(),
    'by reset': (speaker) => speaker.socket.resetAndDestroy(),
  };
  const moments = {
    'before the response': () => {},
    'in the middle of the response': (res) => res.write('begun'),
    'while content is awaited': (res) => res.onData(() => {}),
  };
  for (const [way, leave] of Object.entries(ways)) {
    for (const [moment, prepare] of Object.entries(moments)) {
      test(`is called once when the client leaves ${way}, ${moment}`, BOUND, async (context) => {
        const events = new Queue();
        const { port, app } = serveHttp(context, (app) => {
          app.any('/', (res) => {
            res.onAborted(() => assert.fail('it was replaced'));
            res.onAborted((...values) => {
              for (const method of METHODS) assert.throws(() => res[method](''), OVER, method);
              events.push(['aborted', ...values]);
            });
            prepare(res);
            events.push(['asked', res]);
          });
          app.get('/next', (res) => res.end('next'));
        });
        const speaker = await speak(context, port, requestText('POST', '/', ['Content-Length: 10'], 'abc'));
        const [, res] = await events.next();
        if (moment.includes('response')) await pause(30);
        leave(speaker);
        assert.deepEqual(await events.next(), ['aborted']);
        assert.throws(() => res.getRemotePort(), OVER);
        assert.equal((await ask(port, '/next')).text, 'next');
        assert.equal(events.all.length, 2);
        assert.equal(app.stats().connections, 0);
      });
    }
  }

  test('is called when content breaks the rules of chunks', BOUND, async (context) => {
    const events = new Queue();
    const { port } = serveHttp(context, (app) => {
      app.post('/', (res) => {
        res.onAborted(() => events.push('aborted'));
        res.onData((chunk) => events.push(Buffer.from(chunk).toString()));
      });
    });
    const speaker = await speak(context, port, requestText('POST', '/', ['Transfer-Encoding: chunked']));
    speaker.say('3\r\nabc\r\n');
    assert.equal(await events.next(), 'abc');
    speaker.say('no length\r\n');
    assert.equal(await events.next(), 'aborted');
    await speaker.ended;
  });

  test(
    'is called when content breaks off, and a response that was begun does not look whole',
    BOUND,
    async (context) => {
      const events = new Queue();
      const { port } = serveHttp(context, (app) => {
        app.post('/', (res) => {
          res.onAborted(() => events.push('aborted'));
          res.onData(() => res.write('begun'));
        });
      });
      for (const broken of ['no length\r\n', '']) {
        const request = requestText('POST', '/', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n');
        const speaker = await speak(context, port, request);
        await speaker.hear('begun');
        if (broken === '') speaker.socket.end();
        else speaker.say(broken);
        assert.equal(await events.next(), 'aborted');
        assert.equal(await speaker.all(), '\r\n', 'no chunk that ends it');
      }
    },
  );

  test(
    'is called for a response without content that goes on when the next request comes',
    BOUND,
    async (context) => {
      const events = new Queue();
      const { port } = serveHttp(context, (app) => {
        app.any('/', (res) => {
          res.onAborted(() => {
            assert.throws(() => res.write('more'), OVER);
            events.push('aborted');
          });
          res.write('without end');
        });
        app.get('/next', (res) => res.end('next'));
      });
      const speaker = await speak(
        context,
        port,
        requestText('HEAD', '/').repeat(20) + requestText('GET', '/next'),
      );
      await speaker.hear('next');
      for (let ended = 0; ended < 20; ended++) assert.equal(await events.next(), 'aborted');
      speaker.socket.destroy();
      assert.equal((await ask(port, '/next')).text, 'next');
      assert.equal(events.all.length, 20);
    },
  );

  test('is called by res.close, and by app.close', BOUND, async (context) => {
    const events = new Queue();
    const { port, app } = serveHttp(context, (app) => {
      app.get('/close', (res) => {
        res.onAborted(() => {
          assert.throws(() => res.end(), OVER);
          events.push('aborted');
        });
        assert.equal(res.close(), res);
        events.push('closed');
      });
      app.get('/wait', (res) => {
        res.onAborted(() => events.push('app closed'));
        events.push('waits');
      });
    });
    assert.equal(await (await speak(context, port, requestText('GET', '/close'))).all(), '');
    assert.deepEqual(await events.take(2), ['aborted', 'closed']);
    const speaker = await speak(context, port, requestText('GET', '/wait'));
    await events.next();
    app.close();
    assert.equal(events.all.at(-1), 'app closed');
    assert.equal(await speaker.all(), '');
  });

  test('is not called behind a response', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => res.onAborted(() => assert.fail('it was answered')).end('body'));
    });
    const speaker = await speak(context, port, requestText('GET', '/'));
    await speaker.hear(/body$/);
    speaker.socket.resetAndDestroy();
    assert.equal((await ask(port, '/')).text, 'body');
  });

  test('res.close in the middle of a response breaks it off', BOUND, async (context) => {
    const responses = new Queue();
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => {});
        res.write('begun');
        responses.push(res);
      });
    });
    const request = http.get({ port, host: '127.0.0.1', agent: false });
    const [response] = await once(request, 'response');
    (await responses.next()).close();
    await assert.rejects(async () => {
      for await (const piece of response) assert.equal(piece.toString(), 'begun');
    });
  });
});

describe('a handler that fails its client', () => {
  /** A server that prints what reaches the process. */
  function server() {
    const { App, us_socket_local_port } = require('tidewire');
    const tell = (value) => console.log(JSON.stringify(value));
    process.on('uncaughtException', (error) => tell(['exception', error.code ?? null, error.message]));
    process.on('unhandledRejection', (error) => tell(['rejection', error.code ?? null, error.message]));
    const fail = (message) => {
      throw new Error(message);
    };
    const wait = () => new Promise((resolve) => setTimeout(resolve, 5));
    const app = App()
      .get('/nothing/:at', () => {})
      .any('/any', (res) => res.onData(() => {}))
      .get('/async', async () => {})
      .get('/throws', (res) => {
        res
          .onAborted(() => tell('aborted'))
          .writeStatus('200 OK')
          .writeHeader('a', 'b');
        fail('before');
      })
      .get('/behind', (res) => {
        res.end('answered');
        fail('behind');
      })
      .get('/begun', (res) => {
        res.write('begun');
        fail('begun');
      })
      .get('/begun/nothing', (res) => {
        res.write('begun');
      })
      .get('/rejects/unasked', async () => {
        fail('rejects unasked');
      })
      .get('/rejects', async (res) => {
        res.onAborted(() => tell('aborted'));
        await wait();
        fail('rejects');
      })
      .get('/rejects/begun', async (res) => {
        res.onAborted(() => tell('aborted'));
        res.write('begun');
        await wait();
        fail('rejects begun');
      })
      .get('/rejects/behind', async (res) => {
        res.onAborted(() => {});
        await wait();
        res.end('answered');
        fail('rejects behind');
      })
      .ws('/socket', {
        upgrade: async (res) => {
          res.onAborted(() => {});
          await wait();
          fail('upgrade rejects');
        },
      })
      .get('/fine', (res) => res.end('fine'));
    app.listen('127.0.0.1', 0, (token) => tell(us_socket_local_port(token)));
  }

  test('gets 500 for it, and the process an error that names the route', BOUND, async (context) => {
    const child = runScript(context, server);
    const port = await child.value();
    for (const [path, name] of [
      ['/nothing/x', "App.get('/nothing/:at')"],
      ['/any', "App.any('/any')"],
      ['/async', "App.get('/async')"],
    ]) {
      assert.equal((await ask(port, path)).status, 500);
      const [kind, code, message] = await child.value();
      assert.deepEqual([kind, code], ['exception', 'TIDEWIRE_NO_ANSWER']);
      assert.ok(message.includes(name), message);
    }
    const thrown = await ask(port, '/throws');
    assert.deepEqual([thrown.status, thrown.headers.a], [500, undefined]);
    assert.deepEqual(await child.value(), ['exception', null, 'before']);
    assert.equal((await ask(port, '/behind')).text, 'answered');
    assert.deepEqual(await child.value(), ['exception', null, 'behind']);
    assert.equal((await ask(port, '/fine')).text, 'fine');
  });

  test('breaks off a response that was begun', BOUND, async (context) => {
    const child = runScript(context, server);
    const port = await child.value();
    const cut = async (path) => {
      const all = await (await speak(context, port, requestText('GET', path))).all();
      assert.equal(all.includes('0\r\n\r\n'), false);
    };
    await cut('/begun');
    assert.deepEqual(await child.value(), ['exception', null, 'begun']);
    await cut('/begun/nothing');
    assert.equal((await child.value())[1], 'TIDEWIRE_NO_ANSWER');
    await cut('/rejects/begun');
    assert.deepEqual(await child.value(), ['rejection', null, 'rejects begun']);
    assert.equal((await ask(port, '/fine')).text, 'fine');
  });

  test('whose promise is rejected: unhandledRejection, and 500', BOUND, async (context) => {
    const child = runScript(context, server);
    const port = await child.value();
    assert.equal((await ask(port, '/rejects')).status, 500);
    assert.deepEqual(await child.value(), ['rejection', null, 'rejects']);
    // Its error alone, and not that it gave no answer.
    assert.equal((await ask(port, '/rejects/unasked')).status, 500);
    assert.deepEqual(await child.value(), ['rejection', null, 'rejects unasked']);
    assert.equal((await ask(port, '/rejects/behind')).text, 'answered');
    assert.deepEqual(await child.value(), ['rejection', null, 'rejects behind']);
    const lines = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    const speaker = await speak(context, port, requestText('GET', '/socket', [...lines, key]));
    assert.match(await speaker.hear('\r\n\r\n'), /^HTTP\/1\.1 500 /);
    assert.deepEqual(await child.value(), ['rejection', null, 'upgrade rejects']);
  });
});

describe('a request', () => {
  test('may be answered much later, by whoever has its response', BOUND, async (context) => {
    const waiting = [];
    const { port } = serveHttp(context, (app) => {
      app.get('/', (res) => {
        res.onAborted(() => assert.fail('nobody left'));
        waiting.push(res);
        if (waiting.length === 100)
          setTimeout(() => waiting.reverse().forEach((one, at) => void one.end(`${at}`)), 20);
      });
    });
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(port, '/')));
    assert.equal(new Set(answers.map(({ text }) => text)).size, 100);
  });

  test('is served behind many others on one connection', BOUND, async (context) => {
    let number = 0;
    const { port } = serveHttp(context, (app) => app.get('/', (res) => res.end(`${number++};`)));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    context.after(() => agent.destroy());
    for (let at = 0; at < 300; at++) assert.equal((await ask(port, '/', { agent })).text, `${at};`);
    const speaker = await speak(context, port, requestText('GET', '/').repeat(1_000));
    await speaker.hear('1299;');
  });

  test('waits while JavaScript is blocked', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.get('/block', (res) => {
        for (const end = performance.now() + 300; performance.now() < end; );
        res.end('blocked');
      });
      app.get('/', (res) => res.end('fine'));
    });
    const answers = await Promise.all(['/block', '/', '/', '/'].map((path) => ask(port, path)));
    assert.deepEqual(
      answers.map(({ text }) => text),
      ['blocked', 'fine', 'fine', 'fine'],
    );
  });
});

describe('the process', () => {
  test('lives while a response is pending, and ends behind it', BOUND, async (context) => {
    const child = runScript(context, () => {
      const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');
      let listener;
      App()
        .get('/', (res) => {
          res.onAborted(() => {});
          us_listen_socket_close(listener);
          setTimeout(() => res.end('the last', true), 100).unref();
        })
        .listen('127.0.0.1', 0, (token) => {
          listener = token;
          console.log(us_socket_local_port(token));
        });
    });
    const port = await child.value();
    assert.equal((await ask(port, '/')).text, 'the last');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });

  test('listens again when the threads have ended', BOUND, async (context) => {
    const { port, app } = serveHttp(context, (app) => app.get('/', (res) => res.end('again')));
    assert.equal((await ask(port, '/')).text, 'again');
    app.close();
    await pause(50);
    const { us_socket_local_port } = require('tidewire');
    const token = await app.listen('127.0.0.1', 0);
    assert.equal((await ask(us_socket_local_port(token), '/')).text, 'again');
  });
});
