'use strict';

/** Bounds how many connections an address may have, and how many messages a second each may send. */

const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ address: string, second: number, sent: number }>} Socket */

const port = Number(process.env.PORT ?? 9001);
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 10);
const MESSAGES_A_SECOND = Number(process.env.MESSAGES ?? 5);

/** @type {Map<string, number>} Connections by address. */
const connections = new Map();
const count = (/** @type {string} */ address) => connections.get(address) ?? 0;

const app = App({ textType: 'string' });

app
  .ws('/*', {
    upgrade: (res, req, context) => {
      const address = Buffer.from(res.getRemoteAddressAsText()).toString();
      if (count(address) >= CONNECTIONS) {
        res.writeStatus('429 Too Many Requests').writeHeader('retry-after', '10').end();
        return;
      }
      res.upgrade(
        { address, second: 0, sent: 0 },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    // Runs before `res.upgrade` returns, and one `close` follows each: nobody is counted wrong.
    open: (/** @type {Socket} */ ws) => {
      connections.set(ws.address, count(ws.address) + 1);
    },
    message: (/** @type {Socket} */ ws, message) => {
      const second = Math.floor(Date.now() / 1000);
      if (ws.second !== second) Object.assign(ws, { second, sent: 0 });
      ws.sent += 1;
      if (ws.sent > MESSAGES_A_SECOND) ws.end(1008, 'too many messages');
      else ws.send(message);
    },
    close: (/** @type {Socket} */ ws) => {
      const left = count(ws.address) - 1;
      if (left === 0) connections.delete(ws.address);
      else connections.set(ws.address, left);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => app.close());
  });
