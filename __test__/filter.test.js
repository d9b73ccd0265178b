'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { App } = require('tidewire');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { BOUND, text } = require('./support/server');

test('filter tells of connections that come and go', BOUND, async (context) => {
  const events = new Queue();
  const { port } = serveHttp(context, (app) => {
    const note = (res, count) =>
      events.push([text(res.getRemoteAddressAsText()), res.getRemotePort(), count]);
    assert.equal(app.filter(note), app);
    app.get('/', (res) => res.end('body'));
  });
  const speaker = await speak(context, port);
  const from = speaker.socket.localPort;
  assert.deepEqual(await events.next(), ['127.0.0.1', from, 1]);
  for (let at = 0; at < 3; at++) await speaker.say(requestText('GET', '/')).hear(/body$/);
  speaker.socket.destroy();
  assert.deepEqual(await events.next(), ['127.0.0.1', from, -1]);
  assert.equal(events.all.length, 2);
});

test('filter takes a connection that becomes a WebSocket for one that went', BOUND, async (context) => {
  const counts = new Queue();
  const { port } = serveHttp(context, (app) => {
    app.filter((_res, count) => counts.push(count)).ws('/*', {});
  });
  const client = await connect(context, `ws://127.0.0.1:${port}`);
  assert.deepEqual(await counts.take(2), [1, -1]);
  client.socket.close();
  await client.closed;
  assert.deepEqual(counts.all, [1, -1]);
});

test('the address that a filter got stays the same for as long as it is kept', BOUND, async (context) => {
  const visitors = [];
  const { port } = serveHttp(context, (app) => {
    app.filter((res, count) => count > 0 && visitors.push(res));
    app.post('/', (res) => {
      res.onAborted(() => {});
      res.collectBody(100, (body) => res.end(`${body.byteLength} bytes`));
    });
  });
  const speaker = await speak(context, port);
  const size = 'Content-Length: 64';
  await speaker.say(requestText('POST', '/', ['Expect: 100-continue', size])).hear(/ 100 .*\r\n\r\n/);
  // Where the address came, there is content now.
  await speaker.say('x'.repeat(64)).hear('64 bytes');
  assert.deepEqual(
    visitors.map((res) => text(res.getRemoteAddressAsText())),
    ['127.0.0.1'],
  );
});

test('several filters are called, and one that throws stops none', BOUND, async (context) => {
  const child = runScript(context, () => {
    const { App, us_socket_local_port } = require('tidewire');
    const tell = (value) => console.log(JSON.stringify(value));
    process.on('uncaughtException', (error) => tell(error.message));
    const app = App().filter(() => {
      throw new Error('in the filter');
    });
    app.listen('127.0.0.1', 0, (token) => tell(us_socket_local_port(token)));
    // Also one that is added while the App listens.
    app.filter((_res, count) => tell(count));
  });
  (await speak(context, await child.value())).socket.destroy();
  const told = [];
  while (told.length < 4) told.push(await child.value());
  assert.deepEqual(told, ['in the filter', 1, 'in the filter', -1]);
});

test('a filter has no request to answer', BOUND, async (context) => {
  const outcome = new Queue();
  const { port } = serveHttp(context, (app) => {
    const attempt = (res, count) => {
      if (count < 0) return;
      try {
        for (const method of ['end', 'write', 'beginWrite', 'close']) {
          assert.throws(() => res[method]('text'), { code: 'TIDEWIRE_NO_REQUEST' }, method);
        }
        assert.throws(() => res.endWithoutBody(), { code: 'TIDEWIRE_NO_REQUEST' });
        assert.throws(() => res.onData(() => {}), { code: 'TIDEWIRE_NO_REQUEST' });
        assert.equal(res.getProxiedRemoteAddress().byteLength, 0);
        outcome.push('good');
      } catch (error) {
        outcome.push(error);
      }
    };
    app.filter(attempt);
  });
  await speak(context, port);
  assert.equal(await outcome.next(), 'good');
});

test('filter wants a function', (context) => {
  const app = App();
  context.after(() => app.close());
  for (const value of [undefined, null, 1, {}]) {
    assert.throws(() => app.filter(value), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
  }
});
