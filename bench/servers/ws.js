'use strict';

// Echo server on the npm package `ws`. `node --expose-gc ws.js PORT`; DEFLATE compresses messages.

const { WebSocketServer } = require('ws');

// The idle scenario reads the memory after this, in every server alike.
process.on('SIGUSR2', () => global.gc?.());

const server = new WebSocketServer({
  port: Number(process.argv[2] ?? 0),
  perMessageDeflate: process.env.DEFLATE !== undefined && { threshold: 0 },
  maxPayload: 16 * 1024 * 1024,
});

server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on('listening', () => console.log(`listening ${server.address().port}`));
