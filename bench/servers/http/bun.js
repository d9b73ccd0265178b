'use strict';

// Hello world on Bun.serve. `bun bun.js PORT`.

/* global Bun */

const { TLS_CERT, TLS_KEY } = process.env;

const server = Bun.serve({
  port: Number(process.argv[2] ?? 0),
  tls: TLS_KEY ? { key: Bun.file(TLS_KEY), cert: Bun.file(TLS_CERT) } : undefined,
  fetch() {
    return new Response('Hello World!');
  },
});

console.log(`listening ${server.port}`);
