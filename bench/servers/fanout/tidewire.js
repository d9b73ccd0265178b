'use strict';

// Every connection subscribes; whoever sends a number has so many messages published to all others.
// `node --expose-gc tidewire.js PORT`.

const { App, SSLApp, us_socket_local_port: localPort } = require('../../..');

const { TLS_CERT, TLS_KEY } = process.env;
const SIZE = Number(process.env.SIZE ?? 20);
let published = 0;

(TLS_KEY ? SSLApp({ key_file_name: TLS_KEY, cert_file_name: TLS_CERT }) : App())
  .ws('/*', {
    textType: 'string',
    maxBackpressure: 64 * 1024 * 1024,
    open(ws) {
      ws.subscribe('all');
    },
    message(ws, text) {
      for (let left = Number(text); left > 0; left--) {
        ws.publish('all', String(published++).padStart(SIZE, '0'));
      }
    },
  })
  .listen(Number(process.argv[2] ?? 0), (token) => {
    if (!token) throw new Error(`port ${process.argv[2]} is taken`);
    console.log(`listening ${localPort(token)}`);
  });
