'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { App, DEDICATED_COMPRESSOR_16KB } = require('tidewire');
const { connect } = require('./support/client');
const { ask, requestText, serveHttp, speak } = require('./support/http');
const { CLOSE, PING, PONG, TEXT, closeFrame, connectRaw, exchange, frame } = require('./support/raw_client');
const { BOUND, observe, serve } = require('./support/server');

const NO_CLOSES = {
  peer: 0,
  local: 0,
  fin: 0,
  reset: 0,
  timeout: 0,
  protocol: 0,
  backpressure: 0,
  shutdown: 0,
  failure: 0,
  memory: 0,
};

const NONE = {
  connections: 0,
  opened: 0,
  closes: NO_CLOSES,
  messagesIn: 0,
  messagesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  dropped: 0,
  pingsIn: 0,
  pingsOut: 0,
  pongsIn: 0,
  subscriptions: 0,
  batches: 0,
  events: 0,
  largestBatch: 0,
  waiting: {
    arrivals: 0,
    batches: 0,
    events: 0,
    eventBytes: 0,
    commandBytes: 0,
    outboxBytes: 0,
    parkedBytes: 0,
    assemblyBytes: 0,
    recordBytes: 0,
  },
  memory: { connections: 0, subscriptions: 0, contexts: 0, buffers: 0, waiting: 0, total: 0 },
};

const NOBODY = {
  accepted: 0,
  handshakes: 0,
  httpConnections: 0,
  requests: 0,
  upgraded: 0,
  timedOut: 0,
  refused: {},
  turnedAway: { maxConnections: 0, maxConnectionsPerAddress: 0, connectionsPerMinutePerAddress: 0 },
  acceptPauses: { count: 0, code: null, now: false },
};

/** The budget of an App that holds nothing. */
function unspent({ budget: { limit } }) {
  const byKind = { events: 0, commands: 0, outboxes: 0, parked: 0, assemblies: 0, records: 0, http: 0 };
  return { limit, used: 0, byKind, readingStops: 0, acceptingStops: 0, closings: 0, closed: 0 };
}

/** The stats, as soon as they are as wanted. What the threads do is seen a little later. */
async function statsWhen(app, wanted) {
  for (;;) {
    const stats = app.stats();
    if (wanted(stats)) return stats;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The sums of the reactors' numbers, by the way to them. */
function sums(reactors) {
  const total = {};
  const add = (numbers, prefix) => {
    for (const [name, value] of Object.entries(numbers)) {
      if (typeof value === 'object') add(value, `${prefix}${name}.`);
      else total[prefix + name] = (total[prefix + name] ?? 0) + value;
    }
  };
  for (const reactor of reactors) add(reactor, '');
  return total;
}

test('an App that does not listen yet has nothing but zeros, for each of its threads', () => {
  const app = App({ threads: 3 });
  assert.deepEqual(app.stats(), {
    ...NONE,
    topics: 0,
    publishes: 0,
    budget: unspent(app.stats()),
    reactors: [NONE, NONE, NONE],
    gate: NOBODY,
  });
  assert.notEqual(app.stats(), app.stats());
  app.stats().closes.peer = 7;
  assert.equal(app.stats().closes.peer, 0);
});

test('after the end there are zeros again', BOUND, async (context) => {
  const { app, url, events } = observe(context);
  await connect(context, url);
  await events.next();
  assert.equal(app.stats().connections, 1);
  app.close();
  const stats = await statsWhen(app, ({ opened }) => opened === 0);
  assert.deepEqual(stats, {
    ...NONE,
    topics: 0,
    publishes: 0,
    budget: unspent(stats),
    reactors: [NONE],
    gate: NOBODY,
  });
});

test('connections, messages and bytes, in and out, summed over the threads', BOUND, async (context) => {
  const seen = [];
  const { app, port } = serve(
    context,
    {
      message: (ws, message, isBinary) => {
        seen.push(app.stats().messagesIn);
        ws.send(message, isBinary);
      },
    },
    { options: { threads: 2 } },
  );
  const clients = [
    await connectRaw(context, port),
    await connectRaw(context, port),
    await connectRaw(context, port),
  ];
  for (const client of clients) {
    client.write(frame(TEXT, 'abc'), frame(TEXT, 'x'.repeat(200)), frame(TEXT, '').subarray(0, 1));
    client.write(frame(TEXT, '').subarray(1), frame(PONG, 'p'));
    await client.frames.take(3);
  }
  const frames = 3 * (2 + 4 + 3 + (4 + 4 + 200) + (2 + 4));
  const stats = await statsWhen(
    app,
    ({ bytesIn, bytesOut }) => bytesIn >= frames + 3 * 7 && bytesOut >= 3 * 211,
  );
  const { connections, opened, messagesIn, messagesOut, bytesIn, bytesOut, pongsIn, dropped } = stats;
  assert.deepEqual(
    { connections, opened, messagesIn, messagesOut, bytesIn, bytesOut, pongsIn, dropped },
    {
      connections: 3,
      opened: 3,
      messagesIn: 9,
      messagesOut: 9,
      bytesIn: frames + 3 * 7,
      bytesOut: 3 * (5 + 204 + 2),
      pongsIn: 3,
      dropped: 0,
    },
  );
  assert.ok(
    seen.every((count, at) => count > at),
    `a handler is behind its message: ${seen}`,
  );
  // An event for each opening and message, and at most one more that tells of commands.
  assert.ok(stats.events >= 12 && stats.batches >= 1 && stats.batches <= stats.events, `${stats.events}`);
  assert.deepEqual(stats.closes, NO_CLOSES);

  const { reactors, gate, topics, publishes, budget, largestBatch, ...whole } = stats;
  assert.deepEqual([topics, publishes], [0, 0]);
  assert.deepEqual(budget, unspent(stats));
  assert.equal(reactors.length, 2);
  assert.ok(reactors.every((reactor) => reactor.opened > 0));
  assert.equal(largestBatch, Math.max(...reactors.map((reactor) => reactor.largestBatch)));
  assert.deepEqual({ ...sums([whole]), largestBatch: sums(reactors).largestBatch }, sums(reactors));
  assert.deepEqual(gate, { ...NOBODY, accepted: 3, upgraded: 3 });
});

test('pings in and out', BOUND, async (context) => {
  const { app, port, events } = observe(context);
  const client = await connectRaw(context, port);
  const [, ws] = await events.next();
  client.write(frame(PING, 'one'), frame(PING, 'two'));
  ws.ping('here');
  const kinds = (await client.frames.take(3)).map(({ opcode }) => opcode);
  assert.equal(kinds.filter((kind) => kind === PING).length, 1);
  assert.equal(kinds.filter((kind) => kind === PONG).length, 2);
  const { pingsIn, pingsOut, messagesIn, messagesOut } = await statsWhen(
    app,
    (stats) => stats.pingsIn === 2 && stats.pingsOut === 1,
  );
  assert.deepEqual(
    { pingsIn, pingsOut, messagesIn, messagesOut },
    {
      pingsIn: 2,
      pingsOut: 1,
      messagesIn: 0,
      messagesOut: 0,
    },
  );
});

test('each connection ends for one cause', BOUND, async (context) => {
  const { app, port, events } = observe(context, { maxPayloadLength: 1_000 });
  const expected = { ...NO_CLOSES };
  const ends = [
    ['peer', (client) => client.write(closeFrame(1000))],
    ['local', (_, ws) => ws.end(1000)],
    ['local', (_, ws) => ws.close()],
    ['fin', (client) => client.socket.end()],
    ['reset', (client) => client.socket.resetAndDestroy()],
    ['protocol', (client) => client.write(frame(TEXT, 'bare', { masked: false }))],
    ['protocol', (client) => client.write(frame(TEXT, 'x'.repeat(1_001)))],
  ];
  for (const [cause, end] of ends) {
    const client = await connectRaw(context, port);
    const [name, ws] = await events.next();
    assert.equal(name, 'open');
    assert.equal(app.stats().connections, 1);
    end(client, ws);
    assert.equal((await events.next())[0], 'close');
    expected[cause]++;
    const { closes, opened } = await statsWhen(app, ({ connections }) => connections === 0);
    assert.deepEqual(closes, expected);
    assert.equal(
      opened,
      Object.values(expected).reduce((one, other) => one + other),
    );
  }
  await connectRaw(context, port);
  await events.next();
  app.close();
  assert.equal(events.all.at(-1)[0], 'close');
});

test('what is dropped for a slow peer is counted, and so is what waits for it', BOUND, async (context) => {
  const { app, port, events } = observe(context, { maxBackpressure: 100_000 });
  const client = await connectRaw(context, port, { reads: false });
  const [, ws] = await events.next();
  const statuses = { 0: 0, 1: 0, 2: 0 };
  const message = Buffer.alloc(16_000);
  while (statuses[2] < 5) {
    statuses[ws.send(message, true)]++;
    assert.ok(statuses[1] < 20_000, 'hundreds of MB were sent to a client that does not read');
    await new Promise(setImmediate);
  }
  const full = await statsWhen(app, ({ waiting }) => waiting.commandBytes === 0);
  const dropped = events.all.filter(([name]) => name === 'dropped').length;
  assert.ok(full.dropped >= 5);
  assert.equal(full.dropped, dropped);
  assert.equal(full.waiting.outboxBytes, ws.getBufferedAmount());
  assert.ok(full.waiting.outboxBytes > 100_000, `${full.waiting.outboxBytes}`);

  client.read();
  const drained = await statsWhen(app, ({ waiting }) => waiting.outboxBytes === 0);
  assert.equal(drained.messagesOut + drained.dropped, statuses[0] + statuses[1] + statuses[2]);
  assert.equal(drained.bytesOut, drained.messagesOut * (message.length + 4));
});

test('a connection that is closed for its backpressure has this cause', BOUND, async (context) => {
  const { app, port, events } = observe(context, { maxBackpressure: 1, closeOnBackpressureLimit: true });
  await connectRaw(context, port, { reads: false });
  const [, ws] = await events.next();
  for (let sent = 0; ws.readyState === 1; sent++) {
    ws.send(Buffer.alloc(60_000), true);
    assert.ok(sent < 5_000, 'hundreds of MB were sent to a client that does not read');
    await new Promise(setImmediate);
  }
  const { closes, waiting } = await statsWhen(app, ({ connections }) => connections === 0);
  assert.deepEqual(closes, { ...NO_CLOSES, backpressure: 1 });
  assert.equal(waiting.outboxBytes, 0);
});

test('events wait while JavaScript is busy', BOUND, async (context) => {
  const COUNT = 5_000;
  let handled = 0;
  let busy;
  const { app, port } = serve(context, {
    message: () => {
      handled++;
      for (let looks = 0; busy === undefined && looks < 1_000_000; looks++) {
        const stats = app.stats();
        if (stats.messagesIn === COUNT) busy = stats;
      }
    },
  });
  const client = await connectRaw(context, port);
  client.write(Buffer.concat(Array.from({ length: COUNT }, () => frame(TEXT, 'ten bytes.'))));
  await statsWhen(app, () => handled === COUNT);
  // The batch that is being handled is not waiting any more: it has 1,000 events at most.
  assert.ok(busy.waiting.events >= COUNT - 1_001 && busy.waiting.events <= COUNT, `${busy.waiting.events}`);
  assert.ok(busy.waiting.eventBytes > busy.waiting.events * 26);
  assert.ok(busy.waiting.batches >= 4, `${busy.waiting.batches}`);
  assert.equal(busy.memory.waiting, busy.waiting.eventBytes + busy.waiting.commandBytes);
  const { waiting, largestBatch, memory } = app.stats();
  assert.deepEqual(waiting, NONE.waiting);
  assert.equal(memory.waiting, 0);
  // The thousand that one batch holds, unless they came in small pieces.
  assert.ok(largestBatch > COUNT / 10 && largestBatch <= 1_000, `${largestBatch}`);
});

test('memory follows connections, subscriptions and contexts, for each thread', BOUND, async (context) => {
  const { app, url, events } = observe(
    context,
    { compression: DEDICATED_COMPRESSOR_16KB, open: (ws) => ws.subscribe('all') },
    { options: { threads: 2 } },
  );
  const before = app.stats().memory;
  assert.ok(before.buffers > 2 * 512 * 1024, `${before.buffers}`);
  assert.deepEqual([before.connections, before.subscriptions, before.contexts], [0, 0, 0]);
  const clients = [];
  for (let number = 0; number < 3; number++) {
    clients.push(await connect(context, url, { perMessageDeflate: true }));
  }
  const sockets = (await events.take(3)).map(([, ws]) => ws);
  for (let round = 0; round < 2; round++) {
    for (const ws of sockets) ws.send(Buffer.alloc(1_000, 'x'), true, true);
    for (const client of clients) await client.messages.next();
  }
  const { memory, reactors } = await statsWhen(app, (stats) => stats.memory.contexts >= 3 * 1_000);
  // A page of places each: their slots, deadlines and columns.
  assert.ok(memory.connections >= 2 * 1_024 * 43, `${memory.connections}`);
  assert.ok(memory.subscriptions >= 2 * 1_024 * 20, `${memory.subscriptions}`);
  assert.ok(memory.contexts < 3 * 4_000, `${memory.contexts}`);
  for (const { memory } of reactors) {
    const { total, ...parts } = memory;
    assert.ok(parts.connections > 0 && parts.subscriptions > 0);
    assert.equal(
      total,
      Object.values(parts).reduce((one, other) => one + other),
    );
  }
  for (const ws of sockets) ws.end();
  await statsWhen(app, (stats) => stats.memory.contexts === 0);
});

test('connections at the gate, and what it refuses', BOUND, async (context) => {
  const { app, port, url } = serve(context, {}, { pattern: '/chat' });
  const request = (head) => exchange(port, `${head}\r\n\r\n`);
  assert.match(await request('GET /none HTTP/1.1\r\nHost: a\r\nConnection: close'), /^HTTP\/1.1 404 /);
  assert.match(await request('POST /chat HTTP/1.1\r\nHost: a\r\nConnection: close'), /^HTTP\/1.1 404 /);
  assert.match(await request('GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close'), /^HTTP\/1.1 426 /);
  assert.match(await request('GET /chat HTTP/1.0\r\nHost: a'), / 505 /);
  assert.match(await request('nonsense'), / 400 /);
  assert.match(await request(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}`), / 431 /);
  const silent = net.connect(port, '127.0.0.1');
  context.after(() => silent.destroy());
  await once(silent, 'connect');
  await connect(context, `${url}/chat`);
  const { gate } = await statsWhen(
    app,
    ({ gate: { handshakes, upgraded } }) => handshakes === 1 && upgraded === 1,
  );
  const refused = { 400: 1, 404: 2, 426: 1, 431: 1, 505: 1 };
  assert.deepEqual(gate, { ...NOBODY, accepted: 8, handshakes: 1, upgraded: 1, refused });
  silent.destroy();
  await statsWhen(app, (stats) => stats.gate.handshakes === 0);
});

test('requests of HTTP, and their connections', BOUND, async (context) => {
  const { app, port } = serveHttp(context, (app) => app.get('/', (res) => res.end('body')));
  const speaker = await speak(context, port);
  for (let at = 0; at < 3; at++) await speaker.say(requestText('GET', '/')).hear(/body$/);
  const { gate } = await statsWhen(app, (stats) => stats.gate.httpConnections === 1);
  assert.deepEqual(gate, { ...NOBODY, accepted: 1, httpConnections: 1, requests: 3 });
  assert.equal((await ask(port, '/none')).status, 404);
  speaker.socket.destroy();
  await statsWhen(app, (stats) => stats.gate.httpConnections === 0);
  assert.deepEqual([app.stats().gate.requests, app.stats().gate.refused], [3, { 404: 1 }]);
});

test('a close frame of ours does not count as a message', BOUND, async (context) => {
  const { app, port, events } = observe(context);
  const client = await connectRaw(context, port);
  const [, ws] = await events.next();
  ws.end(1000, 'bye');
  assert.equal((await client.frames.next()).opcode, CLOSE);
  const { messagesOut, bytesOut } = await statsWhen(app, (stats) => stats.bytesOut > 0);
  assert.deepEqual({ messagesOut, bytesOut }, { messagesOut: 0, bytesOut: 2 + 2 + 3 });
});
