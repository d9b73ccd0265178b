'use strict';

/** An echo server: sends back what each client sends, and closes who is silent for a minute. */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const idleTimeout = Number(process.env.IDLE_TIMEOUT ?? 60);

const app = App();
let clients = 0;

app
  .ws('/*', {
    idleTimeout,
    open: () => {
      clients += 1;
    },
    message: (ws, message, isBinary) => {
      ws.send(message, isBinary);
    },
    close: () => {
      clients -= 1;
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => {
      console.log(`Closing ${clients} connections`);
      app.close();
    });
  });
