/** The typings, compiled and never run: `tsc` fails where an expected error is missing, too. */

import tidewire, {
  App,
  type AppOptions,
  DEDICATED_DECOMPRESSOR_4KB,
  DeclarativeResponse,
  DISABLED,
  getParts,
  type HttpHandler,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  SHARED_COMPRESSOR,
  SSLApp,
  type TemplatedApp,
  type TlsOptions,
  us_listen_socket_close,
  us_socket_local_port,
  type WebSocket,
  type WebSocketBehavior,
} from 'tidewire';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(same: Same<A, B>): void;

interface User {
  name: string;
}

// With and without `new`, by name and by default; everything chains.
const app = App();
same<typeof app, TemplatedApp>(true);
const made: TemplatedApp = new App({ threads: 2 }).ws('/', {}).listen(0, () => {});
const other: TemplatedApp = tidewire.App(undefined).close();
made.close();
class Chat extends App {
  rooms = new Set<string>();
}
new Chat().close().rooms.clear();
other.close();

// Data is an ArrayBuffer unless asked otherwise.
app.ws('/plain', {
  compression: DISABLED,
  idleTimeout: undefined,
  open: null,
  message(ws, message, isBinary) {
    same<typeof ws, WebSocket<unknown>>(true);
    same<typeof message, ArrayBuffer>(true);
    same<typeof isBinary, boolean>(true);
    const status: 0 | 1 | 2 = ws.send(message, isBinary, false);
    ws.cork(() => ws.ping(new Uint8Array(2))).end(1000 + status, 'bye');
  },
  ping: async (_ws, message) => same<typeof message, ArrayBuffer>(true),
  close(ws, code, message) {
    same<typeof message, ArrayBuffer>(true);
    same<typeof code, number>(true);
    same<typeof ws.readyState, 1 | 2 | 3>(true);
  },
});

// Topics: of the socket, of the App, and their handler.
app.ws('/topics', {
  textType: 'string',
  open(ws) {
    const results: boolean[] = [ws.subscribe('a'), ws.unsubscribe(new Uint8Array(1)), ws.isSubscribed('a')];
    results.push(ws.publish('a', 'text'), ws.publish('a', new ArrayBuffer(1), true, false));
    const names: string[] = ws.getTopics();
    names.push(String(results));
  },
  subscription(ws, topic, count, before) {
    same<typeof ws, WebSocket<unknown>>(true);
    same<typeof topic, string>(true);
    same<typeof count, number>(true);
    same<typeof before, number>(true);
  },
});
const reached: boolean = app.publish('a', 'text', false, true);
const descriptor: number = app.getDescriptor();
app.addChildAppDescriptor(descriptor).removeChildAppDescriptor(descriptor).close();
const subscribers: number = app.numSubscribers('a') + Number(reached) + app.stats().topics;
// @ts-expect-error A topic is text or bytes.
app.publish(subscribers, 'text');

// The types follow the options.
app.ws('/buffers', {
  binaryType: 'nodebuffer',
  message: (_ws, message) => same<typeof message, Buffer>(true),
  dropped: (_ws, message) => same<typeof message, Buffer>(true),
  pong: (_ws, message) => same<typeof message, Buffer>(true),
});
app.ws('/strings', {
  textType: 'string',
  message: (_ws, message) => same<typeof message, string | ArrayBuffer>(true),
  close: (_ws, _code, message) => same<typeof message, ArrayBuffer>(true),
});
App({ binaryType: 'uint8array' })
  .ws('/', { message: (_ws, message) => same<typeof message, Uint8Array>(true) })
  .ws('/', { binaryType: 'nodebuffer', message: (_ws, message) => same<typeof message, Buffer>(true) });
App({ textType: 'string' })
  .ws('/', { message: (_ws, message) => same<typeof message, string | ArrayBuffer>(true) })
  .ws('/', { textType: 'arraybuffer', message: (_ws, message) => same<typeof message, ArrayBuffer>(true) });

// User data is what is set on the socket.
app.ws<User>('/user', {
  open(ws) {
    ws.name = 'Ada';
    same<ReturnType<typeof ws.getUserData>, User>(true);
    // @ts-expect-error a property that User does not have
    ws.age = 3;
  },
  message: (_ws, message) => same<typeof message, ArrayBuffer>(true),
});
app.ws<User, 'nodebuffer'>('/user', {
  binaryType: 'nodebuffer',
  message: (ws, message) => ws.send(Buffer.concat([Buffer.from(ws.name), message])),
});
app.ws<User, 'arraybuffer', 'string'>('/user', {
  textType: 'string',
  message: (_ws, message) => same<typeof message, string | ArrayBuffer>(true),
});
const behavior: WebSocketBehavior<User> = { message: (ws, message) => void ws.send(message) };
app.ws('/user', behavior);

// HTTP.
const handler: HttpHandler = async (res, req) => {
  same<ReturnType<typeof req.getQuery>, string | undefined>(true);
  const query: string = req.getQuery();
  res.writeStatus('200 OK').writeHeader('a', new ArrayBuffer(1)).beginWrite().write(query);
  const [ok, done]: [boolean, boolean] = res.tryEnd(new Uint8Array(1), 2);
  res
    .onWritable((offset) => offset > 0 && ok && done)
    .onAborted(() => {
      // As programs for uWebSockets.js do.
      res.aborted = true;
    });
  res.onData((chunk, isLast) => void same<typeof chunk | typeof isLast, ArrayBuffer | boolean>(true));
  res
    .onDataV2((_chunk, most) => same<typeof most, bigint>(true))
    .collectBody(9, (body) => {
      for (const part of getParts(body ?? '', req.getHeader('content-type')) ?? []) res.end(part.data, true);
    });
  // @ts-expect-error a number of bytes
  res.endWithoutBody('1');
  // @ts-expect-error text or data
  res.end(1);
};
app
  .get('/', handler)
  .post('/', handler)
  .options('/', handler)
  .del('/', handler)
  .patch('/', handler)
  .put('/', null);
app.head('/', handler).connect('/', handler).trace('/', handler).any('/', handler).ws('/', null);
app.get('/', new DeclarativeResponse().writeHeader('a', 'b').writeQueryValue('c').writeBody().end('d'));
app.filter((res, count) => same<typeof count, 1 | -1>(true) ?? res.getRemotePort());
app
  .missingServerName((name) => same<typeof name, string>(true))
  .addServerName('a', {})
  .domain('a')
  .domain('')
  .removeServerName('a');

// TLS.
const secure: TemplatedApp = SSLApp({
  key_file_name: 'key.pem',
  cert_file_name: 'cert.pem',
  passphrase: 'x',
});
const renewed: TlsOptions = {
  key: new Uint8Array(1),
  cert: Buffer.from('x'),
  ca: 'x',
  ssl_ciphers: undefined,
};
secure
  .setCertificate(renewed)
  .setCertificate('a.example', renewed)
  .addServerName('a.example', renewed)
  .close();
new SSLApp({ ...renewed, textType: 'string', threads: 2 }).ws('/', {
  message: (_ws, message) => same<typeof message, string | ArrayBuffer>(true),
});
class Secure extends SSLApp {}
const failed: number | undefined = new Secure(renewed).stats().gate.tls?.failed.plainHttp;
same<typeof failed, number | undefined>(true);
// As programs for uWebSockets.js name it.
const named: AppOptions = {
  key_file_name: 'key.pem',
  dh_params_file_name: '',
  ssl_prefer_low_memory_usage: true,
};
secure.addServerName('b.example', named);
// @ts-expect-error a certificate is needed
secure.setCertificate('a.example');
// @ts-expect-error a key is text or bytes
SSLApp({ key: 1 });
// @ts-expect-error no handler
app.get('/');
// @ts-expect-error a handler is a function
app.get('/', 'text');

// The forms of listen.
app
  .listen(9001, (token) => {
    // @ts-expect-error the token may be false
    us_listen_socket_close(token);
    if (token) us_listen_socket_close(token);
  })
  .listen('localhost', 9001, () => {})
  .listen(9001, LIBUS_LISTEN_EXCLUSIVE_PORT, () => {})
  .listen('::1', 9001, LIBUS_LISTEN_EXCLUSIVE_PORT, () => {});
app
  .listen('localhost', 0)
  .then((token) => same<number, ReturnType<typeof us_socket_local_port>>(true) ?? token);

app
  .listen_unix((token) => {
    if (token) us_listen_socket_close(token);
  }, '/run/app.sock')
  .listen_unix(() => {}, Buffer.from('/run/app.sock'));
app.listen_unix('/run/app.sock').then(us_listen_socket_close);
// @ts-expect-error the callback comes first
app.listen_unix('/run/app.sock', () => {});

// The end of an App.
app
  .shutdown()
  .then(({ closed, forced, aborted }) => same<typeof closed & typeof forced & typeof aborted, number>(true));
app.shutdown({ code: 1012, reason: 'restarting', timeout: 0.5 });
// @ts-expect-error a code is a number
app.shutdown({ code: '1012' });
// @ts-expect-error not an option
app.shutdown({ seconds: 8 });
App({ onError: ({ code, reactor }) => [code.length, reactor?.toFixed()] });
app.ws('/', { close: (ws) => same<'failure', Extract<typeof ws.closeCause, 'failure'>>(true) });
app.ws('/', { close: (ws) => same<'shutdown', Extract<typeof ws.closeCause, 'shutdown'>>(true) });
app.ws('/', { close: (ws) => same<'memory', Extract<typeof ws.closeCause, 'memory'>>(true) });

// The numbers of an App.
const stats = app.stats();
same<typeof stats.closes.timeout, number>(true);
same<typeof stats.closes.shutdown & typeof stats.memory.total & typeof stats.largestBatch, number>(true);
same<typeof stats.gate.acceptPauses.code, string | null>(true);
same<typeof stats.budget.limit & typeof stats.budget.byKind.http & typeof stats.closes.memory, number>(true);
App({ memoryBudget: 2 ** 28 });
// @ts-expect-error it is a number of bytes
App({ memoryBudget: '256 MB' });
same<(typeof stats.gate.refused)[404], number>(true);
same<typeof stats.gate.turnedAway.maxConnections, number>(true);
for (const { connections, waiting } of stats.reactors)
  same<number, typeof connections & typeof waiting.events>(true);

// @ts-expect-error a descriptor is a number
app.addChildAppDescriptor('1');
// @ts-expect-error a port is a number
app.listen('9001', () => {});
// @ts-expect-error not an option
app.ws('/', { idleTimeOut: 8 });
// @ts-expect-error seconds are a number
app.ws('/', { idleTimeout: '8' });
// @ts-expect-error not a type of data
app.ws('/', { binaryType: 'blob' });
// @ts-expect-error only text comes as strings
app.ws('/', { binaryType: 'string' });
app.ws('/', { compression: SHARED_COMPRESSOR | DEDICATED_DECOMPRESSOR_4KB });
// @ts-expect-error a number
app.ws('/', { compression: 'SHARED_COMPRESSOR' });
app.ws('/', {
  upgrade: (res, req, context) => {
    same<ReturnType<typeof req.getParameter>, string | undefined>(true);
    res.writeHeader('a', req.getHeader('b')).upgrade({ a: 1 }, '', new Uint8Array(1), '', context);
  },
});
app.ws('/', { upgrade: async (res) => res.writeStatus('403 Forbidden').end() });
// @ts-expect-error no context
app.ws('/', { upgrade: (res) => res.upgrade({}, '', '', '') });
// @ts-expect-error the default of User alone is ArrayBuffer
app.ws<User>('/', { binaryType: 'nodebuffer' });
// @ts-expect-error a pattern is needed
app.ws({});
// @ts-expect-error an object is no data
app.ws('/', { open: (ws) => void ws.send({}) });
app.ws('/', {
  open(ws) {
    // @ts-expect-error read-only
    ws.readyState = 3;
  },
});
// @ts-expect-error not a token
us_socket_local_port({});
// @ts-expect-error threads are counted
App({ threads: 'many' });
App({ maxConnections: 1_000, maxConnectionsPerAddress: 10, connectionsPerMinutePerAddress: 60 });
App({ trustProxy: ['10.0.0.0/8', 'unix'] as const });
// @ts-expect-error a list
App({ trustProxy: true });
