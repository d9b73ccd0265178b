'use strict';

/** Tells every browser the time, once a second, by an event stream (`new EventSource('/events')`). */

const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').HttpResponse} HttpResponse */

const port = Number(process.env.PORT ?? 9001);
const MILLISECONDS = Number(process.env.MILLISECONDS ?? 1000);

/** @type {Set<HttpResponse>} Those that keep up. */
const listeners = new Set();
let number = 0;

const timer = setInterval(() => {
  number += 1;
  for (const res of listeners) {
    // Who does not keep up misses events until there is room again.
    if (!res.write(`id: ${number}\ndata: ${new Date().toISOString()}\n\n`)) listeners.delete(res);
  }
}, MILLISECONDS);

const app = App();

app
  .get('/events', (res, req) => {
    const last = req.getHeader('last-event-id');
    res.writeHeader('content-type', 'text/event-stream').writeHeader('cache-control', 'no-store');
    res.onAborted(() => listeners.delete(res));
    res.onWritable(() => {
      listeners.add(res);
      return true;
    });
    res.write(last === '' ? ': welcome\n\n' : `: welcome again, the last was ${last}\n\n`);
    listeners.add(res);
  })
  .get('/', (res) => {
    const script =
      "new EventSource('/events').onmessage = ({ data }) => { document.body.textContent = data; }";
    res.writeHeader('content-type', 'text/html').end(`<body></body><script>${script}</script>`);
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
