'use strict';

/** Decides in `upgrade` who may connect, and what the socket knows of its user. */

const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ name: string }>} Socket */

const port = Number(process.env.PORT ?? 9001);

const app = App({ textType: 'string' });

app
  .ws('/*', {
    upgrade: (res, req, context) => {
      const name = req.getQuery('name');
      if (!name) {
        res.writeStatus('401 Unauthorized').end('who are you?');
        return;
      }
      res
        .writeHeader('x-served-by', 'tidewire')
        .upgrade(
          { name },
          req.getHeader('sec-websocket-key'),
          req.getHeader('sec-websocket-protocol'),
          req.getHeader('sec-websocket-extensions'),
          context,
        );
    },
    open: (/** @type {Socket} */ ws) => {
      ws.send(`hello ${ws.name}`);
    },
    message: (/** @type {Socket} */ ws, message) => {
      ws.send(`${ws.name}: ${message}`);
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
