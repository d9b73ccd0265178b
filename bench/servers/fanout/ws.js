'use strict';

// Whoever sends a number has so many messages sent to all other connections. `node --expose-gc ws.js PORT`.

const { WebSocket, WebSocketServer } = require('ws');

const SIZE = Number(process.env.SIZE ?? 20);
let published = 0;

const server = new WebSocketServer({ port: Number(process.argv[2] ?? 0), perMessageDeflate: false });

server.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (let left = Number(data); left > 0; left--) {
      const message = String(published++).padStart(SIZE, '0');
      // As its manual says how to broadcast.
      for (const client of server.clients) {
        if (client !== socket && client.readyState === WebSocket.OPEN) client.send(message);
      }
    }
  });
});

server.on('listening', () => console.log(`listening ${server.address().port}`));
