'use strict';

/** Libraries for uWebSockets.js, as they are published, on this package by its alias, with their real clients. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { createClient } = require('graphql-ws');
const WebSocket = require('./support/ws');
const { localhost } = require('./support/certificates');
const { runFile } = require('./support/child');
const { connect } = require('./support/client');
const { Project } = require('./support/project');
const { Queue } = require('./support/queue');

/** graphql-ws is for Node 20 and newer, and so is the newest crossws. */
const ON_NODE_20 = {
  skip: Number(process.versions.node.split('.', 1)[0]) < 20 && 'the library is for Node 20 and newer',
};

/** Time limit of a test in which processes start and libraries load: it only ends what hangs. */
const BOUND = { timeout: 120_000 };

async function run(context, project, env = {}) {
  const server = runFile(context, project.file, env);
  const [port] = await server.value();
  return { server, url: `${env.KEY ? 'wss' : 'ws'}://127.0.0.1:${port}` };
}

describe('graphql-ws', ON_NODE_20, () => {
  let project;
  before(() => {
    project = new Project('graphql.mjs', ['graphql', 'graphql-ws']);
  });
  after(() => project?.remove());

  /** A server, and a client that is ended with the test. `sockets` are those that the client made. */
  async function start(context, options = {}) {
    const { server, url } = await run(context, project);
    const sockets = [];
    class Socket extends WebSocket {
      constructor(...values) {
        super(...values);
        sockets.push(this);
      }
    }
    const client = createClient({
      url: `${url}/graphql`,
      webSocketImpl: Socket,
      retryAttempts: 0,
      ...options,
    });
    context.after(() => client.terminate());
    return { server, client, sockets, url: `${url}/graphql` };
  }

  /** Subscribes; what comes is in `values`, the end in `ended`. */
  function subscribe(client, query) {
    const values = new Queue();
    let unsubscribe;
    const ended = new Promise((resolve) => {
      unsubscribe = client.subscribe(
        { query },
        { next: ({ data }) => values.push(data), error: resolve, complete: () => resolve('complete') },
      );
    });
    return { values, ended, unsubscribe };
  }

  test('a query, and a stream of values to its end', BOUND, async (context) => {
    const { server, client } = await start(context, { lazy: false });
    const query = subscribe(client, '{ greeting }');
    assert.equal(await query.ended, 'complete');
    assert.deepEqual({ ...(await query.values.next()) }, { greeting: 'hello' });
    assert.deepEqual(await server.value(), ['complete', 'string']);
    const stream = subscribe(client, 'subscription { count(to: 500) }');
    assert.equal(await stream.ended, 'complete');
    const numbers = stream.values.all.map(({ count }) => count);
    assert.deepEqual(
      numbers,
      Array.from({ length: 500 }, (_, index) => index + 1),
    );
    assert.deepEqual(await server.value(), ['complete', 'string']);
    await client.dispose();
    assert.deepEqual(await server.value(), ['close', 1000, 'Normal Closure', '/graphql']);
  });

  test(
    'several streams on one connection, of which one is completed by the client',
    BOUND,
    async (context) => {
      const { server, client, sockets } = await start(context, { lazy: false });
      const endless = subscribe(client, 'subscription { endless }');
      await endless.values.take(3);
      const other = subscribe(client, 'subscription { count(to: 5) }');
      assert.equal(await other.ended, 'complete');
      assert.deepEqual(await server.value(), ['complete', 'string']);
      endless.unsubscribe();
      assert.equal(await endless.ended, 'complete');
      assert.deepEqual((await Promise.all([server.value(), server.value()])).map(([name]) => name).sort(), [
        'complete',
        'returned',
      ]);
      assert.equal(sockets.length, 1);
    },
  );

  test('a client that disconnects in the middle of a stream ends it', BOUND, async (context) => {
    const { server, client, sockets } = await start(context);
    const endless = subscribe(client, 'subscription { endless }');
    await endless.values.take(3);
    sockets[0].terminate();
    const told = await Promise.all([server.value(), server.value(), server.value()]);
    const [, code] = told.find(([name]) => name === 'close');
    assert.equal(code, 1006);
    assert.deepEqual(told.map(([name]) => name).sort(), ['close', 'complete', 'returned']);
    assert.equal((await endless.ended).code, 1006);
  });

  test('a stream waits for a client that does not read, and loses nothing', BOUND, async (context) => {
    const { client, sockets, url } = await start(context);
    const other = createClient({ url, webSocketImpl: WebSocket, lazy: false });
    context.after(() => other.terminate());
    const endless = subscribe(client, 'subscription { endless(bytes: 20000) }');
    await endless.values.next();
    sockets[0].pause();
    let yielded = 0;
    for (let before = -1; yielded !== before; ) {
      before = yielded;
      await pause(200);
      ({ yielded } = await subscribe(other, '{ yielded }').values.next());
    }
    sockets[0].resume();
    while (endless.values.all.length < yielded + 20) {
      const ended = await Promise.race([endless.values.next(), endless.ended]);
      assert.ok(ended.endless, `${ended} came in the middle`);
    }
    const numbers = endless.values.all.map((value) => Number(value.endless));
    assert.deepEqual(
      numbers,
      Array.from(numbers, (_, index) => index + 1),
    );
  });

  test('a server that is disposed says goodbye, and its process ends', BOUND, async (context) => {
    const { server, client } = await start(context);
    const endless = subscribe(client, 'subscription { endless }');
    await endless.values.take(3);
    server.process.stdin.write('x');
    const { code, reason } = await endless.ended;
    assert.deepEqual([code, reason], [1001, 'Going away']);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
  });

  test('a client that is not let in gets 4403', BOUND, async (context) => {
    const { server, client } = await start(context, { connectionParams: { secret: 'wrong' } });
    const { code, reason } = await subscribe(client, '{ greeting }').ended;
    assert.deepEqual([code, reason], [4403, 'Forbidden']);
    assert.deepEqual(await server.value(), ['close', 4403, 'Forbidden', '/graphql']);
  });

  test('a client that does not speak its protocol gets 4406', BOUND, async (context) => {
    const { url } = await run(context, project);
    const client = await connect(context, `${url}/graphql`);
    const { code, reason } = await client.closed;
    assert.deepEqual([code, reason], [4406, 'Subprotocol not acceptable']);
  });
});

describe('crossws', ON_NODE_20, () => {
  let project;
  before(() => {
    project = new Project('crossws.mjs', ['crossws']);
  });
  after(() => project?.remove());

  /** Connects, and takes the welcome. */
  async function enter(context, url, name, options) {
    const client = await connect(context, `${url}/room?name=${name}`, options);
    assert.equal(await client.text(), `welcome ${name} from 127.0.0.1`);
    return client;
  }

  test('connect, message, and close from either side', BOUND, async (context) => {
    const { server, url } = await run(context, project);
    const [ann, bob] = [await enter(context, url, 'ann'), await enter(context, url, 'bob')];
    ann.send('peers', 'bytes');
    assert.equal(await ann.text(), '2');
    assert.deepEqual(await ann.messages.next(), [Buffer.from('bytes'), true]);
    ann.send('leave');
    assert.deepEqual(await ann.closed, { code: 4001, reason: 'bye' });
    assert.deepEqual(await server.value(), ['close', 'ann', 4001]);
    bob.socket.close(1000);
    assert.deepEqual(await server.value(), ['close', 'bob', 1000]);
  });

  test('the same over TLS', BOUND, async (context) => {
    const { key: KEY, cert: CERT, ca } = localhost();
    const { url } = await run(context, project, { KEY, CERT });
    const [ann, bob] = [await enter(context, url, 'ann', { ca }), await enter(context, url, 'bob', { ca })];
    ann.send('hello', 'all', 'bytes');
    assert.deepEqual([await bob.text(), await bob.text()], ['ann: hello', 'to all']);
    assert.equal(await ann.text(), 'to all');
    assert.deepEqual(await ann.messages.next(), [Buffer.from('bytes'), true]);
  });

  test('publish to the others, and to all', BOUND, async (context) => {
    const { url } = await run(context, project);
    const [ann, bob] = [await enter(context, url, 'ann'), await enter(context, url, 'bob')];
    ann.send('hello', 'all');
    assert.deepEqual([await bob.text(), await bob.text()], ['ann: hello', 'to all']);
    assert.equal(await ann.text(), 'to all');
  });

  test('the upgrade hook has headers, and refuses', BOUND, async (context) => {
    const { url } = await run(context, project);
    const answer = (address) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(address);
        context.after(() => socket.terminate());
        for (const name of ['upgrade', 'unexpected-response']) {
          socket.on(name, (...values) => resolve(values.at(-1)));
        }
        socket.on('error', reject);
      });
    const accepted = await answer(`${url}/lobby?name=eve`);
    assert.deepEqual([accepted.statusCode, accepted.headers['x-room']], [101, '/lobby']);
    const refused = await answer(`${url}/lobby`);
    assert.deepEqual([refused.statusCode, refused.headers['x-why']], [401, 'no name']);
  });

  test('app.close() closes its peers, and its process ends', BOUND, async (context) => {
    const { server, url } = await run(context, project);
    const client = await enter(context, url, 'ann');
    server.process.stdin.write('x');
    assert.equal((await client.closed).code, 1006);
    assert.deepEqual(await server.value(), ['close', 'ann', 1006]);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
  });
});

test('their typings, and programs with types, take ours', BOUND, (context) => {
  const libraries = ['crossws', 'graphql', 'graphql-ws', '@types/node', 'undici-types'];
  const project = new Project('typed.ts', libraries);
  context.after(() => project.remove());
  const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'node20', '--types', 'node'];
  const compiler = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  // In the project: TypeScript looks for a configuration where it runs.
  const place = { cwd: project.folder, encoding: 'utf8' };
  const { stdout, status } = spawnSync(process.execPath, [compiler, ...flags, project.file], place);
  assert.deepEqual([stdout, status], ['', 0]);
});
