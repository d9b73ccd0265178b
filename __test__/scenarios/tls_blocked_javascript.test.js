'use strict';

/** JavaScript is blocked, and TLS goes on: handshakes, records, alerts and pings are for the other threads. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { localhost } = require('../support/certificates');
const { runScript } = require('../support/child');
const { connect } = require('../support/client');
const { askTls, certified, connectTls, trust } = require('../support/tls');

const BLOCKED_SECONDS = 12;
const ROUNDS = 20;

/** The server: echoes, and is busy for a while when it is told so. */
function server({ key, cert, seconds }) {
  const { DeclarativeResponse, SSLApp, us_socket_local_port } = require('tidewire');
  const app = SSLApp({ key, cert, textType: 'string' });
  const tell = (value) => console.log(JSON.stringify(value));
  app
    .missingServerName((hostname) => {
      tell(`asked for ${hostname}`);
    })
    .addServerName('there.example', { key, cert })
    .get('/declared', new DeclarativeResponse().end('declared'))
    .ws('/*', {
      idleTimeout: 8,
      message: (ws, message, isBinary) => {
        if (message !== 'block') return ws.send(message, isBinary);
        tell('blocking');
        for (const end = performance.now() + seconds * 1_000; performance.now() < end; );
        tell('free');
      },
      close: (_ws, code) => tell({ code }),
    })
    .listen('127.0.0.1', 0, (token) => tell(us_socket_local_port(token)));
}

test(`JavaScript that is blocked for ${BLOCKED_SECONDS} s holds up no TLS`, {
  timeout: 60_000,
}, async (context) => {
  const { key, cert } = localhost();
  const child = runScript(context, server, { key, cert, seconds: BLOCKED_SECONDS });
  const port = await child.value();
  const url = `wss://127.0.0.1:${port}`;
  const talker = await connect(context, url, trust());
  const silent = await connect(context, url, trust());
  const blocker = await connect(context, url, trust());
  blocker.send('block');
  assert.equal(await child.value(), 'blocking');
  const state = { isFree: false };
  const next = child.value().then((value) => {
    state.isFree = true;
    return value;
  });

  // Someone asks for a name that only JavaScript can tell of, and waits.
  let isAnswered = false;
  const asked = certified(context, port, { servername: 'new.example' }).then(({ name }) => {
    isAnswered = true;
    return name;
  });
  let rounds = 0;
  for (; rounds < ROUNDS && !state.isFree; rounds++) {
    talker.send(`message ${rounds}`);
    talker.socket.ping(`ping ${rounds}`);
    assert.equal(await talker.pongs.next(), `ping ${rounds}`);
    const name = { servername: rounds % 2 ? 'there.example' : '', checkServerIdentity: () => undefined };
    const socket = await connectTls(context, port, name);
    assert.ok(['TLSv1.2', 'TLSv1.3'].includes(socket.getProtocol()));
    socket.destroy();
    assert.equal((await askTls(port, '/declared')).text, 'declared');
  }
  assert.ok(!state.isFree, `only ${rounds} rounds were done while JavaScript was blocked`);
  assert.ok(!isAnswered);

  assert.equal(await next, 'free');
  assert.equal(await child.value(), 'asked for new.example');
  assert.equal(await asked, 'localhost');
  for (let round = 0; round < rounds; round++) assert.equal(await talker.text(), `message ${round}`);
  // It was idle for longer than `idleTimeout`, and has answered pings meanwhile.
  assert.ok(silent.pings.all.length > 0, 'a silent client got no pings');
  silent.send('I was silent');
  assert.equal(await silent.text(), 'I was silent');
  assert.equal(child.errors, '');
});
