'use strict';

// Whoever sends a number has so many messages sent to all other connections. `node --expose-gc ws.js PORT`.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocket, WebSocketServer } = require('ws');

const { TLS_CERT, TLS_KEY } = process.env;
const SIZE = Number(process.env.SIZE ?? 20);
let published = 0;

const server = TLS_KEY
  ? https.createServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) })
  : http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (let left = Number(data); left > 0; left--) {
      const message = String(published++).padStart(SIZE, '0');
      // As its manual says how to broadcast.
      for (const client of sockets.clients) {
        if (client !== socket && client.readyState === WebSocket.OPEN) client.send(message);
      }
    }
  });
});

server.listen(Number(process.argv[2] ?? 0), () => console.log(`listening ${server.address().port}`));
