'use strict';

/**
 * Many sockets on several reactor threads, a random run of subscribe, unsubscribe, publish and send,
 * and a model that says what each client must get, in which order.
 */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect } = require('../support/client');
const { BOUND, serve } = require('../support/server');

const CLIENTS = 24;
const TOPICS = 12;
const STEPS = 20_000;

/** A small generator, so that a failure can be run again (Marsaglia's xorshift). */
function random(seed) {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

for (const threads of [1, 3]) {
  test(
    `every client gets what the calls say, in their order, on ${threads} threads`,
    BOUND,
    async (context) => {
      const sockets = [];
      const behavior = { maxBackpressure: 0, open: (ws) => sockets.push(ws) };
      const { app, url } = serve(context, behavior, { options: { threads } });
      const clients = [];
      while (clients.length < CLIENTS) clients.push(await connect(context, url));
      while (sockets.length < CLIENTS) await new Promise(setImmediate);

      // Threads take the connections in turn, so a socket is known by what it is told.
      for (const [number, ws] of sockets.entries()) ws.send(String(number));
      const places = await Promise.all(clients.map(async (client) => Number(await client.text())));

      const pick = random(0x51ed_270b + threads);
      /** @type {Set<number>[]} */
      const holders = Array.from({ length: TOPICS }, () => new Set());
      const expected = sockets.map(() => []);
      const deliver = (topic, message, sender) => {
        const others = [...holders[topic]].filter((member) => member !== sender);
        for (const member of others) expected[member].push(message);
        return others.length > 0;
      };
      const step = (number) => {
        const member = pick(CLIENTS);
        const topic = pick(TOPICS);
        const ws = sockets[member];
        const message = `${number}`.padEnd(pick(50) === 0 ? 5_000 : 1, '.');
        switch (pick(6)) {
          case 0:
            assert.equal(ws.subscribe(`t${topic}`), true);
            holders[topic].add(member);
            break;
          case 1:
            assert.equal(ws.unsubscribe(`t${topic}`), holders[topic].delete(member));
            break;
          case 2:
            assert.equal(ws.publish(`t${topic}`, message), deliver(topic, message, member));
            break;
          case 3:
            assert.equal(app.publish(`t${topic}`, message), deliver(topic, message, -1));
            break;
          case 4:
            ws.send(message);
            expected[member].push(message);
            break;
          case 5:
            assert.equal(ws.isSubscribed(`t${topic}`), holders[topic].has(member));
            assert.equal(app.numSubscribers(`t${topic}`), holders[topic].size);
        }
      };
      for (let number = 0; number < STEPS; number++) {
        if (pick(20) === 0) sockets[pick(CLIENTS)].cork(() => step(number));
        else step(number);
        if (pick(40) === 0) await null;
        if (pick(200) === 0) await new Promise(setImmediate);
      }
      for (const ws of sockets) ws.send('end');
      for (const [number, client] of clients.entries()) {
        const wanted = [...expected[places[number]], 'end'];
        const got = (await client.messages.take(wanted.length)).map(([data]) => data.toString());
        assert.deepEqual(got, wanted);
      }
    },
  );
}
