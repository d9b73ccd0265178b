'use strict';

// Echo server on tidewire. `node --expose-gc tidewire.js PORT`; BINARY_TYPE and TEXT_TYPE choose how data comes, THREADS
// how many reactors there are, IDLE_TIMEOUT the seconds of silence after which a connection is closed, DEFLATE the
// constant of `compression` (1: shared), WORK_MICROS what the handler does beside; TLS_KEY and TLS_CERT are PEM files.

const { App, SSLApp, us_socket_local_port: localPort } = require('../..');
const { work } = require('./support/work');

const MEBIBYTE = 1024 * 1024;
const COMPRESSION = Number(process.env.DEFLATE ?? 0);
const { TLS_CERT, TLS_KEY } = process.env;
const threads = Number(process.env.THREADS ?? 1);

// The idle scenario reads the memory after this, in every server alike.
process.on('SIGUSR2', () => global.gc?.());

(TLS_KEY ? SSLApp({ threads, key_file_name: TLS_KEY, cert_file_name: TLS_CERT }) : App({ threads }))
  .ws('/*', {
    binaryType: process.env.BINARY_TYPE ?? 'arraybuffer',
    textType: process.env.TEXT_TYPE,
    compression: COMPRESSION,
    maxPayloadLength: 16 * MEBIBYTE,
    maxBackpressure: 64 * MEBIBYTE,
    idleTimeout: Number(process.env.IDLE_TIMEOUT ?? 120),
    message(ws, data, isBinary) {
      work?.();
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
