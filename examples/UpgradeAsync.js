'use strict';

/** Asks somebody else, in `upgrade`, whether a client may connect. */

const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ name: string }>} Socket */

const port = Number(process.env.PORT ?? 9001);

/**
 * Stands for a database.
 * @param {string | undefined} token
 * @returns {Promise<{ name: string } | null>}
 */
const findUser = (token) =>
  new Promise((resolve) => {
    setTimeout(() => resolve(token === 'secret' ? { name: 'joe' } : null), 20);
  });

const app = App({ textType: 'string' });

app
  .ws('/*', {
    upgrade: async (res, req, context) => {
      let gone = false;
      res.onAborted(() => {
        gone = true;
      });
      const user = await findUser(req.getQuery('token'));
      // The client did not wait: nothing may be done with the response any more.
      if (gone) return;
      if (!user) {
        res.writeStatus('403 Forbidden').end('not you');
        return;
      }
      res.upgrade(
        user,
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
      ws.send(message);
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
