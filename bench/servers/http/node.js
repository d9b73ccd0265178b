'use strict';

// Hello world on node:http. `node --expose-gc node.js PORT`.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const { TLS_CERT, TLS_KEY } = process.env;

/** @type {http.RequestListener} */
const hello = (_, response) => {
  response.end('Hello World!');
};
const server = TLS_KEY
  ? https.createServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) }, hello)
  : http.createServer(hello);

server.listen(Number(process.argv[2] ?? 0), () => console.log(`listening ${server.address().port}`));
