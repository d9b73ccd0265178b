'use strict';

// Hello world on Bun.serve. `bun bun.js PORT`.

/* global Bun */

const server = Bun.serve({
  port: Number(process.argv[2] ?? 0),
  fetch() {
    return new Response('Hello World!');
  },
});

console.log(`listening ${server.port}`);
