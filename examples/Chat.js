'use strict';

/**
 * A chat room, and the page for it (chat.html). What a client says first is its name; everything else goes to all
 * who have said theirs.
 */

const { readFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');

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

// The page comes from a server of Node's, on a port of its own.
const page = http.createServer((_request, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(html.replace('data-port=""', `data-port="${chatPort}"`));
});
let chatPort = port;

page.listen(0, () => {
  const { port: pagePort } = /** @type {import('node:net').AddressInfo} */ (page.address());
  app
    .ws('/*', {
      maxPayloadLength: 2048,
      // A browser lets any page connect to any server: here only the one above may.
      origins: ['localhost', '127.0.0.1'].map((host) => `http://${host}:${pagePort}`),
      message: (/** @type {Socket} */ ws, text) => {
        if (ws.name === undefined) join(ws, String(text));
        else tell({ name: ws.name, text: String(text) });
      },
      close: leave,
    })
    .listen(port, (token) => {
      if (!token) {
        console.error(`Cannot listen on port ${port}: it is in use`);
        process.exitCode = 1;
        page.close();
        return;
      }
      chatPort = us_socket_local_port(token);
      console.log(`Listening on port ${chatPort}`);
      console.log(`Open http://localhost:${pagePort} in two windows`);
      process.once('SIGINT', () => {
        us_listen_socket_close(token);
        app.close();
        page.close();
      });
    });
});
