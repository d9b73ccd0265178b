'use strict';

// Hello world on tidewire. `node --expose-gc tidewire.js PORT`.

const { App, SSLApp, us_socket_local_port: localPort } = require('../../..');

const { TLS_CERT, TLS_KEY } = process.env;

(TLS_KEY ? SSLApp({ key_file_name: TLS_KEY, cert_file_name: TLS_CERT }) : App())
  .get('/', (res) => {
    res.end('Hello World!');
  })
  .listen(Number(process.argv[2] ?? 0), (token) => {
    if (!token) throw new Error(`port ${process.argv[2]} is taken`);
    console.log(`listening ${localPort(token)}`);
  });
