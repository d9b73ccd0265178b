/**
 * A chat of crossws on uWebSockets.js. Tells what happens by a line of JSON each; closes its App at the
 * first byte of its input. With a key and a certificate in the environment, by TLS.
 */

import uWS from 'uWebSockets.js';
import crossws from 'crossws/adapters/uws';

const tell = (...values) => console.log(JSON.stringify(values));

const adapter = crossws({
  hooks: {
    async upgrade(request) {
      const { pathname, searchParams } = new URL(request.url);
      await null;
      if (!searchParams.has('name'))
        return new Response(null, { status: 401, headers: { 'x-why': 'no name' } });
      return { headers: { 'x-room': pathname }, context: { name: searchParams.get('name') } };
    },
    open(peer) {
      peer.subscribe('chat');
      peer.send(`welcome ${peer.context.name} from ${peer.remoteAddress}`);
    },
    message(peer, message) {
      const text = message.text();
      if (text === 'bytes') return peer.send(message.uint8Array());
      if (text === 'leave') return peer.close(4001, 'bye');
      if (text === 'all') return adapter.publish('chat', 'to all');
      if (text === 'peers') return peer.send(`${peer.peers.size}`);
      peer.publish('chat', `${peer.context.name}: ${text}`);
    },
    close: (peer, details) => tell('close', peer.context.name, details.code),
  },
});

const { KEY: key, CERT: cert } = process.env;
const app = (key ? uWS.SSLApp({ key, cert }) : uWS.App()).ws('/*', adapter.websocket);
app.listen('127.0.0.1', 0, (token) => tell(uWS.us_socket_local_port(token)));
process.stdin.once('data', () => {
  app.close();
  process.stdin.destroy();
});
