'use strict';

// Echo server on Bun.serve. `bun bun.js PORT`; DEFLATE compresses messages, WORK_MICROS is what the handler does
// beside, TLS_KEY and TLS_CERT are PEM files.

/* global Bun */

const { work } = require('./support/work');

const MEBIBYTE = 1024 * 1024;
const DEFLATE = process.env.DEFLATE !== undefined;
const { TLS_CERT, TLS_KEY } = process.env;

// The idle scenario reads the memory after this, in every server alike.
process.on('SIGUSR2', () => Bun.gc(true));

const server = Bun.serve({
  port: Number(process.argv[2] ?? 0),
  tls: TLS_KEY ? { key: Bun.file(TLS_KEY), cert: Bun.file(TLS_CERT) } : undefined,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response('WebSocket only', { status: 400 });
  },
  websocket: {
    perMessageDeflate: DEFLATE,
    maxPayloadLength: 16 * MEBIBYTE,
    backpressureLimit: 64 * MEBIBYTE,
    idleTimeout: 120,
    message(socket, data) {
      work?.();
      socket.send(data, DEFLATE);
    },
  },
});

console.log(`listening ${server.port}`);
