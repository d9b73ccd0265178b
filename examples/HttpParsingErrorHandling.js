'use strict';

/**
 * What is no HTTP never reaches a handler: it is answered on the engine's threads (400, 413, 414, 431, 501 or
 * 505), and the connection ends. This tells how often that happened, by status.
 */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const MILLISECONDS = Number(process.env.MILLISECONDS ?? 1000);

const app = App();

let told = '{}';
const timer = setInterval(() => {
  const refused = JSON.stringify(app.stats().gate.refused);
  if (refused !== told) console.log(`Refused so far: ${refused}`);
  told = refused;
}, MILLISECONDS);

app
  .get('/*', (res) => {
    res.end('This was HTTP.');
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      clearInterval(timer);
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => {
      clearInterval(timer);
      app.close();
    });
  });
