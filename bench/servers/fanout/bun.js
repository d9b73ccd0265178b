'use strict';

// Every connection subscribes; whoever sends a number has so many messages published to all others. `bun bun.js PORT`.

/* global Bun */

const SIZE = Number(process.env.SIZE ?? 20);
const { TLS_CERT, TLS_KEY } = process.env;
let published = 0;

const server = Bun.serve({
  port: Number(process.argv[2] ?? 0),
  tls: TLS_KEY ? { key: Bun.file(TLS_KEY), cert: Bun.file(TLS_CERT) } : undefined,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response('WebSocket only', { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    backpressureLimit: 64 * 1024 * 1024,
    open(socket) {
      socket.subscribe('all');
    },
    message(socket, text) {
      for (let left = Number(text); left > 0; left--) {
        socket.publish('all', String(published++).padStart(SIZE, '0'));
      }
    },
  },
});

console.log(`listening ${server.port}`);
