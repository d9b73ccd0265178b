'use strict';

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { App, us_listen_socket_close } = require('tidewire');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { BOUND, observe, serve } = require('./support/server');
const { startWorker } = require('./support/worker_app');

const UNKNOWN = { name: 'RangeError', code: 'TIDEWIRE_UNKNOWN_DESCRIPTOR' };

/** Connects, and returns who greeted, and the client. */
async function greeting(context, url) {
  const client = await connect(context, url);
  return { client, name: await client.text() };
}

/** The names of so many greetings, one connection after another. */
async function greetings(context, url, count) {
  const names = [];
  while (names.length < count) names.push((await greeting(context, url)).name);
  return names;
}

/** An App of this thread with a descriptor, that greets with a name. */
function childOf(context, acceptor, name) {
  const app = App();
  context.after(() => app.close());
  app.ws('/*', { open: (ws) => ws.send(name) });
  const descriptor = app.getDescriptor();
  if (acceptor) acceptor.addChildAppDescriptor(descriptor);
  return { app, descriptor };
}

test('a descriptor is a number, and an App has one', (context) => {
  const [first, second] = [childOf(context), childOf(context)];
  assert.equal(typeof first.descriptor, 'number');
  assert.ok(Number.isSafeInteger(first.descriptor));
  assert.equal(structuredClone(first.descriptor), first.descriptor);
  assert.equal(first.app.getDescriptor(), first.descriptor);
  assert.notEqual(second.descriptor, first.descriptor);
});

test('the Apps of worker threads get the connections of one port in turn', BOUND, async (context) => {
  const { app, url } = serve(context, { open: (ws) => ws.send('acceptor') });
  assert.deepEqual(await greetings(context, url, 1), ['acceptor'], 'it has no children yet');
  const workers = [];
  for (const name of ['a', 'b', 'c']) workers.push(await startWorker(context, name));
  for (const { answer } of workers) assert.equal(app.addChildAppDescriptor(answer), app);
  app.addChildAppDescriptor(workers[1].answer);
  assert.deepEqual(await greetings(context, url, 7), ['a', 'b', 'c', 'a', 'b', 'c', 'a']);
  const { connections, gate } = await workers[0].ask('stats');
  assert.deepEqual([connections, gate.accepted], [3, 3]);
  assert.equal(app.stats().gate.accepted, 1);
});

test("a child's own routes and handlers serve what it gets", BOUND, async (context) => {
  const { app: acceptor, url } = serve(context, {}, { pattern: '/acceptor' });
  const { app, events } = observe(
    context,
    {
      upgrade: async (res, req, ctx) => {
        res.onAborted(() => {});
        const [user, key] = [req.getParameter(0), req.getHeader('sec-websocket-key')];
        await null;
        res.upgrade({ user }, key, '', '', ctx);
      },
      message: (ws) =>
        ws.send(`${ws.user} ${Buffer.from(ws.getRemoteAddressAsText())} ${ws.getRemotePort()}`),
    },
    { pattern: '/users/:name' },
  );
  acceptor.addChildAppDescriptor(app.getDescriptor());
  const client = await connect(context, `${url}/users/joe`);
  client.send('who?');
  const { localPort } = client.socket._socket;
  assert.equal(await client.text(), `joe 127.0.0.1 ${localPort}`);
  assert.deepEqual(
    (await events.take(2)).map(([name]) => name),
    ['open', 'message'],
  );
  await assert.rejects(connect(context, `${url}/acceptor`), /404/);
});

test("a child's HTTP routes serve, too, and Unix sockets are passed as well", {
  ...BOUND,
  skip: process.platform === 'win32' ? 'no Unix sockets' : false,
}, async (context) => {
  const { app: acceptor, port } = serve(context, {});
  const { app } = childOf(context, acceptor, 'child');
  app.get('/where', (res) => {
    res.end(Buffer.from(res.getRemoteAddressAsText()).toString());
  });
  const response = await fetch(`http://127.0.0.1:${port}/where`);
  assert.equal(await response.text(), '127.0.0.1');

  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'socket');
  acceptor.listen_unix((token) => assert.ok(token), file);
  const { name } = await greeting(context, `ws+unix://${file}:/`);
  assert.equal(name, 'child');
});

test(
  'a child that shuts down is a child no more, and lets what it has end in peace',
  BOUND,
  async (context) => {
    const { app: acceptor, url } = serve(context, { open: (ws) => ws.send('acceptor') });
    const { app, descriptor } = childOf(context, acceptor, 'child');
    const { client } = await greeting(context, url);
    const done = app.shutdown({ code: 1012 });
    assert.throws(() => app.getDescriptor(), { code: 'TIDEWIRE_SHUTTING_DOWN' });
    assert.throws(() => acceptor.addChildAppDescriptor(descriptor), UNKNOWN);
    assert.deepEqual(await greetings(context, url, 1), ['acceptor']);
    assert.equal((await client.closed).code, 1012);
    await done;
  },
);

test('what is no descriptor is refused', (context) => {
  const { app } = serve(context, {});
  const issued = childOf(context).descriptor;
  for (const method of ['addChildAppDescriptor', 'removeChildAppDescriptor']) {
    for (const wrong of [undefined, null, String(issued), {}, BigInt(issued)]) {
      const expected = { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE', message: new RegExp(method) };
      assert.throws(() => app[method](wrong), expected);
    }
    for (const wrong of [
      0,
      -0,
      1,
      -1,
      0.5,
      issued + 0.5,
      issued + 1e6,
      -issued,
      2 ** 53,
      1e300,
      Infinity,
      NaN,
    ]) {
      assert.throws(() => app[method](wrong), UNKNOWN);
    }
  }
  app.addChildAppDescriptor(issued);
});

test('a descriptor is stale once its App is closed, until the App gives it again', BOUND, async (context) => {
  const { app: acceptor, url } = serve(context, { open: (ws) => ws.send('acceptor') });
  const { app, descriptor } = childOf(context, acceptor, 'child');
  const { client } = await greeting(context, url);
  app.close();
  assert.equal((await client.closed).code, 1006);
  assert.throws(() => acceptor.addChildAppDescriptor(descriptor), UNKNOWN);
  acceptor.removeChildAppDescriptor(descriptor);
  assert.deepEqual(await greetings(context, url, 1), ['acceptor']);
  assert.equal(app.getDescriptor(), descriptor);
  acceptor.addChildAppDescriptor(descriptor);
  assert.deepEqual(await greetings(context, url, 2), ['child', 'child']);
});

test('a removed child keeps its connections and gets no more', BOUND, async (context) => {
  const { app: acceptor, url } = serve(context, { open: (ws) => ws.send('acceptor') });
  const [first, second] = [await startWorker(context, 'first'), await startWorker(context, 'second')];
  acceptor.addChildAppDescriptor(first.answer).addChildAppDescriptor(second.answer);
  const { client, name } = await greeting(context, url);
  assert.equal(name, 'first');
  assert.equal(acceptor.removeChildAppDescriptor(first.answer), acceptor);
  acceptor.removeChildAppDescriptor(first.answer);
  assert.deepEqual(await greetings(context, url, 3), ['second', 'second', 'second']);
  client.send('still here');
  assert.equal(await client.text(), 'still here');
  // While it serves one it can come back.
  acceptor.addChildAppDescriptor(first.answer).removeChildAppDescriptor(second.answer);
  assert.deepEqual(await greetings(context, url, 2), ['first', 'first']);
});

test(
  'a thread ends by itself when its App is no child any more and its last connection is gone',
  BOUND,
  async (context) => {
    const { app: acceptor, token, url } = serve(context, {});
    const workers = [
      await startWorker(context, 'a'),
      await startWorker(context, 'b'),
      await startWorker(context, 'c'),
    ];
    for (const { answer } of workers) acceptor.addChildAppDescriptor(answer);
    // Asking again keeps nothing alive beyond that.
    assert.equal(await workers[0].ask('descriptor'), workers[0].answer);
    const { client } = await greeting(context, url);
    acceptor.removeChildAppDescriptor(workers[0].answer).removeChildAppDescriptor(workers[1].answer);
    assert.equal(await workers[1].exited, 0);
    // A closed listener lets go of all children.
    us_listen_socket_close(token);
    assert.equal(await workers[2].exited, 0);
    client.send('still here');
    assert.equal(await client.text(), 'still here');
    client.socket.close();
    assert.equal(await workers[0].exited, 0);
    assert.throws(() => acceptor.addChildAppDescriptor(workers[0].answer), UNKNOWN);
  },
);

test('a thread that ends loses its own connections only, and the next get them', BOUND, async (context) => {
  const { app: acceptor, url } = serve(context, { open: (ws) => ws.send('acceptor') });
  const workers = [
    await startWorker(context, 'a'),
    await startWorker(context, 'b'),
    await startWorker(context, 'c'),
  ];
  for (const { answer } of workers) acceptor.addChildAppDescriptor(answer);
  const clients = [];
  for (let turn = 0; turn < 6; turn++) clients.push((await greeting(context, url)).client);
  await workers[0].worker.terminate();
  workers[1].worker.postMessage(['exit']);
  assert.equal(await workers[1].exited, 3);
  for (const at of [0, 1, 3, 4]) assert.equal((await clients[at].closed).code, 1006);
  assert.deepEqual(await greetings(context, url, 3), ['c', 'c', 'c']);
  for (const at of [2, 5]) {
    clients[at].send('still here');
    assert.equal(await clients[at].text(), 'still here');
  }
  for (const { answer } of workers.slice(0, 2)) {
    assert.throws(() => acceptor.addChildAppDescriptor(answer), UNKNOWN);
    assert.doesNotThrow(() => acceptor.removeChildAppDescriptor(answer));
  }
  await workers[2].worker.terminate();
  assert.deepEqual(await greetings(context, url, 2), ['acceptor', 'acceptor']);
});

test(
  'an acceptor may be in a worker thread, and lets go of its children when that ends',
  BOUND,
  async (context) => {
    const acceptor = await startWorker(context, 'acceptor', 0);
    const [closed, left] = [await startWorker(context, 'closed'), await startWorker(context, 'left')];
    for (const { answer } of [closed, left]) await acceptor.ask('add', answer);
    const url = `ws://127.0.0.1:${acceptor.answer}`;
    const [first, second] = [await greeting(context, url), await greeting(context, url)];
    assert.deepEqual([first.name, second.name], ['closed', 'left']);
    await closed.ask('close');
    assert.equal((await first.client.closed).code, 1006);
    assert.equal(await closed.exited, 0);
    const third = await greeting(context, url);
    assert.equal(third.name, 'left');
    await acceptor.worker.terminate();
    for (const { client } of [second, third]) {
      client.send('still here');
      assert.equal(await client.text(), 'still here');
      client.socket.close();
    }
    assert.equal(await left.exited, 0);
  },
);

test('children may be added before the acceptor listens, and stay when it cannot', BOUND, async (context) => {
  const { port: busy } = serve(context, {});
  const acceptor = App();
  context.after(() => acceptor.close());
  const { answer } = await startWorker(context, 'child');
  acceptor.addChildAppDescriptor(answer);
  await assert.rejects(acceptor.listen('127.0.0.1', busy, 1), { code: 'EADDRINUSE' });
  const { us_socket_local_port } = require('tidewire');
  const token = await acceptor.listen('127.0.0.1', 0);
  assert.deepEqual(await greetings(context, `ws://127.0.0.1:${us_socket_local_port(token)}`, 1), ['child']);
});

test('an acceptor may be a child of its own', BOUND, async (context) => {
  const { app, token, url } = serve(context, { open: (ws) => ws.send('acceptor') });
  app.addChildAppDescriptor(app.getDescriptor());
  childOf(context, app, 'child');
  assert.deepEqual(await greetings(context, url, 4), ['acceptor', 'child', 'acceptor', 'child']);
  us_listen_socket_close(token);
  assert.throws(() => new App().addChildAppDescriptor(1), UNKNOWN);
});

test('a process with an acceptor and children ends by itself', BOUND, async (context) => {
  const child = runScript(context, () => {
    const { Worker } = require('node:worker_threads');
    const { App, us_listen_socket_close } = require('tidewire');
    const source = `
      const { App } = require('tidewire');
      require('node:worker_threads').parentPort.postMessage(App().ws('/*', {}).getDescriptor());
    `;
    const acceptor = App();
    acceptor.listen('127.0.0.1', 0, (token) => {
      let added = 0;
      for (let count = 0; count < 2; count++) {
        new Worker(source, { eval: true }).on('message', (descriptor) => {
          acceptor.addChildAppDescriptor(descriptor);
          // Itself and each other: nobody waits for those that wait for nobody else.
          acceptor.addChildAppDescriptor(acceptor.getDescriptor());
          if (++added === 2) us_listen_socket_close(token);
        });
      }
    });
  });
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.errors, '');
});
