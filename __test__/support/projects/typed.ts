/** A TypeScript program for uWebSockets.js, with libraries that name its types. Compiled, and never run. */

import * as uWS from 'uWebSockets.js';
import uws, {
  App,
  type AppOptions,
  type CompressOptions,
  type HttpRequest,
  type HttpResponse,
  type RecognizedString,
  type TemplatedApp,
  type us_listen_socket,
  us_listen_socket_close,
  type us_socket_context_t,
  type WebSocket,
  type WebSocketBehavior,
} from 'uWebSockets.js';
import crossws from 'crossws/adapters/uws';
import { buildSchema } from 'graphql';
import { type Extra, makeBehavior } from 'graphql-ws/use/uWebSockets';

interface User {
  id: number;
}

const compression: CompressOptions = uWS.SHARED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR_4KB;
const topic: RecognizedString = new Uint8Array(4);
const sockets = new Map<uws.WebSocket<User>, number>();

const behavior: WebSocketBehavior<User> = {
  compression,
  idleTimeout: 32,
  upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t) {
    res.upgrade<User>({ id: 1 }, req.getHeader('sec-websocket-key'), '', '', context);
  },
  open(ws: WebSocket<User>) {
    sockets.set(ws, ws.getUserData().id + ws.id);
    ws.subscribe(topic);
  },
  message(ws: uWS.WebSocket<User>, message: ArrayBuffer, isBinary: boolean) {
    ws.publish('topic', message, isBinary, true);
  },
  close(ws, code: number, message: ArrayBuffer) {
    sockets.delete(ws);
    uws._cfg(`${code} ${message.byteLength}`);
  },
};

/** As transports of game servers keep it. */
export class Transport {
  app: uWS.TemplatedApp;
  listening: us_listen_socket | false = false;

  constructor(options: AppOptions = {}) {
    this.app = App(options).ws<User>('/*', behavior);
  }

  listen(port: number) {
    this.app.listen(port, (token) => {
      this.listening = token;
    });
    if (this.listening) us_listen_socket_close(this.listening);
  }
}

const schema = buildSchema('type Query { greeting: String }');
const onConnect = ({ extra }: { extra: Extra }) => extra.socket.send('typed') === 1;
const app: TemplatedApp = new App();
app.ws('/graphql', makeBehavior({ schema, onConnect })).ws('/*', crossws({ hooks: {} }).websocket);
