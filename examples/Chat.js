'use strict';

/**
 * A chat room, and the page for it (chat.html). What a client says first is its name; everything else goes to all
 * who have said theirs.
 */

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ name?: string }>} Socket */

const port = Number(process.env.PORT ?? 9001);
const html = readFileSync(path.join(__dirname, 'chat.html'), 'utf8');

/** Of those who are in the room. */
const names = new Set();

const app = App({ textType: 'string' });
const tell = (/** @type {object} */ what) => app.publish('room', JSON.stringify(what));

function join(/** @type {Socket} */ ws, /** @type {string} */ name) {
  if (!/^\S.{0,19}$/u.test(name)) return ws.end(4000, 'A name has 1 to 20 characters');
  if (names.has(name)) return ws.end(4001, 'Somebody of this name is there');
  ws.name = name;
  ws.send(JSON.stringify({ names: [...names] }));
  ws.subscribe('room');
  names.add(name);
  return tell({ joined: name });
}

function leave(/** @type {Socket} */ ws) {
  if (names.delete(ws.name)) tell({ left: ws.name });
}

app
  .get('/', (res) => {
    res.writeHeader('content-type', 'text/html; charset=utf-8').end(html);
  })
  .ws('/chat', {
    maxPayloadLength: 2048,
    // A browser lets any page connect to any server: here only the one above may.
    origins: 'same',
    message: (/** @type {Socket} */ ws, text) => {
      if (ws.name === undefined) join(ws, String(text));
      else tell({ name: ws.name, text: String(text) });
    },
    close: leave,
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    console.log(`Open http://localhost:${us_socket_local_port(token)} in two windows`);
    process.once('SIGINT', () => app.close());
  });
