'use strict';

/** What handlers leave to microtasks and to `process.nextTick` runs before the end of their connection is told. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { TEXT, closeFrame, connectRaw, frame } = require('./support/raw_client');
const { BOUND, serve, text } = require('./support/server');

/** Lets what was written come to the server while JavaScript, which both are in, does nothing. */
function block() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
}

/** Leaves word to all that runs before the event loop goes on. */
async function leave(told, ...values) {
  process.nextTick(() => told.push(['tick', ...values]));
  for (let left = 0; left < 10; left++) await null;
  told.push(['awaited', ...values]);
}

describe('behind messages and a close frame that come at once', () => {
  test('the messages are seen to before the close handler runs', BOUND, async (context) => {
    const told = new Queue();
    const { port } = serve(context, {
      message: (_ws, message) => leave(told, text(message)),
      close: (_ws, code) => told.push(['close', code]),
    });
    const client = await connectRaw(context, port);
    client.write(frame(TEXT, 'one'), frame(TEXT, 'two'), closeFrame(1000));
    block();
    const all = await told.take(5);
    assert.deepEqual(all.pop(), ['close', 1000]);
    const both = ['one', 'two'].flatMap((word) => [`awaited,${word}`, `tick,${word}`]);
    assert.deepEqual(all.map(String).sort(), both.sort());
  });

  test('each of many has its own before its close, and nobody waits for ever', BOUND, async (context) => {
    const COUNT = 100;
    const told = new Queue();
    let names = 0;
    const { port } = serve(context, {
      open: (ws) => {
        ws.name = names++;
      },
      message: (ws, message) => leave(told, ws.name, text(message)),
      close: (ws) => told.push(['close', ws.name]),
    });
    const clients = [];
    while (clients.length < COUNT) clients.push(await connectRaw(context, port));
    for (const [index, client] of clients.entries()) {
      if (index % 2 === 0) client.write(frame(TEXT, 'last'), closeFrame(1000));
      else client.write(closeFrame(1000));
    }
    block();
    const all = await told.take(2 * COUNT);
    for (let name = 0; name < COUNT; name++) {
      const own = all.filter((values) => values[1] === name).map(([what]) => what);
      assert.equal(own.at(-1), 'close');
      assert.equal(own.length, name % 2 === 0 ? 3 : 1);
    }
  });
});

test('behind a request whose client is gone already, before onAborted', BOUND, async (context) => {
  const told = new Queue();
  const { port } = serveHttp(context, (app) =>
    app.post('/', (res) => {
      res.onAborted(() => told.push(['aborted']));
      leave(told);
    }),
  );
  const speaker = await speak(context, port);
  speaker.say(requestText('POST', '/', ['Content-Length: 10'], 'abc'));
  speaker.socket.end();
  block();
  assert.deepEqual((await told.take(3)).at(-1), ['aborted']);
});
