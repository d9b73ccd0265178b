'use strict';

// Echo server on tidewire. `node --expose-gc tidewire.js PORT`; BINARY_TYPE chooses the data's type, IDLE_TIMEOUT
// the seconds of silence after which a connection is closed, DEFLATE the constant of `compression` (1: shared);
// TLS_KEY and TLS_CERT are PEM files.

const { App, SSLApp, us_socket_local_port: localPort } = require('../..');

const MEBIBYTE = 1024 * 1024;
const COMPRESSION = Number(process.env.DEFLATE ?? 0);
const { TLS_CERT, TLS_KEY } = process.env;

// The idle scenario reads the memory after this, in every server alike.
process.on('SIGUSR2', () => global.gc?.());

(TLS_KEY ? SSLApp({ key_file_name: TLS_KEY, cert_file_name: TLS_CERT }) : App())
  .ws('/*', {
    binaryType: process.env.BINARY_TYPE ?? 'arraybuffer',
    compression: COMPRESSION,
    maxPayloadLength: 16 * MEBIBYTE,
    maxBackpressure: 64 * MEBIBYTE,
    idleTimeout: Number(process.env.IDLE_TIMEOUT ?? 120),
    message(ws, data, isBinary) {
      ws.send(data, isBinary, COMPRESSION !== 0);
    },
  })
  .listen(Number(process.argv[2] ?? 0), (token) => {
    if (!token) {
      console.error(`port ${process.argv[2]} is taken`);
      process.exit(1);
    }
    console.log(`listening ${localPort(token)}`);
  });
