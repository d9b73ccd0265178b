'use strict';

/** Bounds how many connections an address may have, and how many messages a second each may send. */

const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ address: string, second: number, sent: number }>} Socket */

const port = Number(process.env.PORT ?? 9001);
const CONNECTIONS = Number(process.env.CONNECTIONS ?? 10);
const MESSAGES_A_SECOND = Number(process.env.MESSAGES ?? 5);

/** Connections by address. */
const connections = new Map();

const app = App({ textType: 'string' });

app
  .ws('/*', {
    upgrade: (res, req, context) => {
      const address = Buffer.from(res.getRemoteAddressAsText()).toString();
      const count = connections.get(address) ?? 0;
      if (count >= CONNECTIONS) {
        res.writeStatus('429 Too Many Requests').writeHeader('retry-after', '10').end();
        return;
      }
      connections.set(address, count + 1);
      const key = req.getHeader('sec-websocket-key');
      res.upgrade({ address, second: 0, sent: 0 }, key, '', '', context);
    },
    message: (/** @type {Socket} */ ws, message) => {
      const second = Math.floor(Date.now() / 1000);
      if (ws.second !== second) Object.assign(ws, { second, sent: 0 });
      ws.sent += 1;
      if (ws.sent > MESSAGES_A_SECOND) ws.end(1008, 'too many messages');
      else ws.send(message);
    },
    close: (/** @type {Socket} */ ws) => {
      const count = connections.get(ws.address) - 1;
      if (count === 0) connections.delete(ws.address);
      else connections.set(ws.address, count);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => {
      us_listen_socket_close(token);
      app.close();
    });
  });
