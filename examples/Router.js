'use strict';

/** Routes: the most specific one is asked, whatever their order; one that yields leaves its request to the next. */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);

/** @type {Map<string, string>} */
const notes = new Map([['1', 'buy milk']]);

const app = App();

app
  .get('/notes', (res) => {
    res.writeHeader('content-type', 'application/json').end(JSON.stringify([...notes.keys()]));
  })
  // Asked before '/notes/:id', and leaves to it what it does not know.
  .get('/notes/latest', (res, req) => {
    const latest = [...notes.values()].at(-1);
    if (latest === undefined) req.setYield(true);
    else res.end(latest);
  })
  .get('/notes/:id', (res, req) => {
    const note = notes.get(req.getParameter('id') ?? '');
    if (note === undefined) res.writeStatus('404 Not Found').end('no such note');
    else res.end(note);
  })
  .put('/notes/:id', (res, req) => {
    notes.set(req.getParameter('id') ?? '', req.getQuery('text') ?? '');
    res.writeStatus('201 Created').endWithoutBody();
  })
  .del('/notes/:id', (res, req) => {
    const known = notes.delete(req.getParameter('id') ?? '');
    res.writeStatus(known ? '204 No Content' : '404 Not Found').endWithoutBody();
  })
  .any('/*', (res, req) => {
    res.writeStatus('404 Not Found').end(`nothing answers ${req.getCaseSensitiveMethod()} ${req.getUrl()}`);
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
