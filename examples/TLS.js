'use strict';

/**
 * Serves a page over https://, and an echo over wss:// to it. With the paths of a key and a certificate, as arguments
 * or in KEY_FILE and CERT_FILE, those are taken, and read anew at each SIGHUP; without, it makes one for localhost that
 * no browser trusts before it is told to.
 */

const { SSLApp, us_socket_local_port } = require('tidewire');
const { selfSigned } = require('./support/certificate');

const port = Number(process.env.PORT ?? 9001);
const [key_file_name = process.env.KEY_FILE, cert_file_name = process.env.CERT_FILE] = process.argv.slice(2);

/** Files are named, not read: each time that they are given, they are read. */
const credentials = key_file_name ? { key_file_name, cert_file_name } : selfSigned();

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>TLS</title>
<p id="heard">connecting</p>
<script>
  const socket = new WebSocket('wss://' + location.host + '/echo');
  socket.onopen = () => socket.send('hello over TLS');
  socket.onmessage = ({ data }) => { heard.textContent = data; };
  socket.onclose = () => { heard.textContent += ' (the connection ended)'; };
</script>
`;

const app = SSLApp({ ...credentials, textType: 'string' });

/** A certificate that was renewed is taken for new connections; if it is no good, the old one stays. */
function renew() {
  try {
    app.setCertificate(credentials);
    console.log('The certificate was renewed');
  } catch (error) {
    console.error(`The old certificate stays: ${/** @type {Error} */ (error).message}`);
  }
}

app
  .get('/', (res) => {
    res.writeHeader('content-type', 'text/html; charset=utf-8').end(PAGE);
  })
  .ws('/echo', {
    origins: 'same',
    message: (ws, message, isBinary) => {
      ws.send(message, isBinary);
    },
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    console.log(`Open https://localhost:${us_socket_local_port(token)}`);
    process.on('SIGHUP', renew);
    process.once('SIGINT', () => app.close());
  });
