'use strict';

/** Socket.IO, as it is published, on this package by its alias, with its real clients of both protocols. */

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { io } = require('socket.io-client');
const older = require('socket.io-client-2');
const { localhost } = require('./support/certificates');
const { runFile } = require('./support/child');
const { refusal } = require('./support/client');
const { ask, requestText, speak } = require('./support/http');
const { Project } = require('./support/project');
const { Queue } = require('./support/queue');

/** Time limit of a test in which processes start and libraries load: it only ends what hangs. */
const BOUND = { timeout: 120_000 };

const LARGE_BYTES = 1024 * 1024;

const POLLING = ['polling'];
const WEBSOCKET = ['websocket'];
const UPGRADE = ['polling', 'websocket'];

const CLIENTS = [
  ['Engine.IO 4', io, 4],
  ['Engine.IO 3', older, 3],
];

let project;
before(() => {
  project = new Project('socket_io.mjs', ['socket.io']);
});
after(() => project?.remove());

/** A server; what it tells is taken by `told(name)`, in the order of each name. */
async function serve(context, env = {}) {
  const server = runFile(context, project.file, env);
  const [port] = await server.value();
  const told = new Map();
  const queueOf = (name) => {
    if (!told.has(name)) told.set(name, new Queue());
    return told.get(name);
  };
  const listen = async () => {
    for (;;) {
      const [name, ...values] = await server.value();
      queueOf(name).push(values);
    }
  };
  // Its end is told by `exited`.
  listen().catch(() => {});
  return { server, port, told: (name) => queueOf(name).next() };
}

class Peer {
  said = new Queue();
  numbers = new Queue();
  again = new Queue();
  disconnected = new Queue();
  connected = new Queue();

  constructor(socket) {
    this.socket = socket;
    socket.on('said', (...values) => this.said.push(values));
    socket.on('number', (number) => this.numbers.push(number));
    socket.on('again', (...values) => this.again.push(values));
    socket.on('question', (question, reply) => reply(`${question}!`));
    socket.on('disconnect', (reason) => this.disconnected.push(reason));
    socket.on('connect', () => this.connected.push(socket.id));
  }

  emit(...values) {
    this.socket.emit(...values);
  }

  /** Emits, and waits for what the server replies. */
  ask(...values) {
    return new Promise((resolve) => {
      this.socket.emit(...values, (...replies) => resolve(replies.length > 1 ? replies : replies[0]));
    });
  }
}

/** Connects, and ends the client with the test. With an upgrade, it is over when this returns. */
async function enter(context, make, port, transports, options = {}) {
  const name = options.query?.name ?? 'ann';
  const socket = make(`${options.ca ? 'https' : 'http'}://127.0.0.1:${port}`, {
    transports,
    forceNew: true,
    reconnection: false,
    query: { name },
    // Not the WebSocket of a browser, which newer runtimes have, too: it sends no headers of one's own.
    forceNode: true,
    ...options,
  });
  context.after(() => socket.disconnect());
  const peer = new Peer(socket);
  const failed = new Promise((_, reject) => {
    socket.on('connect_error', reject);
    socket.on('error', reject);
  });
  failed.catch(() => {});
  await Promise.race([peer.connected.next(), failed]);
  if (transports.length > 1) {
    const { engine } = socket.io;
    if (engine.transport.name !== 'websocket')
      await new Promise((resolve) => engine.once('upgrade', resolve));
  }
  return peer;
}

for (const [protocol, make, number] of CLIENTS) {
  describe(protocol, () => {
    for (const transports of [POLLING, WEBSOCKET, UPGRADE]) {
      const way = transports.join(', then ');

      test(`acknowledgements, bytes and large payloads by ${way}`, BOUND, async (context) => {
        const { port, told } = await serve(context);
        const ann = await enter(context, make, port, transports);
        assert.deepEqual(await told('connect'), ['ann', number, '127.0.0.1']);
        if (transports === UPGRADE) assert.deepEqual(await told('upgrade'), ['ann']);
        assert.equal(await ann.ask('transport'), transports.at(-1));
        assert.deepEqual(await ann.ask('echo', 'ä', { a: [1, null] }), ['ä', { a: [1, null] }]);
        assert.equal(await ann.ask('ask', 'what'), 'what!');
        const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
        const [first, second] = await ann.ask('echo', bytes, { deep: bytes });
        assert.deepEqual([Buffer.from(first), Buffer.from(second.deep)], [bytes, bytes]);
        ann.emit('again', bytes);
        assert.deepEqual(Buffer.from((await ann.again.next())[0]), bytes);
        const text = 'ö'.repeat(LARGE_BYTES / 2);
        assert.ok((await ann.ask('echo', text)) === text);
        const large = Buffer.alloc(LARGE_BYTES, 'bytes');
        assert.ok(large.equals(Buffer.from(await ann.ask('echo', large))));
        ann.emit('count to', 500);
        assert.deepEqual(
          await ann.numbers.take(500),
          Array.from({ length: 500 }, (_, index) => index + 1),
        );
      });

      test(`disconnecting from either side, and reconnecting, by ${way}`, BOUND, async (context) => {
        const { port, told } = await serve(context);
        const ann = await enter(context, make, port, transports, {
          reconnection: true,
          reconnectionDelay: 10,
        });
        const before = ann.socket.id;
        ann.emit('cut');
        assert.equal(await ann.disconnected.next(), 'transport close');
        assert.equal((await told('disconnect'))[0], 'ann');
        assert.notEqual(await ann.connected.next(), before);
        assert.equal(await ann.ask('echo', 'here again'), 'here again');
        ann.emit('send away');
        assert.equal(await ann.disconnected.next(), 'io server disconnect');
        assert.deepEqual(await told('disconnect'), ['ann', 'server namespace disconnect']);
        ann.socket.connect();
        await ann.connected.next();
        assert.equal(await ann.ask('echo', 'and again'), 'and again');
        ann.socket.disconnect();
        assert.deepEqual(await told('disconnect'), ['ann', 'client namespace disconnect']);
      });
    }

    test('rooms and broadcasts reach clients of every transport', BOUND, async (context) => {
      const { port } = await serve(context);
      const ways = { ann: POLLING, bob: WEBSOCKET, eve: UPGRADE, joe: WEBSOCKET };
      const peers = {};
      for (const [name, transports] of Object.entries(ways)) {
        peers[name] = await enter(context, make, port, transports, { query: { name } });
      }
      const { ann, bob, eve, joe } = peers;
      for (const [count, member] of [ann, bob, eve].entries()) {
        assert.equal(await member.ask('join', 'room'), count + 1);
      }
      const bytes = Buffer.from([1, 254]);
      joe.emit('to room', 'room', 'one');
      joe.emit('to others in', 'room', 'two', bytes);
      for (const peer of [ann, bob, eve]) {
        assert.deepEqual(await peer.said.next(), ['joe', 'one']);
        const [name, word, data] = await peer.said.next();
        assert.deepEqual([name, word, Buffer.from(data)], ['joe', 'two', bytes]);
      }
      await bob.ask('leave', 'room');
      eve.emit('to others in', 'room', 'three');
      assert.deepEqual(await ann.said.next(), ['eve', 'three']);
      bob.emit('to others', 'four');
      for (const peer of [ann, eve, joe]) assert.deepEqual(await peer.said.next(), ['bob', 'four']);
      ann.emit('to all', 'five');
      for (const peer of [ann, bob, eve, joe]) assert.deepEqual(await peer.said.next(), ['ann', 'five']);
      // Socket.IO publishes bytes as its protocol 4 has them, whatever the client speaks.
      if (number === 4) {
        eve.emit('to all', 'six', bytes);
        for (const peer of [ann, bob, eve, joe]) {
          const [name, word, data] = await peer.said.next();
          assert.deepEqual([name, word, Buffer.from(data)], ['eve', 'six', bytes]);
        }
      }
      // A room for each, which all of them enter at once.
      await Promise.all([ann, bob, eve, joe].map((peer, index) => peer.ask('join', `of ${index}`)));
      for (let index = 0; index < 4; index++) joe.emit('to room', `of ${index}`, index);
      for (const [index, peer] of [ann, bob, eve, joe].entries()) {
        assert.deepEqual(await peer.said.next(), ['joe', index]);
      }
    });

    test('headers of the client, a middleware that refuses, and a namespace', BOUND, async (context) => {
      const { port } = await serve(context);
      const extraHeaders = { 'x-token': 'secret' };
      const ways = { polling: { extraHeaders }, websocket: { extraHeaders } };
      for (const transports of [POLLING, WEBSOCKET]) {
        const peer = await enter(context, make, port, transports, { extraHeaders, transportOptions: ways });
        assert.equal(await peer.ask('header', 'x-token'), 'secret');
        const admin = new Peer(peer.socket.io.socket('/admin'));
        context.after(() => admin.socket.disconnect());
        assert.equal(await admin.ask('whose'), '/admin');
        admin.emit('to all', 'admins');
        assert.deepEqual(await admin.said.next(), ['admins']);
        assert.deepEqual(peer.said.all, []);
        const refused = enter(context, make, port, transports, { query: { name: 'nobody' } });
        await assert.rejects(refused, (reason) => (reason.message ?? reason) === 'no such user');
      }
    });

    test('io.close() ends its clients, and its process ends', BOUND, async (context) => {
      const { server, port, told } = await serve(context);
      const peers = [];
      for (const transports of [POLLING, WEBSOCKET, UPGRADE]) {
        peers.push(await enter(context, make, port, transports));
      }
      server.process.stdin.write('x');
      for (const peer of peers) {
        assert.equal(await peer.disconnected.next(), 'transport close');
        assert.deepEqual(await told('disconnect'), ['ann', 'server shutting down']);
      }
      assert.deepEqual(await told('closed'), [0]);
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      assert.equal(server.errors, '');
    });
  });
}

test('clients of both protocols in one room', BOUND, async (context) => {
  const { port } = await serve(context);
  const peers = [];
  for (const [, make] of CLIENTS) {
    for (const transports of [POLLING, WEBSOCKET]) peers.push(await enter(context, make, port, transports));
  }
  for (const peer of peers) await peer.ask('join', 'room');
  for (const [index, peer] of peers.entries()) {
    peer.emit('to room', 'room', index);
    for (const other of peers) assert.deepEqual(await other.said.next(), ['ann', index]);
  }
});

describe('long polling, as HTTP', () => {
  const POLL = '/socket.io/?EIO=4&transport=polling';

  /** A session, and its path. */
  async function session(port) {
    const { text } = await ask(port, POLL);
    const place = `${POLL}&sid=${JSON.parse(text.slice(1)).sid}`;
    assert.equal((await ask(port, place, { method: 'POST', body: '40' })).text, 'ok');
    assert.match((await ask(port, place)).text, /^40/);
    return place;
  }

  test('CORS: what a page of another origin asks first, and what it gets', BOUND, async (context) => {
    const { port } = await serve(context);
    const origin = 'http://page.example';
    const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-token' };
    const before = await ask(port, POLL, { method: 'OPTIONS', headers: { origin, ...asked } });
    assert.deepEqual([before.status, before.text], [204, '']);
    assert.equal(before.headers['access-control-allow-origin'], origin);
    assert.equal(before.headers['access-control-allow-headers'], 'x-token');
    assert.equal(before.headers['access-control-allow-credentials'], 'true');
    assert.equal(before.headers['access-control-max-age'], '60');
    assert.match(before.headers['access-control-allow-methods'], /POST/);
    const opened = await ask(port, POLL, { headers: { origin } });
    assert.equal(opened.status, 200);
    assert.equal(opened.headers['access-control-allow-origin'], origin);
    assert.equal(opened.headers.vary, 'Origin');
    assert.equal(opened.headers['content-type'], 'text/plain; charset=UTF-8');
    assert.deepEqual(opened.headers['set-cookie'], ['first=1']);
    assert.equal(opened.headers['x-method'], 'GET');
    assert.equal(JSON.parse(opened.text.slice(1)).upgrades[0], 'websocket');
  });

  test('a client that goes in the middle of a poll, or of what it sends', BOUND, async (context) => {
    const { port, told } = await serve(context);
    const place = await session(port);
    const poll = await speak(context, port, requestText('GET', place));
    // Asked behind the poll, on a connection of its own: it is there.
    assert.equal((await ask(port, place, { method: 'POST', body: '42["count to",0]' })).text, 'ok');
    poll.socket.destroy();
    assert.deepEqual(await told('disconnect'), [null, 'transport error']);
    const other = await session(port);
    const sent = await speak(context, port, requestText('POST', other, ['Content-Length: 10'], '42["'));
    sent.socket.destroy();
    assert.deepEqual(await told('disconnect'), [null, 'transport error']);
  });

  test('requests that it refuses', BOUND, async (context) => {
    const { port } = await serve(context);
    const { status, text } = await ask(port, `${POLL}&sid=nobody`);
    assert.deepEqual([status, JSON.parse(text)], [400, { code: 1, message: 'Session ID unknown' }]);
    const odd = await ask(port, '/socket.io/?EIO=4&transport=pigeon');
    assert.deepEqual([odd.status, JSON.parse(odd.text).message], [400, 'Transport unknown']);
    const method = await ask(port, POLL, { method: 'PUT', body: 'x' });
    assert.deepEqual([method.status, JSON.parse(method.text).message], [400, 'Bad handshake method']);
    const upgrade = await refusal(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket&sid=nobody`);
    assert.deepEqual([upgrade.status, JSON.parse(upgrade.body).message], [400, 'Session ID unknown']);
    const large = await ask(port, await session(port), {
      method: 'POST',
      headers: { 'content-length': 8 * LARGE_BYTES },
    });
    assert.equal(large.status, 413);
    const unknown = await ask(port, await session(port), {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
    });
    assert.equal(unknown.status, 411);
  });

  test('the files for pages, and what is not theirs', BOUND, async (context) => {
    const { port } = await serve(context);
    const folder = path.join(path.dirname(require.resolve('socket.io/package.json')), 'client-dist');
    for (const name of ['socket.io.js', 'socket.io.min.js', 'socket.io.msgpack.min.js.map']) {
      const { status, headers, body } = await ask(port, `/socket.io/${name}`);
      assert.equal(status, 200);
      assert.match(headers['content-type'], name.endsWith('.map') ? /json/ : /javascript/);
      assert.ok(body.equals(readFileSync(path.join(folder, name))));
      const again = await ask(port, `/socket.io/${name}`, { headers: { 'if-none-match': headers.etag } });
      assert.deepEqual([again.status, again.text], [304, '']);
    }
    for (const place of ['/', '/socket.io', '/socket.io/package.json']) {
      const { status, text } = await ask(port, place);
      assert.deepEqual([status, text], [404, 'none of Socket.IO']);
    }
  });
});

for (const transports of [POLLING, WEBSOCKET, UPGRADE]) {
  test(`over TLS, by ${transports.join(', then ')}`, BOUND, async (context) => {
    const { key: KEY, cert: CERT, ca } = localhost();
    const { port } = await serve(context, { KEY, CERT });
    const peer = await enter(context, io, port, transports, { ca });
    assert.equal(await peer.ask('transport'), transports.at(-1));
    assert.deepEqual(await peer.ask('echo', 'text', Buffer.from([1, 2, 3])), [
      'text',
      Buffer.from([1, 2, 3]),
    ]);
  });
}
