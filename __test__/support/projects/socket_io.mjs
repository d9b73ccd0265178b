/**
 * A server of Socket.IO on uWebSockets.js, for clients of Engine.IO 4 and 3. Tells what happens by a line of JSON each;
 * closes Socket.IO at the first byte of its input. With a key and a certificate in the environment, by TLS.
 */

import { App, SSLApp, us_listen_socket_close, us_socket_local_port } from 'uWebSockets.js';
import { Server } from 'socket.io';

const tell = (...values) => console.log(JSON.stringify(values));

const io = new Server({
  allowEIO3: true,
  cors: { origin: 'http://page.example', allowedHeaders: ['x-token'], credentials: true, maxAge: 60 },
  maxHttpBufferSize: 4 * 1024 * 1024,
  // None but the tests end connections.
  pingTimeout: 60_000,
});

const { KEY: key, CERT: cert } = process.env;
const app = key ? SSLApp({ key, cert }) : App();
io.attachApp(app, { maxBackpressure: 0 });
io.engine.on('initial_headers', (headers) => {
  headers['set-cookie'] = 'first=1';
});
io.engine.on('headers', (headers, request) => {
  headers['x-method'] = request.method;
});

io.use((socket, next) => {
  next(socket.handshake.query.name === 'nobody' ? new Error('no such user') : undefined);
});

io.on('connection', (socket) => {
  const { name } = socket.handshake.query;
  tell('connect', name, socket.conn.protocol, socket.handshake.address);
  socket.conn.once('upgrade', () => tell('upgrade', name));
  socket.on('disconnect', (reason) => tell('disconnect', name, reason));
  socket.on('transport', (reply) => reply(socket.conn.transport.name));
  socket.on('header', (field, reply) => reply(socket.handshake.headers[field]));
  socket.on('echo', (...values) => values.pop()(...values));
  socket.on('again', (...values) => socket.emit('again', ...values));
  socket.on('ask', (question, reply) => socket.emit('question', question, reply));
  socket.on('join', async (room, reply) => {
    await socket.join(room);
    reply(io.sockets.adapter.rooms.get(room)?.size);
  });
  socket.on('leave', async (room, reply) => {
    await socket.leave(room);
    reply();
  });
  socket.on('to room', (room, ...values) => io.to(room).emit('said', name, ...values));
  socket.on('to others in', (room, ...values) => socket.to(room).emit('said', name, ...values));
  socket.on('to others', (...values) => socket.broadcast.emit('said', name, ...values));
  socket.on('to all', (...values) => io.emit('said', name, ...values));
  socket.on('count to', (count) => {
    for (let number = 1; number <= count; number++) socket.emit('number', number);
  });
  socket.on('send away', () => socket.disconnect(true));
  socket.on('cut', () => socket.conn.close());
});

io.of('/admin').on('connection', (socket) => {
  socket.on('whose', (reply) => reply(socket.nsp.name));
  socket.on('to all', (...values) => io.of('/admin').emit('said', ...values));
});

app.any('/*', (res) => {
  res.writeStatus('404 Not Found').end('none of Socket.IO');
});
app.listen('127.0.0.1', 0, (token) => {
  tell(us_socket_local_port(token));
  process.stdin.once('data', () => {
    io.close(() => tell('closed', io.engine.clientsCount));
    us_listen_socket_close(token);
    process.stdin.destroy();
  });
});
