'use strict';

// Echo server on the npm package `ws`. `node --expose-gc ws.js PORT`; DEFLATE compresses messages, WORK_MICROS is what
// the handler does beside, TLS_KEY and TLS_CERT are PEM files.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');

const { work } = require('./support/work');

const { DEFLATE, TLS_CERT, TLS_KEY } = process.env;

// The idle scenario reads the memory after this, in every server alike.
process.on('SIGUSR2', () => global.gc?.());

const server = TLS_KEY
  ? https.createServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) })
  : http.createServer();

new WebSocketServer({
  server,
  perMessageDeflate: DEFLATE !== undefined && { threshold: 0 },
  maxPayload: 16 * 1024 * 1024,
}).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    work?.();
    socket.send(data, { binary: isBinary });
  });
});

// So many may wait to be accepted: the storm brings more than Node's default of 511.
server.listen({ port: Number(process.argv[2] ?? 0), backlog: 4096 }, () =>
  console.log(`listening ${server.address().port}`),
);
