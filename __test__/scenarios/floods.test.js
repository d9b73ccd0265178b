'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { PING, PONG, TEXT, closeFrame, connectRaw, frame } = require('../support/raw_client');
const { BOUND, observe, serve } = require('../support/server');

const MIB = 1024 * 1024;
const CONTINUATION = 0;

/** Writes all pieces, and waits for the socket where it wants to. */
async function writeAll({ socket }, pieces) {
  for (const piece of pieces) if (!socket.write(piece)) await once(socket, 'drain');
}

/** The stats, as soon as they are as wanted. */
async function statsWhen(app, wanted) {
  for (;;) {
    const stats = app.stats();
    if (wanted(stats)) return stats;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('100,000 pings', () => {
  const COUNT = 100_000;
  const PINGS = Array.from({ length: 100 }, (_, thousand) =>
    Buffer.concat(
      Array.from({ length: COUNT / 100 }, (_, at) =>
        frame(PING, `${thousand * (COUNT / 100) + at}`.padEnd(125)),
      ),
    ),
  );
  /** More than the kernel keeps for a client that reads nothing. */
  const LARGE = 12 * MIB;
  const number = ({ payload }) => Number(payload.toString());

  test('behind a message that is not read are answered by the latest pong alone', BOUND, async (context) => {
    const { app, port, events } = observe(context, { maxBackpressure: 0, ping: null });
    const client = await connectRaw(context, port, { reads: false });
    const [, ws] = await events.next();
    ws.send(Buffer.alloc(LARGE), true);
    const { waiting } = await statsWhen(app, ({ waiting: { outboxBytes } }) => outboxBytes > 0);
    await writeAll(client, PINGS);
    const after = await statsWhen(app, ({ pingsIn }) => pingsIn === COUNT);
    assert.ok(after.waiting.outboxBytes <= waiting.outboxBytes);
    assert.equal(after.connections, 1);

    client.read();
    const [message, pong] = await client.frames.take(2);
    client.write(closeFrame(1000));
    assert.equal((await client.closeFrame()).code, 1000);
    assert.equal(message.payload.length, LARGE);
    assert.deepEqual([pong.opcode, number(pong)], [PONG, COUNT - 1]);
    await client.ended;
    assert.equal(client.frames.all.length, 3);
  });

  test('of a client that reads nothing wait as no more than 64 KiB of pongs', BOUND, async (context) => {
    const { app, port, events } = observe(context);
    const client = await connectRaw(context, port, { reads: false });
    await events.next();
    for (const pings of PINGS) {
      await writeAll(client, [pings]);
      assert.ok(app.stats().waiting.outboxBytes <= 65 * 1024);
    }
    const { waiting } = await statsWhen(app, ({ pingsIn }) => pingsIn === COUNT);
    assert.ok(waiting.outboxBytes <= 65 * 1024);

    client.read();
    const pongs = [await client.frames.next()];
    while (number(pongs.at(-1)) < COUNT - 1) pongs.push(await client.frames.next());
    assert.ok(
      pongs.every((pong, at) => at === 0 || number(pong) > number(pongs[at - 1])),
      'out of order',
    );
  });
});

test(
  '131,072 empty fragments are a message, one more ends the connection with 1008',
  BOUND,
  async (context) => {
    const { port, events } = observe(context);
    const client = await connectRaw(context, port);
    const [first, next, last] = [
      frame(TEXT, '', { fin: false }),
      frame(CONTINUATION, '', { fin: false }),
      frame(CONTINUATION, 'end'),
    ];
    await writeAll(client, [
      first,
      ...Array(13).fill(Buffer.concat(Array(10_082).fill(next))),
      next,
      next,
      next,
      next,
      last,
    ]);
    assert.deepEqual((await events.take(2))[1].slice(2), ['end', false]);
    await writeAll(client, [first, Buffer.concat(Array(131_072).fill(next))]);
    const [name, , code, reason] = await events.next();
    assert.deepEqual([name, code, reason], ['close', 1006, 'Received too many fragments']);
    assert.equal((await client.closeFrame()).code, 1008);
  },
);

test('declared lengths take no memory', BOUND, async (context) => {
  const CLIENTS = 100;
  const LARGEST = 2_147_483_647;
  const { app, port, events } = observe(context, { maxPayloadLength: LARGEST });
  const before = process.memoryUsage.rss();
  const clients = [];
  for (let count = 0; count < CLIENTS; count++) {
    const client = await connectRaw(context, port);
    const head = Buffer.from(
      count % 2 ? '82ff000000007fffffff00000000' : '02ff000000007fffffff00000000',
      'hex',
    );
    client.write(head, Buffer.alloc(100));
    clients.push(client);
  }
  const heads = CLIENTS * 114;
  await statsWhen(app, ({ bytesIn }) => bytesIn === heads);
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 64 * MIB, `${grown} bytes for ${CLIENTS} heads`);
  assert.equal(app.stats().connections, CLIENTS);

  for (const [at, length] of ['0000000080000000', '7fffffffffffffff', '8000000000000000'].entries()) {
    const client = await connectRaw(context, port);
    client.write(Buffer.from(`82ff${length}00000000`, 'hex'));
    assert.equal((await client.closeFrame()).code, at < 2 ? 1009 : 1002);
  }
  assert.equal(events.all.filter(([name]) => name === 'close').length, 3);
});

/** Floods a server with messages, and reads nothing of what it gets back, or all. */
function flood({ port, reads }) {
  const net = require('node:net');
  const { frame, opening } = require('./__test__/support/raw_client');
  const burst = Buffer.concat(Array(2_000).fill(frame(2, Buffer.alloc(250))));
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.on('error', () => process.exit());
  socket.write(opening());
  socket.once('data', () => {
    if (reads) socket.resume();
    else socket.pause();
    const go = () => {
      while (socket.write(burst));
      socket.once('drain', go);
    };
    go();
  });
}

for (const reads of [true, false]) {
  test(`a flood of one that reads ${reads ? 'everything' : 'nothing'} leaves the others their turn`, {
    timeout: 120_000,
  }, async (context) => {
    const { app, port, url } = serve(context, {
      idleTimeout: 0,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
    });
    const child = runScript(context, flood, { port, reads });
    await statsWhen(app, ({ messagesIn }) => messagesIn > 10_000);

    // Each waits behind what the flood has sent before, at most 64 MiB.
    const ROUNDS = 2;
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(context, url)));
    const begin = app.stats().messagesIn;
    await Promise.all(
      clients.map(async (client, which) => {
        for (let round = 0; round < ROUNDS; round++) {
          client.send(`${which} ${round}`);
          assert.equal(await client.text(), `${which} ${round}`);
        }
      }),
    );
    // The flood went on meanwhile.
    const flooded = app.stats().messagesIn - begin - clients.length * ROUNDS;
    assert.ok(flooded > clients.length * ROUNDS, `${flooded} messages of the flood`);
    assert.equal(app.stats().connections, clients.length + 1);
    child.signal('SIGKILL');
    await child.exited;
    await statsWhen(app, ({ connections }) => connections === clients.length);
  });
}
