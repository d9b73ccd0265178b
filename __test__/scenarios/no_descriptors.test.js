'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('../support/client');
const { runLimited } = require('../support/child');
const { unfit } = require('../support/runtime');

const DESCRIPTORS = 120;
const CLIENTS = 150;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The server: echoes, and prints its stats and its processor time for each line that it reads. */
function server() {
  const { App, us_socket_local_port } = require('tidewire');
  // By default fewer would be let in than there are descriptors for.
  const app = App({ textType: 'string', maxConnections: 1_000 });
  app.ws('/*', { message: (ws, message) => ws.send(message) });
  app.listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
  process.stdin.on('data', () => {
    const { user, system } = process.cpuUsage();
    const [busySeconds, nowSeconds] = [(user + system) / 1e6, performance.now() / 1e3];
    console.log(JSON.stringify({ ...app.stats(), busySeconds, nowSeconds }));
  });
  process.stdin.on('end', () => app.close());
}

/** Every client answers, so it is served. */
async function assertServed(clients) {
  for (const [number, client] of clients.entries()) client.send(`to ${number}`);
  for (const [number, client] of clients.entries()) assert.equal(await client.text(), `to ${number}`);
}

test('without descriptors accepting pauses, those who are in are served, and others follow when some go', {
  timeout: 60_000,
  skip: process.platform === 'win32' || unfit({ deno: 'Deno itself may panic where it gets no descriptor' }),
}, async (context) => {
  const child = runLimited(context, DESCRIPTORS, server);
  const url = `ws://127.0.0.1:${await child.value()}`;
  const stats = () => child.ask();
  const statsWhen = (wanted) => child.askUntil(wanted);

  // More than the process has descriptors for. The kernel takes the rest, and holds them ready.
  const clients = [];
  const began = performance.now();
  const coming = Array.from({ length: CLIENTS }, async () => clients.push(await connect(context, url)));
  const full = await statsWhen(
    ({ gate, connections }) => gate.acceptPauses.now && connections === gate.accepted,
  );
  const room = full.connections;
  assert.ok(room > 20 && room < DESCRIPTORS, `${room} connections`);
  assert.equal(full.gate.acceptPauses.code, 'EMFILE');
  while (clients.length < room) await pause(5);
  await assertServed(clients);

  // It waits longer each time, up to a second: at 0, 10, 30, ... 1,270 ms, and once a second from then on, so that it has
  // tried nine times in 2.5 s. A busy machine makes these fewer, never more. Once a second would have been four times.
  await pause(2_500);
  await assertServed(clients);
  const later = await stats();
  const seconds = (performance.now() - began) / 1_000;
  const tries = later.gate.acceptPauses.count;
  assert.ok(tries >= 6 && tries <= 8 + (seconds - 1.27), `${tries} tries in ${seconds} s`);
  assert.equal(later.connections, room);

  // Nothing spins meanwhile: mostly it is less than a hundredth of a processor. A loop would have taken all of one.
  await pause(2_000);
  const starved = await stats();
  const share = (starved.busySeconds - later.busySeconds) / (starved.nowSeconds - later.nowSeconds);
  assert.ok(starved.gate.acceptPauses.now && share < 0.05, `${(100 * share).toFixed(1)} % of a processor`);

  // As many come in as go.
  const leaving = clients.splice(0, 15);
  for (const client of leaving) client.socket.close();
  await Promise.all(leaving.map(({ closed }) => closed));
  await statsWhen(({ opened }) => opened === room + 15);
  while (clients.length < room) await pause(5);
  await assertServed(clients);

  // When all have come, it does not pause any more, and a new one comes in at once.
  while (clients.length > 0) clients.pop()?.socket.close();
  while ((await stats()).opened < CLIENTS) {
    while (clients.length > 0) clients.pop()?.socket.close();
    await pause(20);
  }
  await Promise.all(coming);
  const { gate } = await statsWhen(
    ({ gate: { acceptPauses, accepted } }) => !acceptPauses.now && accepted === CLIENTS,
  );
  assert.equal(gate.acceptPauses.code, 'EMFILE');
  await assertServed([await connect(context, url)]);
  assert.equal((await stats()).gate.acceptPauses.count, gate.acceptPauses.count);

  child.process.stdin.end();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});
