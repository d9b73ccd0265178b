'use strict';

/** Tells every client the time, once a second, whatever their number: one publish, framed once. */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const TOPIC = 'time';

const app = App();

app
  .ws('/*', {
    // Who reads too slowly misses a few seconds; nobody waits for him.
    maxBackpressure: 1024,
    open: (ws) => {
      ws.subscribe(TOPIC);
      ws.send(`You are one of ${app.numSubscribers(TOPIC)}`);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    const timer = setInterval(() => app.publish(TOPIC, new Date().toISOString()), 1000);
    process.once('SIGINT', () => {
      clearInterval(timer);
      app.close();
    });
  });
