'use strict';

/**
 * Sends as much as a client asks for, as fast as that client reads: a number is answered with so many
 * pieces of 16 KiB. However slow it is, little of it is in memory, and nobody else waits.
 */

const { App, us_socket_local_port } = require('tidewire');

/** @typedef {import('tidewire').WebSocket<{ left: number }>} Socket */

const port = Number(process.env.PORT ?? 9001);
const PIECE_BYTES = 16 * 1024;

/** What may wait here for one client: some pieces, so that it never waits for us. Less than `maxBackpressure`. */
const WAITING_BYTES = 8 * PIECE_BYTES;

/** @param {Socket} ws */
function fill(ws) {
  while (ws.left > 0 && ws.getBufferedAmount() < WAITING_BYTES) {
    ws.send(Buffer.alloc(PIECE_BYTES, ws.left), true);
    ws.left -= 1;
    if (ws.left === 0) ws.send('that was all');
  }
}

const app = App({ textType: 'string' });

app
  .ws('/*', {
    // The loop above never comes near it: no message is dropped.
    maxBackpressure: 4 * WAITING_BYTES,
    open: (/** @type {Socket} */ ws) => {
      ws.left = 0;
    },
    message: (/** @type {Socket} */ ws, message) => {
      const pieces = Number(message);
      if (!Number.isInteger(pieces) || pieces < 1) return ws.end(1003, 'say how many pieces');
      ws.left += pieces;
      fill(ws);
    },
    // After any amount above 0 this is called, once all of it or half is gone: time for the next pieces.
    drain: fill,
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
