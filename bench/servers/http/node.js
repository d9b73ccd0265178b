'use strict';

// Hello world on node:http. `node --expose-gc node.js PORT`.

const http = require('node:http');

const server = http.createServer((_, response) => {
  response.end('Hello World!');
});

server.listen(Number(process.argv[2] ?? 0), () => console.log(`listening ${server.address().port}`));
