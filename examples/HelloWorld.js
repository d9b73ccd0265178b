'use strict';

/** Answers every GET. */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);

const app = App();

app
  .get('/*', (res) => {
    res.end('Hello World!');
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
