'use strict';

/**
 * Ends without losing anything: at SIGINT or SIGTERM, clients get what was sent to them and are told that the
 * server restarts. Who does not close in time is cut off; a second signal does not wait at all.
 */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const SECONDS = Number(process.env.SECONDS ?? 8);

const app = App();
let isEnding = false;

async function end() {
  if (isEnding) {
    app.shutdown();
    return;
  }
  isEnding = true;
  const { closed, forced } = await app.shutdown({ code: 1012, reason: 'restarting', timeout: SECONDS });
  // Nothing listens and nobody is connected: the process ends by itself. Here a database would be closed.
  console.log(`${closed} closed, ${forced} cut off`);
}

app
  .ws('/*', {
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    close: (ws, code) => {
      // Runs for each client as ever: here its state would be saved.
      if (ws.closeCause === 'shutdown') console.log(`a client was told ${code}`);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    process.on('SIGINT', end).on('SIGTERM', end);
    console.log(`Listening on port ${us_socket_local_port(token)}`);
  });
