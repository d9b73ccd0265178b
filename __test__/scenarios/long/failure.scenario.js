'use strict';

/**
 * Panics of the engine's threads, had on demand from an addon that is built for it (`--features fault-injection`, a
 * debug build) and put into a folder of its own, beside copies of what is in JavaScript.
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { copyFileSync, cpSync, mkdtempSync, rmSync, symlinkSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { developmentBuild } = require('../../../lib/platform');
const { connect } = require('../../support/client');
const { runFile } = require('../../support/child');

const ROOT = path.join(__dirname, '../../..');
const BOUND = { timeout: 60_000 };

/** The numbers of `FaultPoint` in `src/error/faults.rs`. */
const POINTS = { adoption: 1, command: 2, decoding: 3, writing: 4, recovery: 5, keeping: 6, request: 7 };
const THREADS = 2;
const GATE = THREADS;
const CLIENTS = 20;

/** Builds the addon, and returns its path. */
function build() {
  const cargo = spawnSync(
    'cargo',
    ['build', '--lib', '--features', 'fault-injection', '--message-format=json'],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  assert.equal(cargo.status, 0, cargo.stderr);
  return cargo.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'tidewire')
    .flatMap(({ filenames }) => filenames)
    .find((file) => /\.(so|dylib|dll)$/.test(file));
}

describe('an engine that panics', () => {
  let folder;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tidewire-faults-'));
    for (const name of ['index.js', 'package.json', 'lib']) {
      cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    copyFileSync(build(), path.join(folder, developmentBuild));
    copyFileSync(path.join(__dirname, '../../support/failing_app.js'), path.join(folder, 'failing_app.js'));
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Starts the App there. It says its port, and then what happens, a line each. */
  async function start(context, env = {}) {
    const child = runFile(context, path.join(folder, 'failing_app.js'), { THREADS: String(THREADS), ...env });
    const { port } = await child.value();
    const ask = (request) => child.process.stdin.write(`${JSON.stringify(request)}\n`);
    /** The next line of this kind; the others are kept. */
    const when = async (kind) => {
      for (let turn = 0; turn < 10_000; turn++) {
        const line = await child.value();
        if (line[0] === kind) return line;
      }
      throw new Error(`no ${kind} came`);
    };
    return {
      child,
      port,
      url: `ws://127.0.0.1:${port}`,
      ask,
      when,
      inject: (lane, point) => ask(['inject', lane, point]),
    };
  }

  /** Clients of both reactors, in turn, whose opening JavaScript has heard of. */
  async function open(context, app) {
    const clients = [];
    for (let number = 0; number < CLIENTS; number++) {
      const client = await connect(context, app.url);
      const [text] = [await client.text()];
      client.reactor = number % THREADS;
      assert.equal(text, 'welcome');
      clients.push(client);
    }
    return clients;
  }

  async function counts(app) {
    app.ask(['counts']);
    const [, numbers] = await app.when('counts');
    return numbers;
  }

  for (const point of ['command', 'decoding', 'writing']) {
    test(
      `in a reactor, while it is ${point}: its clients are told, the others go on`,
      BOUND,
      async (context) => {
        const app = await start(context);
        const clients = await open(context, app);
        const [mine, others] = [0, 1].map((reactor) =>
          clients.filter((client) => client.reactor === reactor),
        );
        app.inject(0, POINTS[point]);
        await app.when('injected');
        mine[0].send('echo');
        const [, error] = await app.when('error');
        assert.equal(error.code, 'TIDEWIRE_REACTOR_FAILED');
        assert.deepEqual([error.reactor, error.connections], [0, CLIENTS / 2]);
        assert.match(error.place, /faults\.rs:\d+:\d+$/);
        assert.match(error.message, /a fault was injected/);
        // Who was being written to may have a part of a frame, behind which nothing may come.
        const cut = point === 'writing' ? 1 : 0;
        const ends = await Promise.all(mine.map((client) => client.closed));
        assert.equal(ends.filter(({ code }) => code === 1011).length, mine.length - cut);
        for (const client of others) client.send('still there');
        for (const client of others) assert.equal(await client.text(), 'still there');
        const { opened, closed, codes, causes, connections, failures, subscribers } = await counts(app);
        assert.deepEqual(
          { opened, closed, connections, failures },
          {
            opened: CLIENTS,
            closed: CLIENTS / 2,
            connections: CLIENTS / 2,
            failures: CLIENTS / 2,
          },
        );
        assert.deepEqual([codes, causes], [{ 1011: CLIENTS / 2 }, { failure: CLIENTS / 2 }]);
        assert.equal(subscribers, CLIENTS / 2);
        // The next ones come to both reactors, and what is published reaches all.
        const later = await open(context, app);
        app.ask(['publish']);
        for (const client of [...others, ...later]) assert.equal(await client.text(), 'published');
        for (const client of later) client.send('and I');
        for (const client of later) assert.equal(await client.text(), 'and I');
        app.ask(['close']);
        await Promise.all([...others, ...later].map((client) => client.closed));
        const [, end] = await app.when('end');
        assert.deepEqual([end.opened, end.closed], [2 * CLIENTS, 2 * CLIENTS]);
        assert.deepEqual(await app.child.exited, { code: 0, signal: null });
        assert.equal(app.child.errors, '', 'nothing is printed');
      },
    );
  }

  test('again and again, under load, without losing count', BOUND, async (context) => {
    const app = await start(context);
    let ends = 0;
    for (let round = 0; round < 20; round++) {
      const clients = await open(context, app);
      const load = setInterval(() => {
        for (const client of clients) if (client.socket.readyState === 1) client.send('message', 'message');
      }, 1);
      const names = ['command', 'decoding', 'writing'];
      app.inject(round % THREADS, POINTS[names[round % names.length]]);
      await app.when('error');
      clearInterval(load);
      const mine = clients.filter((client) => client.reactor === round % THREADS);
      await Promise.all(mine.map((client) => client.closed));
      ends += mine.length;
      for (const client of clients) client.socket.close();
      await Promise.all(clients.map((client) => client.closed));
    }
    assert.equal(ends, (20 * CLIENTS) / 2);
    app.ask(['close']);
    const [, end] = await app.when('end');
    assert.deepEqual([end.opened, end.closed], [20 * CLIENTS, 20 * CLIENTS]);
    assert.deepEqual(await app.child.exited, { code: 0, signal: null });
  });

  test('in the gate: requests end, WebSockets and listeners go on', BOUND, async (context) => {
    const app = await start(context);
    const clients = await open(context, app);
    const pending = fetch(`http://127.0.0.1:${app.port}/pending`).then(
      () => 'answered',
      () => 'ended',
    );
    await app.when('pending');
    app.inject(GATE, POINTS.keeping);
    await app.when('injected');
    const late = fetch(`http://127.0.0.1:${app.port}/hello`).catch(() => null);
    const [, error] = await app.when('error');
    assert.equal(error.code, 'TIDEWIRE_GATE_FAILED');
    assert.equal(await pending, 'ended');
    await late;
    for (const client of clients) client.send('still there');
    for (const client of clients) assert.equal(await client.text(), 'still there');
    const response = await fetch(`http://127.0.0.1:${app.port}/hello`);
    assert.equal(await response.text(), 'hello');
    const { closed, aborted } = await counts(app);
    assert.deepEqual([closed, aborted >= 1], [0, true]);
    app.ask(['close']);
    await app.when('end');
    assert.deepEqual(await app.child.exited, { code: 0, signal: null });
    assert.equal(app.child.errors, '');
  });

  test('in one connection of the gate: that one ends', BOUND, async (context) => {
    const app = await start(context);
    const clients = await open(context, app);
    app.inject(GATE, POINTS.request);
    await app.when('injected');
    await assert.rejects(fetch(`http://127.0.0.1:${app.port}/hello`));
    const [, error] = await app.when('error');
    assert.equal(error.code, 'TIDEWIRE_CONNECTION_FAILED');
    const response = await fetch(`http://127.0.0.1:${app.port}/hello`);
    assert.equal(await response.text(), 'hello');
    for (const client of clients) client.send('still there');
    for (const client of clients) assert.equal(await client.text(), 'still there');
  });

  test('without a handler it warns', BOUND, async (context) => {
    const app = await start(context, { WITHOUT_HANDLER: '1' });
    const client = await connect(context, app.url);
    app.inject(0, POINTS.decoding);
    await app.when('injected');
    client.send('x');
    const [, warning] = await app.when('warning');
    assert.deepEqual([warning.name, warning.code], ['TidewireWarning', 'TIDEWIRE_REACTOR_FAILED']);
    assert.equal((await client.closed).code, 1011);
  });

  test('and panics again while it recovers: the process ends, and says why', BOUND, async (context) => {
    const app = await start(context);
    const [client] = await open(context, app);
    app.inject(0, POINTS.recovery);
    app.inject(0, POINTS.decoding);
    await app.when('injected');
    await app.when('injected');
    client.send('x');
    assert.deepEqual(await app.child.exited, { code: null, signal: 'SIGABRT' });
    assert.match(app.child.errors, /a fault was injected: Recovery/);
  });
});
