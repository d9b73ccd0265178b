'use strict';

/**
 * The echo server under test, in a process of its own: tells its parent the port, and ends with it. Its
 * compressors keep a context for each connection, at `/shared` they do not. With `--secure` it speaks TLS.
 */

const {
  App,
  DEDICATED_COMPRESSOR,
  DEDICATED_DECOMPRESSOR,
  SHARED_COMPRESSOR,
  SSLApp,
  us_socket_local_port,
} = require('tidewire');
const { selfSigned } = require('../../examples/support/certificate');

const MIB = 1024 * 1024;

const behavior = {
  // The largest messages have 16 MiB, and some cases send much before they read.
  maxPayloadLength: 16 * MIB,
  maxBackpressure: 64 * MIB,
  idleTimeout: 60,
  binaryType: 'nodebuffer',
  message: (ws, message, isBinary) => ws.send(message, isBinary, true),
};

const app = process.argv.includes('--secure') ? SSLApp(selfSigned()) : App();

app
  .ws('/*', { ...behavior, compression: DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR })
  .ws('/shared', { ...behavior, compression: SHARED_COMPRESSOR })
  .listen('127.0.0.1', 0, (token) => process.send?.(token ? us_socket_local_port(token) : 0));

process.once('disconnect', () => process.exit());
