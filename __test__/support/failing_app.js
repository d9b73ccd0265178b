'use strict';

/**
 * An App whose engine can be made to panic: run in a folder with an addon that is built for it. It obeys lines of JSON
 * on its standard input, and prints lines of JSON: a word for what happened, and what goes with it.
 */

// Before `index.js` takes it.
const native = require('./lib/binding');

const engines = [];
const { Engine } = native;
native.Engine = class extends Engine {
  constructor(...values) {
    super(...values);
    engines.push(this);
  }
};

const { createInterface } = require('node:readline');
const { App, us_socket_local_port } = require('./index');

const told = { opened: 0, closed: 0, codes: {}, causes: {}, aborted: 0 };
const say = (...line) => console.log(JSON.stringify(line));
const count = (counts, name) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

const app = App({
  threads: Number(process.env.THREADS),
  onError: process.env.WITHOUT_HANDLER
    ? undefined
    : ({ code, message, place, reactor, connections }) =>
        say('error', { code, message, place, reactor, connections }),
});
process.on('warning', ({ name, code, message }) => say('warning', { name, code, message }));

app.ws('/*', {
  maxBackpressure: 0,
  open: (ws) => {
    told.opened++;
    ws.subscribe('all');
    ws.send('welcome');
  },
  message: (ws, message, isBinary) => ws.send(message, isBinary),
  close: (ws, code) => {
    told.closed++;
    count(told.codes, code);
    count(told.causes, ws.closeCause);
  },
});
app.get('/hello', (res) => res.end('hello'));
app.get('/pending', (res) => {
  res.onAborted(() => told.aborted++);
  say('pending');
});
app.listen('127.0.0.1', 0, (token) => console.log(JSON.stringify({ port: us_socket_local_port(token) })));

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [what, ...values] = JSON.parse(line);
  if (what === 'inject') say('injected', engines[0].injectFault(...values));
  if (what === 'publish') app.publish('all', 'published');
  if (what === 'counts') {
    const { connections, closes } = app.stats();
    say('counts', { ...told, connections, failures: closes.failure, subscribers: app.numSubscribers('all') });
  }
  if (what === 'close') {
    lines.close();
    process.stdin.destroy();
    app.close();
  }
});
process.on('exit', () => say('end', told));
