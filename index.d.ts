/**
 * tidewire: a WebSocket server for Node.js whose engine is Rust. The interface is that of
 * uWebSockets.js, where it has the same.
 *
 * Handlers run on the JavaScript thread that made the App, the main one or a worker, in batches; an App, its
 * sockets and its tokens belong to that thread. The engine's own threads run no JavaScript.
 *
 * Whatever is misused throws an error with a stable `code`. A value of the wrong type is a `TypeError` with
 * `TIDEWIRE_INVALID_TYPE`, or `TIDEWIRE_TEXT_OR_DATA` where text or data was expected; one that is not accepted is
 * a `RangeError` with `TIDEWIRE_OUT_OF_RANGE`. Other codes are told where they can come. What the host refuses has
 * the system's code (`EADDRINUSE`).
 *
 * What a handler throws, or fails to do, goes to `uncaughtException`, and the rejection of an `async` one to
 * `unhandledRejection`: a process that listens for neither ends, as always in Node.js.
 *
 * Where there is no native addon for the platform, `require` throws `TIDEWIRE_NO_BINARY`.
 */

/// <reference types="node" />

// Without this, a declaration file exports what it only declares, too.
export {};

/**
 * Text or data that is passed in: a string (taken as UTF-8, a lone surrogate as U+FFFD) or bytes. Of a view,
 * its own part of the buffer is taken; `undefined` is empty. The bytes are copied before the call returns.
 *
 * Whatever takes it throws a `TypeError` for anything else: `TIDEWIRE_TEXT_OR_DATA`, `Text and data can only be
 * passed by String, ArrayBuffer or TypedArray.`; and `TIDEWIRE_DETACHED` for data whose buffer was transferred.
 */
export type RecognizedString = string | ArrayBuffer | SharedArrayBuffer | NodeJS.ArrayBufferView;

/**
 * How handlers get data. All of them stay valid for as long as they are kept.
 *
 * - `'arraybuffer'`: an `ArrayBuffer` of its own, as uWebSockets.js gives it.
 * - `'nodebuffer'`: a `Buffer`, a view of the memory that a whole batch shares. The fast way. To keep
 *   a small one for long, copy it: a view keeps all of the batch's memory.
 * - `'uint8array'`: the same as a plain `Uint8Array`.
 */
export type BinaryType = 'arraybuffer' | 'nodebuffer' | 'uint8array';

/** How handlers get text messages: as one of {@link BinaryType}, or as a string. */
export type TextType = BinaryType | 'string';

/** The type of the data that handlers get under each {@link BinaryType} or {@link TextType}. */
export interface DataTypes {
  /** Of its own memory. */
  arraybuffer: ArrayBuffer;
  /** A view of the batch's memory. */
  nodebuffer: Buffer;
  /** Likewise. */
  uint8array: Uint8Array;
  /** Of text alone: what was UTF-8 on the wire. */
  string: string;
}

/**
 * Keys and certificates of {@link SSLApp}, {@link TemplatedApp.addServerName} and {@link TemplatedApp.setCertificate}.
 *
 * Each is the path of a file, which is read at once, or PEM (RFC 7468) itself: `key_file_name` or `key`. Both of one
 * thing are refused (`TIDEWIRE_TLS_GIVEN_TWICE`), and so is a value of the wrong type (`TIDEWIRE_INVALID_TYPE`) and,
 * in the place of a path, what a file holds (`TIDEWIRE_OUT_OF_RANGE`). A file that cannot be read has the system's
 * code (`ENOENT`), and a host without randomness `TIDEWIRE_TLS_RANDOMNESS`. What is empty is not given, as in
 * uWebSockets.js. No error repeats a key or a passphrase.
 */
export interface TlsOptions {
  /** Path of the file with the private key. */
  key_file_name?: RecognizedString | undefined;

  /** Path of the file with the certificate: `fullchain.pem`, where there is one. */
  cert_file_name?: RecognizedString | undefined;

  /** Path of the file with certification authorities, as of `ca`. */
  ca_file_name?: RecognizedString | undefined;

  /**
   * What the private key is encrypted with.
   * @throws `TIDEWIRE_TLS_PASSPHRASE` if a key is encrypted and this is not given, or not right
   */
  passphrase?: RecognizedString | undefined;

  /**
   * Cipher suites that may be used, by the names of OpenSSL or the IANA, or by OpenSSL's words (`ECDHE+AESGCM`,
   * `HIGH:!aNULL`), separated by colons; without it all that are served: those of TLS 1.3, and of TLS 1.2 those with
   * ECDHE and AES-GCM or ChaCha20-Poly1305. Others that OpenSSL knows are passed over, and so is the order: the
   * client's is followed. A list without a suite of TLS 1.3 leaves all of these, as OpenSSL does; one of these alone
   * turns TLS 1.2 off.
   * @throws `TIDEWIRE_TLS_CIPHERS` for a name that nobody knows, and for a list of which nothing is served
   */
  ssl_ciphers?: RecognizedString | undefined;

  /** No effect: keys are agreed on by elliptic curves alone. Warns once (`TIDEWIRE_NO_EFFECT`). */
  dh_params_file_name?: RecognizedString | undefined;

  /** No effect: little memory is used in any case. */
  ssl_prefer_low_memory_usage?: boolean | undefined;

  /**
   * The private key in PEM: RSA of 2048 to 4096 bits, ECDSA of P-256 and P-384, or Ed25519, as PKCS#8, which may be
   * encrypted, PKCS#1 or SEC1.
   * @throws `TIDEWIRE_TLS_KEY` for what is none; `TIDEWIRE_TLS_MISMATCH` for that of another certificate
   */
  key?: RecognizedString | undefined;

  /**
   * The certificate in PEM, and behind it those between it and its root.
   * @throws `TIDEWIRE_TLS_CERTIFICATE` for what is none
   */
  cert?: RecognizedString | undefined;

  /**
   * Certification authorities in PEM. With them clients are asked for a certificate; one that has none is let in, one
   * whose certificate is of nobody here is not. {@link HttpResponse.getX509Certificate} tells which it has.
   * @throws `TIDEWIRE_TLS_CA` for what is none
   */
  ca?: RecognizedString | undefined;
}

/**
 * Options of {@link App} and {@link SSLApp}. One given as `undefined` has its default. An unknown one warns once; so
 * does one of TLS that is given to `App`, which speaks none (`TIDEWIRE_NO_EFFECT`).
 *
 * The variable `UWS_HTTP_MAX_HEADERS_SIZE` of the environment is read when an App is made: the longest
 * head of a request in bytes, 512 to 1,048,576 (16,384 by default). Beyond it, or beyond 100 header lines,
 * the answer is 431. Another value warns (`TIDEWIRE_INVALID_ENVIRONMENT`), and the default is taken.
 */
export interface AppOptions<Binary extends BinaryType = 'arraybuffer', Text extends TextType = Binary>
  extends TlsOptions {
  /**
   * Threads that serve the connections, beside the JavaScript thread: an integer from 1 to 64.
   * @default 1
   */
  threads?: number | undefined;

  /**
   * Default of the routes' `binaryType`.
   * @default 'arraybuffer'
   */
  binaryType?: Binary | undefined;

  /** Default of the routes' `textType`. Without it, a route's `textType` is as its `binaryType`. */
  textType?: Text | undefined;

  /**
   * What the methods of a socket do once its close handler has run: `'throw'` an error, as in uWebSockets.js;
   * or nothing (`'ignore'`): `send`, `ping` and the fragments return 2, `publish` and the others false, 0 or what is empty.
   * @default 'throw'
   */
  closedSend?: 'throw' | 'ignore' | undefined;

  /**
   * Bytes that the buffers of the App may take together: 1 MiB (1,048,576) to `Number.MAX_SAFE_INTEGER`, or 0 for no bound.
   * They are what waits for the JavaScript thread or for slow clients, and messages of which a part is still to come;
   * {@link AppStats.budget} has the numbers.
   *
   * From 95 % on nothing more is read from clients, until there is less than 90 %: they wait, and their idle timeouts
   * stand still. From 98 % on nothing is accepted. At 100 %, or when it stays above 95 % for some seconds without
   * becoming less, the connections that have the most waiting are closed with 1013 until there is less than 75 %, or
   * less than 90 % and only much smaller ones are left; `closeCause` is `'memory'` then. A client for which bytes wait is cut off, for nothing could be said to it.
   * @default a quarter of the memory that the process may have: of the smallest limit of its control groups on Linux, or of
   *     the host's memory, whichever is less
   */
  memoryBudget?: number | undefined;

  /**
   * Most connections at a time, from `accept` until the socket is closed: those before their request, of HTTP, and
   * WebSockets; 1 to 1,073,741,824. Beyond it a new client gets 503 with `Retry-After`; with TLS it is closed before the
   * handshake. Counted in {@link GateStats.turnedAway}. It is of this App: child Apps have their own, and an acceptor passes by one
   * that is full.
   * @default the process's soft limit of descriptors less 256, or half of it where that is more; on Windows 65,536
   */
  maxConnections?: number | undefined;

  /**
   * Most connections of one address at a time: 0 (unlimited), or 1 to 1,073,741,824. Beyond it a new one gets 429 with
   * `Retry-After`; with TLS as above. An address is one of IPv4, also as `::ffff:a.b.c.d`, or the first 64 bits of one of IPv6.
   * Clients of a Unix domain socket have none.
   * @default 0
   */
  maxConnectionsPerAddress?: number | undefined;

  /**
   * New connections of one address in a minute: 0 (unlimited), or 1 to 1,000,000. So many may come at once, and behind
   * them one each 60 s divided by this. Beyond it as above; what is turned away does not count.
   * @default 0
   */
  connectionsPerMinutePerAddress?: number | undefined;

  /**
   * Who is believed for whom it speaks, when connections are counted for addresses: addresses (`'192.0.2.7'`),
   * networks (`'10.0.0.0/8'`, `'2001:db8::/32'`), and `'unix'` for all that come by a Unix domain socket; at most 1,024.
   *
   * A connection of such a proxy counts, once its first head is there, for whom the proxy names: in the PROXY protocol,
   * version 2, or in `X-Forwarded-For`, whose last address counts that is not trusted itself. If it names nobody it counts
   * for no address; if `X-Forwarded-For` names somebody by what is no address (`unknown`), it counts for the address of the
   * proxy that has written that, or for one that all proxies on Unix domain sockets share. Over a connection of HTTP that it keeps, the latest request counts. Nothing else changes:
   * `getRemoteAddress` is the peer's.
   * @default []
   */
  trustProxy?: readonly string[] | undefined;

  /**
   * Called when the engine itself has failed, by a mistake in tidewire, and has gone on: it tells what that has cost.
   * Not for errors of peers or of the application. Without it there is a warning of the same code. What it throws goes
   * to `uncaughtException`.
   */
  onError?: ((error: EngineError) => void) | null | undefined;
}

/**
 * A failure of the engine (a panic of one of its threads), after which it goes on. Nothing that is known leads to one:
 * please report it.
 *
 * `TIDEWIRE_REACTOR_FAILED`: a reactor has begun anew. Its connections are closed: their clients get what was sent to
 * them before and a close frame with 1011, as far as they can be reached, and the close handlers 1011, `closeCause`
 * being `'failure'`; requests that wait for their `upgrade` handler are aborted. Others, and those that come, are served.
 *
 * `TIDEWIRE_GATE_FAILED`: what accepts connections and speaks HTTP has begun anew. The connections are closed that were
 * at work there, without a response, and their requests are aborted. WebSockets that are open go on, and listeners do.
 *
 * `TIDEWIRE_CONNECTION_FAILED`: the same for one connection that was no WebSocket yet.
 */
export interface EngineError extends Error {
  /** What has failed: see above. */
  code: 'TIDEWIRE_REACTOR_FAILED' | 'TIDEWIRE_GATE_FAILED' | 'TIDEWIRE_CONNECTION_FAILED';
  /** Where in tidewire's source: file, line and column. */
  place: string;
  /** The number of the reactor that has failed. */
  reactor?: number;
  /** How many WebSockets it had. */
  connections?: number;
}

/**
 * The options and handlers of a WebSocket route. An option given as `undefined` has its default; an
 * unknown one warns once for its name (`TIDEWIRE_UNKNOWN_OPTION`); a value that is not accepted
 * throws a `TypeError` (`TIDEWIRE_INVALID_TYPE`) or a `RangeError` (`TIDEWIRE_OUT_OF_RANGE`).
 *
 * A handler may be `null` or left out. What it throws goes to `uncaughtException`, and the connection
 * stays open. What it returns is ignored; an `async` one that rejects is an `unhandledRejection`.
 *
 * @typeParam UserData the properties that the application sets on its sockets
 * @typeParam Binary the `binaryType`; inferred by {@link TemplatedApp.ws} from the option
 * @typeParam Text the `textType`; inferred likewise
 */
export interface WebSocketBehavior<
  UserData = unknown,
  Binary extends BinaryType = 'arraybuffer',
  Text extends TextType = Binary,
> {
  /**
   * Longest message in bytes, over all of its fragments: 1 to 2,147,483,647. With `textType: 'string'`
   * at most what a string can hold (`buffer.constants.MAX_STRING_LENGTH`). A peer that exceeds it gets
   * a close frame with 1009, and the close handler 1006 with `Received too big message`.
   * @default 16 * 1024
   */
  maxPayloadLength?: number | undefined;

  /**
   * Most fragments of one message, empty ones counted: 1 to 2,147,483,647. A peer that exceeds it gets
   * a close frame with 1008.
   * @default 131072
   */
  maxFragments?: number | undefined;

  /**
   * Seconds without a byte from the peer after which the connection is closed: 0 (off), or 8 to 960.
   * Kept in steps of 4 seconds. Sending does not reset the clock, but a byte that waited and is taken does. While JavaScript is
   * too busy to take messages, the clock of a connection that is not read stands still.
   * @default 120
   */
  idleTimeout?: number | undefined;

  /**
   * Whether an idle connection gets a ping before `idleTimeout` runs out: 16 seconds before it, less
   * for timeouts below 32 seconds. Browsers answer pings by themselves.
   * @default true
   */
  sendPingsAutomatically?: boolean | undefined;

  /**
   * Minutes, give or take 10 %, after which a connection is closed with 1000 `please reconnect`:
   * 0 (off), or 1 to 239.
   * @default 0
   */
  maxLifetime?: number | undefined;

  /**
   * Bytes that may wait for a slow peer: a message that is sent while more are waiting is dropped, so
   * one message may go beyond it. 0 is unlimited; at most 2,147,483,647.
   * @default 64 * 1024
   */
  maxBackpressure?: number | undefined;

  /**
   * Whether a message dropped for `maxBackpressure` closes the connection (1006).
   * @default false
   */
  closeOnBackpressureLimit?: boolean | undefined;

  /**
   * Compression of messages by permessage-deflate (RFC 7692), with clients that offer it: {@link DISABLED},
   * one compressor, one decompressor, or one of each joined by `|`. A compressor alone has the
   * {@link SHARED_DECOMPRESSOR}; a decompressor alone lets clients compress, while the server does not.
   *
   * A `DEDICATED` one takes the context over from message to message: messages that resemble each other get
   * smaller, and each connection keeps the last bytes that passed, once some did. What comes is limited by
   * `maxPayloadLength` once it is decompressed. Data that is not valid closes the connection: the peer gets
   * 1007, the close handler 1006 with `Received invalid WebSocket frame`.
   *
   * Which messages the server compresses is said by each {@link WebSocketMethods.send}.
   * @default DISABLED
   */
  compression?: CompressOptions | undefined;

  /**
   * How handlers get data.
   * @default 'arraybuffer', or the App's `binaryType`
   */
  binaryType?: Binary | undefined;

  /**
   * How handlers get text messages, and the names of topics.
   * @default as `binaryType`, or the App's `textType`
   */
  textType?: Text | undefined;

  /**
   * From which sites' pages a browser may open a WebSocket here (RFC 6455 §10.2): others get 403 before
   * the upgrade. A page of any site can open one to any server, with the user's cookies: name those that
   * may, where cookies mean something.
   *
   * - `'same'`: the host and port of `Origin` are those that the request was sent to (`Host`). A port
   *   that is left out is the default of the origin's scheme.
   * - an array of origins as browsers send them, such as `'https://example.org'` or
   *   `'http://localhost:3000'`: compared as a whole, without case, a default port being the same as none.
   *   Patterns are none. An empty array lets no page in.
   *
   * - a function, called here with the value of `Origin` and the request before any `upgrade` handler: it
   *   answers at once, and only `true` itself lets a page in. The Promise of an `async` one does not
   *   (403, and `TIDEWIRE_INVALID_TYPE` to `uncaughtException`); what it throws goes to
   *   `uncaughtException`, and the client gets 500. A request with two `Origin` gets 403 unasked.
   *
   * A request without `Origin` passes: no browser sends one, and what is no browser can send any `Origin`.
   * `Origin: null`, which a page sends that hides its own, does not.
   *
   * @default any
   * @throws `TIDEWIRE_OUT_OF_RANGE` for an element that is no origin
   */
  origins?: 'same' | readonly string[] | ((origin: string, req: HttpRequest) => boolean) | undefined;

  /**
   * Answers the opening handshake: `res.upgrade`, or any response that refuses it. It is asked for good
   * handshakes only (RFC 6455 §4.2.1): bad ones are refused before, and so are origins that `origins`
   * does not let in. Without it every good handshake is accepted, with the first subprotocol offered.
   *
   * It may answer later, behind an `await`: then it must call `res.onAborted` before it returns. The client
   * waits as long as it takes; there is no time limit. A handler that returns without an answer and without
   * `onAborted` is an error (`TIDEWIRE_NO_ANSWER`, to `uncaughtException`), and its client gets 500; so does
   * the client of one that throws, and of an `async` one that rejects before it has answered.
   *
   * @param context to be passed to `res.upgrade`
   */
  upgrade?:
    | ((res: HttpResponse, req: HttpRequest, context: us_socket_context_t) => unknown)
    | null
    | undefined;

  /**
   * A connection is established. Exactly one `close` follows each `open`. Behind an `upgrade` handler it is
   * called before `res.upgrade` returns; what it sends leaves behind the 101, in order.
   */
  open?: ((ws: WebSocket<UserData>) => unknown) | null | undefined;

  /**
   * A whole message came.
   * @param ws the same object in every handler of the connection
   * @param message of type `binaryType`, or for text of type `textType`
   * @param isBinary false for text, which is valid UTF-8
   */
  message?:
    | ((ws: WebSocket<UserData>, message: DataTypes[Binary | Text], isBinary: boolean) => unknown)
    | null
    | undefined;

  /**
   * A message to this connection, sent or published, was dropped: more than `maxBackpressure` was waiting. When
   * `send` itself can tell, it is called before `send` returns 2.
   * @param message as in the message handler
   */
  dropped?:
    | ((ws: WebSocket<UserData>, message: DataTypes[Binary | Text], isBinary: boolean) => unknown)
    | null
    | undefined;

  /** Some or all of what was waiting went out; {@link WebSocketMethods.getBufferedAmount} says what is left. */
  drain?: ((ws: WebSocket<UserData>) => unknown) | null | undefined;

  /**
   * A ping came. It is answered already.
   * @param message its payload, at most 125 bytes, of type `binaryType`
   */
  ping?: ((ws: WebSocket<UserData>, message: DataTypes[Binary]) => unknown) | null | undefined;

  /**
   * A pong came.
   * @param message its payload, at most 125 bytes, of type `binaryType`
   */
  pong?: ((ws: WebSocket<UserData>, message: DataTypes[Binary]) => unknown) | null | undefined;

  /**
   * The connection ended, for whatever reason. In the handler and after it, the properties of `ws`,
   * `getUserData`, `readyState` and `closeCause` work; every other method throws `TIDEWIRE_CLOSED` after it.
   * @param code the peer's status code (RFC 6455 §7.4), or that of `ws.end()`; 1005: there was none; 1006: it
   *     ended without a closing handshake, or by `ws.close()`
   * @param message the peer's reason, or that of `ws.end()`, or the cause of a 1006: `Received TCP FIN before
   *     WebSocket close frame`, `WebSocket timed out from inactivity`, `Received invalid WebSocket frame`,
   *     `Received invalid UTF-8`, `Received too big message`, `Received too many fragments`, `Received invalid
   *     close payload`, or nothing for a reset, `closeOnBackpressureLimit`, `ws.close()` and `app.close()`; of type
   *     `binaryType`
   */
  close?: ((ws: WebSocket<UserData>, code: number, message: DataTypes[Binary]) => unknown) | null | undefined;

  /**
   * The number of a topic's subscribers changed because `ws` subscribed or unsubscribed. Called before
   * the method returns; when `ws` closes, once for each topic that it holds, before `close`.
   * @param topic its name, of type `textType`
   * @param newCount subscribers now, on all reactor threads of the App
   * @param oldCount subscribers before: one more or one less
   */
  subscription?:
    | ((ws: WebSocket<UserData>, topic: DataTypes[Text], newCount: number, oldCount: number) => unknown)
    | null
    | undefined;
}

/**
 * A connection: the methods, and the properties that the application set on it.
 * @typeParam UserData those properties
 */
export type WebSocket<UserData = unknown> = WebSocketMethods<UserData> & UserData;

/**
 * What every {@link WebSocket} has. After the close handler, all methods but `getUserData` throw
 * `Invalid access of closed uWS.WebSocket/SSLWebSocket.` (`TIDEWIRE_CLOSED`).
 */
export interface WebSocketMethods<UserData = unknown> {
  /** The state of the connection, as in browsers: 1 open, 2 closing, 3 closed. Never throws. */
  readonly readyState: 1 | 2 | 3;

  /**
   * What ended the connection, in the close handler and after it; `undefined` while it is open. Never throws.
   *
   * `'peer'`: its close frame. `'local'`: `end`, `close`, `app.close` or `maxLifetime`. `'fin'`: the peer's
   * FIN, or its `close_notify` of TLS, without a close frame. `'reset'`: a reset, or another error of the socket.
   * `'timeout'`: `idleTimeout`. `'protocol'`: a violation of RFC 6455, of TLS or of a limit. `'backpressure'`:
   * `closeOnBackpressureLimit`. `'shutdown'`: `app.shutdown`. `'failure'`: a mistake in tidewire, see
   * {@link AppOptions.onError}. `'memory'`: the App's `memoryBudget` was at its end, and
   * this connection had the most waiting; its code is 1013.
   */
  readonly closeCause:
    | 'peer'
    | 'local'
    | 'fin'
    | 'reset'
    | 'timeout'
    | 'protocol'
    | 'backpressure'
    | 'shutdown'
    | 'failure'
    | 'memory'
    | undefined;

  /**
   * Sends a message. All messages of one batch leave together.
   * @param isBinary sends it as binary; by default it is text, whose bytes must be UTF-8
   * @param compress whether to compress it, where the route has a compressor and the client offered
   *     permessage-deflate; ignored elsewhere. A message that would not get smaller is sent as it is.
   * @returns 1: sent or handed over. 0: it waits behind others for a slow peer, or may have to: more than
   *     `maxBackpressure` (with 0, 16 MiB) was sent of which the engine has not told yet. A `drain` follows, and who
   *     sends no more until then loses nothing. 2: it was dropped for `maxBackpressure`, or the connection is
   *     closing. The status is exact for a batch, not for a system call: what is sent behind a 0 can be dropped
   *     after a 0, too, which the `dropped` handler tells.
   * @throws `TIDEWIRE_FRAGMENT_OPEN` inside a message that {@link sendFirstFragment} began
   */
  send(message: RecognizedString, isBinary?: boolean, compress?: boolean): 0 | 1 | 2;

  /**
   * Begins a message that is sent in fragments (RFC 6455 §5.4): what is not all there yet, or too much for
   * one piece. Until {@link sendLastFragment}, no other message can be sent here: `send` throws. Messages
   * published to the connection meanwhile wait for the end of this one, and count for `maxBackpressure`; pings are sent.
   *
   * If it is dropped for `maxBackpressure`, so is the rest of its message, and the `dropped` handler gets this
   * fragment alone; if not, all of the message is sent, whatever waits: watch {@link getBufferedAmount}.
   * @param isBinary as of `send`; the type of the whole message
   * @param compress has no effect: fragments are not compressed
   * @returns as `send`
   * @throws `TIDEWIRE_FRAGMENT_OPEN` inside a message, as `send` does there; otherwise as `send`
   */
  sendFirstFragment(message: RecognizedString, isBinary?: boolean, compress?: boolean): 0 | 1 | 2;

  /**
   * Goes on with the message that {@link sendFirstFragment} began.
   * @param compress has no effect
   * @returns as `send`; 2 if the first fragment was dropped
   * @throws `TIDEWIRE_NO_FRAGMENT` outside of such a message; otherwise as `send`
   */
  sendFragment(message: RecognizedString, compress?: boolean): 0 | 1 | 2;

  /**
   * Ends the message that {@link sendFirstFragment} began. It may be empty.
   * @param compress has no effect
   * @returns as `send`; 2 if the first fragment was dropped
   * @throws `TIDEWIRE_NO_FRAGMENT` outside of such a message; otherwise as `send`
   */
  sendLastFragment(message: RecognizedString, compress?: boolean): 0 | 1 | 2;

  /**
   * Sends a ping.
   * @param message its payload, at most 125 bytes
   * @returns as `send`
   * @throws `TIDEWIRE_OUT_OF_RANGE` for a longer one
   */
  ping(message?: RecognizedString): 0 | 1 | 2;

  /**
   * Bytes, heads of frames included, that are not known to be written: those that wait for the peer, and
   * what was sent since the last batch. Behind any amount above 0 a `drain` follows, when all or half of it is
   * written. 0 in the close handler.
   */
  getBufferedAmount(): number;

  /**
   * Closes with a closing handshake: what was sent before, a close frame, then FIN. The close handler
   * is called before this returns.
   * @param code the status code (RFC 6455 §7.4): 1000 to 1003, 1007 to 1014 or 3000 to 4999; 0, which
   *     is the default, 1005 and 1006 are not written
   * @param shortMessage the reason; what is beyond 123 bytes is cut, between characters
   * @throws `TIDEWIRE_OUT_OF_RANGE` for another code; the connection stays open then
   */
  end(code?: number, shortMessage?: RecognizedString): void;

  /**
   * Closes at once, without a closing handshake: the peer sees 1006. The close handler is called, with
   * 1006, before this returns.
   */
  close(): void;

  /**
   * From now on, this connection gets what is published to the topic. Takes effect in the order of the
   * calls, as all of these methods do: what was published before is not sent to it.
   * @param topic any text, also empty; data is the same topic as the text whose UTF-8 it is
   * @returns true, also if it was subscribed already; false only in its close handler, and in the
   *     `subscription` handlers before that one, where nothing is done
   */
  subscribe(topic: RecognizedString): boolean;

  /**
   * From now on, this connection does not get what is published to the topic. At its end a
   * connection gives up all of its topics by itself.
   * @returns whether it was subscribed
   */
  unsubscribe(topic: RecognizedString): boolean;

  /** Whether this connection is subscribed to the topic. */
  isSubscribed(topic: RecognizedString): boolean;

  /**
   * The topics of this connection, in the order in which it subscribed. One whose bytes are no UTF-8 is a
   * string that is the same topic when it is passed back.
   */
  getTopics(): string[];

  /**
   * Sends a message to all subscribers of a topic but this connection, which need not be one. They may
   * be on any reactor thread of the App.
   *
   * For each of them publish and send are totally ordered, in the order of the calls, in and out of
   * `cork`; between two of them there is no order in which they get it. Of the JavaScript thread's time
   * it takes as much as one `send` for each reactor thread with a subscriber, however many there are.
   *
   * A subscriber for which more than `maxBackpressure` waits does not get the message: its `dropped`
   * handler tells, `closeOnBackpressureLimit` applies, and the others are not held up.
   * `getBufferedAmount` counts it as soon as the reactor has told that it waits.
   * @param isBinary sends it as binary; by default it is text, whose bytes must be UTF-8
   * @param compress as in `send`. It is compressed once for all subscribers whose compressor is shared, and
   *     for each that has a dedicated one
   * @returns whether there is such a subscriber
   */
  publish(
    topic: RecognizedString,
    message: RecognizedString,
    isBinary?: boolean,
    compress?: boolean,
  ): boolean;

  /**
   * Calls the callback, and returns the socket. Everything is corked in any case: this is there for
   * programs that ask for it. What the callback throws is thrown here.
   * @throws `TIDEWIRE_INVALID_TYPE` for what is no function
   */
  cork(callback: () => void): this;

  /** The socket itself, whose properties are the user data. Never throws. */
  getUserData(): UserData;

  /** The peer's address: 4 bytes, or 16; an IPv4 peer of a dual-stack listener is mapped to 16. */
  getRemoteAddress(): ArrayBuffer;

  /** The peer's address as text, in ASCII: `127.0.0.1`, or IPv6 in full (`0000:0000:0000:0000:0000:ffff:7f00:0001`). */
  getRemoteAddressAsText(): ArrayBuffer;

  /** The peer's port: 0 where it has none. */
  getRemotePort(): number;
}

declare const socketContext: unique symbol;

/** What `upgrade` handlers pass on to `res.upgrade`. Opaque. */
export interface us_socket_context_t {
  /** Keeps the type apart from others; no value has it. */
  readonly [socketContext]: true;
}

/**
 * A request. Valid for as long as it is kept, also behind an `await`; any property may be set on it. Its
 * head is at most `UWS_HTTP_MAX_HEADERS_SIZE` bytes, 16 KiB by default, and never more than 128 KiB. Names are text or bytes.
 * A callback that is no function throws `TIDEWIRE_INVALID_TYPE`.
 */
export interface HttpRequest {
  /** The value of a header field, the first of that name; `''` if there is none. Names are lower case. */
  getHeader(lowerCaseKey: RecognizedString): string;

  /** A parameter of the route's pattern, by its place (from 0) or its name, as it stands in the path. */
  getParameter(which: number | RecognizedString): string | undefined;

  /** The path, without the query. */
  getUrl(): string;

  /** The method in lower case. */
  getMethod(): string;

  /** The method as it was sent. */
  getCaseSensitiveMethod(): string;

  /** The query as it was sent, without its question mark; `''` if there is none. */
  getQuery(): string;

  /** The decoded value of the first parameter of the query with this name, undecoded itself. */
  getQuery(key: string): string | undefined;

  /** Calls the callback for each line of the header, names in lower case. */
  forEach(callback: (key: string, value: string) => void): void;

  /** Whether the next route that matches shall have the request, once the handler has returned. */
  setYield(yielded: boolean): this;
}

/**
 * The response to a request. Any property may be set on it. Once it has ended, was upgraded, or its client
 * is gone, every method throws `uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted
 * callback, or after a successful response. ...` (`TIDEWIRE_RESPONSE_OVER`).
 *
 * A response to HEAD, and one with the status 204 or 304, has no body: what is written of one is counted for
 * `Content-Length` and left out. `Date` and the framing of the body are the server's.
 *
 * In an `upgrade` handler, too, a response may be written piece by piece: it is sent when it has ended.
 */
export interface HttpResponse {
  // biome-ignore lint/suspicious/noExplicitAny: as in uWebSockets.js, whose programs write `res.aborted = true`.
  [key: string]: any;

  /**
   * The status, such as `'403 Forbidden'`; `'200 OK'` without it. The first call counts. Behind
   * {@link HttpResponse.write} and for a WebSocket it has no meaning.
   * @throws `TIDEWIRE_INVALID_STATUS` for one that is none
   */
  writeStatus(status: RecognizedString): this;

  /**
   * Adds a header line, to the 101 as well. The same name again is another line. `Content-Length`,
   * `Transfer-Encoding` and the fields of the handshake itself (RFC 6455 §4.2.2) are the server's: such
   * lines are left out.
   * @throws `TIDEWIRE_INVALID_HEADER` for a name that is no token (RFC 9110 §5.6.2), or a value with
   *     control characters (§5.5); `TIDEWIRE_HEAD_SENT` behind `write`, `beginWrite` or `tryEnd`
   */
  writeHeader(key: RecognizedString, value: RecognizedString): this;

  /**
   * Sends the head of a response whose length is not known yet: its content is sent in chunks (RFC 9112 §7.1).
   * Behind the first content it does nothing.
   * @throws `TIDEWIRE_INVALID_STATUS` for a status below 200, as do all methods that begin or end a response
   */
  beginWrite(): this;

  /**
   * Writes a piece of content, and the head before the first. `end` ends it. All of the piece is accepted, an
   * empty one does nothing.
   * @returns whether more is welcome. false: more than 256 KiB wait for the client, and
   *     {@link HttpResponse.onWritable} will tell when there is room again
   */
  write(chunk: RecognizedString): boolean;

  /**
   * Ends the response. If it was not begun, it has a `Content-Length`.
   * @param body all of it, or its last piece
   * @param closeConnection whether the connection ends behind it
   * @throws `TIDEWIRE_CONTENT_TOO_LONG` for more than `tryEnd` has promised
   */
  end(body?: RecognizedString, closeConnection?: boolean): this;

  /**
   * Ends the response without a body.
   * @param reportedContentLength the `Content-Length` of a response to HEAD, or of a 304, in bytes. It has
   *     no meaning for others, such as the refusal of an opening handshake. Text of digits is taken, too
   */
  endWithoutBody(reportedContentLength?: number, closeConnection?: boolean): this;

  /**
   * Writes as much of a response of known length as is welcome, and ends it with the last byte. Call it again,
   * from {@link HttpResponse.onWritable}, with what is left: {@link HttpResponse.getWriteOffset} says where
   * that begins.
   * @param fullBodyOrChunk of it at most so much is taken that 256 KiB wait for the client
   * @param totalSize bytes of the whole body; by default, and for 0, those of the first piece
   * @returns `ok`: whether all of the piece was taken; `done`: whether the response is complete. Behind
   *     `write` it ends the response, as `end` does
   * @throws `TIDEWIRE_CONTENT_TOO_LONG` for more than `totalSize`
   */
  tryEnd(fullBodyOrChunk: RecognizedString, totalSize?: number): [ok: boolean, done: boolean];

  /** Bytes of content that were taken so far. */
  getWriteOffset(): number;

  /**
   * Called when there is room again, after `write` or `tryEnd` said that something was too much: once for
   * each time, with {@link HttpResponse.getWriteOffset}. The last handler counts. What it returns has no
   * meaning here; return true if what it wrote was taken, for uWebSockets.js.
   */
  onWritable(handler: (offset: number) => boolean): this;

  /**
   * Closes the connection at once, also in the middle of a response. The `onAborted` handler has run
   * when this returns.
   */
  close(): this;

  /**
   * Makes the connection a WebSocket, in an `upgrade` handler. `open` has run when this returns.
   * @param userData the socket gets a copy of its own enumerable properties
   * @param secWebSocketKey of the request; checked before the handler was asked, and taken from there
   * @param secWebSocketProtocol the subprotocol: of a list the first, `''` for none. That the client has
   *     offered it (RFC 6455 §4.2.2) is the application's to see to
   * @param secWebSocketExtensions of the request; `''` declines the compression that the client offers
   * @param context the handler's third argument
   * @throws `TIDEWIRE_INVALID_HEADER` for a subprotocol that is no token; `TIDEWIRE_NO_UPGRADE` in any
   *     other handler; `TIDEWIRE_HEAD_SENT` for a response that was begun
   */
  upgrade<UserData = unknown>(
    userData: UserData,
    secWebSocketKey: RecognizedString,
    secWebSocketProtocol: RecognizedString,
    secWebSocketExtensions: RecognizedString,
    context: us_socket_context_t,
  ): void;

  /**
   * Called once if the client is gone before the response has ended, the response is closed, or the App is. A
   * client that has finished its side (FIN) is gone; one that has sent bytes behind its request is looked at
   * once a second. So is one whose content breaks off, and one that asks for something else while a response
   * that has no content, as to HEAD, is still being written. The last handler counts.
   *
   * A handler that does not end the response before it returns must have called this.
   */
  onAborted(handler: () => void): this;

  /**
   * Gets the content of the request as it comes, from now on. Nothing is read of it before: it can be asked for
   * behind an `await`, too. A request without content has one chunk, which is empty.
   *
   * At most 256 KiB are under way: what the handler has not returned from stays in the kernel, and the
   * client waits. What the handler throws goes to `uncaughtException`. The last handler counts.
   * @param handler `chunk` may be kept: it has memory of its own; `isLast` once
   */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): this;

  /**
   * The same, with {@link HttpResponse.maxRemainingBodyLength} as it is behind the chunk: `0n` with the last.
   */
  onDataV2(handler: (chunk: ArrayBuffer, maxRemainingBodyLength: bigint) => void): this;

  /**
   * Gathers the whole content of the request.
   * @param maxSize bytes, 0 or more
   * @param handler called once: with all of it, which may be kept, or with `null` as soon as it is clear
   *     that there is more than `maxSize`. What is left is not read then: answer with 413. Never called
   *     before this returns. What it throws goes to `uncaughtException`, and the response is still open
   */
  collectBody(maxSize: number, handler: (body: ArrayBuffer | null) => void): this;

  /**
   * Bytes of the request's content that were not handed over yet. Of content that comes in chunks they are
   * not known: `2n ** 64n - 1n` until the last one.
   */
  maxRemainingBodyLength(): bigint;

  /** Stops reading the request's content: its client has to wait, for as long as it takes. */
  pause(): this;

  /** Goes on. What came meanwhile is handed over as one chunk, after this returns. */
  resume(): this;

  /** Calls the callback, and returns the response: every response is corked. */
  cork(callback: () => void): this;

  /** The client's address: 4 bytes, or 16; an IPv4 client of a dual-stack listener is mapped to 16. */
  getRemoteAddress(): ArrayBuffer;

  /** The client's address as text, in ASCII. */
  getRemoteAddressAsText(): ArrayBuffer;

  /** The client's port. */
  getRemotePort(): number;

  /**
   * The address that a proxy told of by the PROXY protocol, version 2: 4 or 16 bytes; empty without one. Any
   * client can tell one: believe it where only the proxy can connect.
   */
  getProxiedRemoteAddress(): ArrayBuffer;

  /** The same as text, in ASCII. */
  getProxiedRemoteAddressAsText(): ArrayBuffer;

  /** The port that a proxy told of; 0 without one. */
  getProxiedRemotePort(): number;

  /**
   * The client's certificate as PEM, which `new crypto.X509Certificate(…)` of Node.js takes; `''` if it has none,
   * was asked for none ({@link TlsOptions.ca}), or there is no TLS. It was verified: the client has its key, it is of one
   * of the authorities, and it was valid when the connection began.
   */
  getX509Certificate(): string;
}

/** A part of a form, as {@link getParts} gives it. */
export interface MultipartField {
  /** Its value, or the content of its file. A copy, which may be kept. */
  data: ArrayBuffer;

  /** The name of the field. */
  name: string;

  /** The `Content-Type` of the part, if it has one. */
  type?: string;

  /** The name of the file as the client says, if it is one. It may hold anything, such as `../`. */
  filename?: string;
}

/** The handler of an HTTP route. What it returns has no meaning, save a promise: see {@link TemplatedApp.get}. */
export type HttpHandler = (res: HttpResponse, req: HttpRequest) => unknown;

declare const listenSocket: unique symbol;

/** What {@link TemplatedApp.shutdown} is asked for. An option given as `undefined` has its default. */
export interface ShutdownOptions {
  /**
   * Status code of the close frames (RFC 6455 §7.4): 1000 to 1003, 1007 to 1014 or 3000 to 4999. 1001 says
   * that the server goes away, 1012 that it restarts.
   * @default 1001
   */
  code?: number | undefined;

  /**
   * Their reason, at most 123 bytes of UTF-8.
   * @default ''
   */
  reason?: RecognizedString | undefined;

  /**
   * Seconds, also parts of them, until those are cut off that are still there: 0 to 3,600. 0 waits for
   * nobody, as {@link TemplatedApp.close} does.
   * @default 8
   */
  timeout?: number | undefined;
}

/** What became of those that a shutdown found, or that came while it went on. */
export interface ShutdownResult {
  /**
   * WebSockets that ended by a closing handshake: everything that was sent to them was written, and the
   * client has closed its side. Those count, too, that were closing already.
   */
  closed: number;

  /**
   * WebSockets that ended otherwise: cut off by the end of `timeout` or by a second call, closed by
   * `ws.close()`, lost, or still there 4 to 8 seconds after they got everything.
   */
  forced: number;

  /** Requests that were cut off without an answer. */
  aborted: number;
}

/** The token of a listening socket. Opaque. */
export interface us_listen_socket {
  /** Keeps the type apart from others; no value has it. */
  readonly [listenSocket]: true;
}

/**
 * Gets the token, or `false` if the host refuses the port: it is in use, or may not be listened on. Where
 * the host has no threads or descriptors for the engine, `listen` throws instead (`EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN`; `TIDEWIRE_START_FAILED` for anything else).
 */
export type ListenCallback = (listenSocket: us_listen_socket | false) => void;

/**
 * An App: routes, listeners, and the connections that came by them. Its methods chain.
 *
 * @typeParam AppBinary the App's `binaryType`
 * @typeParam AppText the App's `textType`; undefined: none was given
 */
export interface TemplatedApp<
  AppBinary extends BinaryType = 'arraybuffer',
  AppText extends TextType | undefined = undefined,
> {
  /**
   * Serves WebSockets on a pattern. The same pattern again replaces the route; open connections keep
   * the handlers they were opened with.
   *
   * With the user data given (`app.ws<User>(...)`), TypeScript infers nothing more: name a `binaryType` or
   * `textType` other than the App's, too (`app.ws<User, 'nodebuffer'>(...)`, `app.ws<User, 'arraybuffer',
   * 'string'>(...)`), or give them to the App.
   *
   * @param pattern text: a path that begins with `/`, of static segments, `:parameters`, and `*` at its end
   *     for any rest; `*` alone is every path. The most specific route is taken, whatever their order.
   * @param behavior options and handlers; `null` removes the route with this pattern, if there is one
   * @throws `TIDEWIRE_INVALID_PATTERN` for a pattern that is none; `TIDEWIRE_TOO_MANY_ROUTES` for more than
   *     65,536 in one App, replaced ones counted; see {@link WebSocketBehavior} for the options
   */
  ws<
    UserData = unknown,
    Binary extends BinaryType = AppBinary,
    Text extends TextType = AppText extends TextType ? AppText : Binary,
  >(pattern: RecognizedString, behavior: WebSocketBehavior<UserData, Binary, Text> | null): this;

  /**
   * Answers GET on a pattern. The most specific route is taken, whatever their order: segment by segment a
   * static one goes before `:parameter`, and that before `*`. Routes of a method go before those of
   * {@link TemplatedApp.any}. The same method and pattern again replaces the route, `null` removes it. Nothing
   * matches: 404.
   *
   * The handler answers before it returns, or calls `res.onAborted` and answers later; there is no time limit. One
   * that does neither is an error (`TIDEWIRE_NO_ANSWER`, to `uncaughtException`), and the client gets 500; so
   * does the client of one that throws, and of an `async` one that rejects before it has answered (which is an
   * `unhandledRejection`). Where the response was begun already, the connection ends.
   *
   * @param pattern as of {@link TemplatedApp.ws}
   * @param handler or what {@link DeclarativeResponse.end} gave, or null
   * @throws `TIDEWIRE_INVALID_PATTERN`; `TIDEWIRE_INVALID_TYPE` for a handler that is none
   */
  get(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for POST. */
  post(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for OPTIONS. */
  options(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for DELETE. */
  del(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for PATCH. */
  patch(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for PUT. */
  put(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for HEAD, which a route of GET does not answer. */
  head(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for CONNECT. */
  connect(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for TRACE. */
  trace(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /** The same for every method, behind the routes of the method itself. */
  any(pattern: string, handler: HttpHandler | DeclarativeResponse | null): this;

  /**
   * Calls the callback for each connection that comes (`count` 1), and when it ends or becomes a WebSocket
   * (-1), beside callbacks that were passed before.
   * @param callback `res` knows the address of the peer; to write to it throws (`TIDEWIRE_NO_REQUEST`)
   */
  filter(callback: (res: HttpResponse, count: 1 | -1) => unknown): this;

  /**
   * Adds a certificate for clients that ask for this host name (SNI, RFC 6066 §3), or replaces the one it has. Names are
   * looked for in the order: as it stands, then `*.` and all behind its first label; then the App's own certificate is
   * taken. It is for the handshakes that begin from now on.
   *
   * Without TLS no client says whom it wants, so this and the three below do nothing, as in uWebSockets.js: libraries
   * call them of every App.
   * @param hostname `'example.org'`, or `'*.example.org'` for all names of one label more; also in Unicode
   * @param options of its own: nothing is taken from the App's
   * @throws `TIDEWIRE_OUT_OF_RANGE` for what is no host name; see {@link TlsOptions}. Nothing has changed then
   */
  addServerName(hostname: RecognizedString, options?: TlsOptions): this;

  /** Takes one away that was added, and the routes of its {@link domain}. Connections go on. */
  removeServerName(hostname: RecognizedString): this;

  /**
   * Called with each host name that a client asks for and that was not added. What it adds, before it returns, is
   * what this client gets already; if it adds nothing, that is the App's own certificate. The last callback counts.
   *
   * The client waits for it, so while JavaScript is blocked such handshakes wait, too: others do not. What it
   * throws goes to `uncaughtException`; a Promise that it returns is not waited for.
   * @param callback gets the name in lower case, as it was sent: any client can send any name
   */
  missingServerName(callback: (hostname: string) => unknown): this;

  /**
   * Routes that are added or removed from now on are those of a server name: connections of clients that asked for it
   * get these alone. A name without routes of its own has the App's.
   * @param hostname as it was added; `''`, or a name that was not added: the App's own routes from now on
   */
  domain(hostname: RecognizedString): this;

  /**
   * Replaces the App's certificate while it runs, for the handshakes that begin from now on: connections keep what they
   * began with. Everything is checked before; if it is refused, the old one stays.
   * @param options with a certificate and its key; `ca` and `ssl_ciphers` stay as they were, where they are not given
   * @throws `TIDEWIRE_NO_TLS` for an App without TLS; see {@link TlsOptions}
   */
  setCertificate(options: TlsOptions): this;

  /**
   * The same for a name that was added, with its routes left as they are.
   * @throws `TIDEWIRE_UNKNOWN_SERVER_NAME` for one that was not added
   */
  setCertificate(hostname: RecognizedString, options: TlsOptions): this;

  /**
   * Listens, and calls the callback before it returns.
   * @param port 0 to 65535; 0 picks a free one, see {@link us_socket_local_port}
   */
  listen(port: number, callback: ListenCallback): this;

  /**
   * The same, and says whether the port may be shared.
   * @param options {@link LIBUS_LISTEN_DEFAULT} or {@link LIBUS_LISTEN_EXCLUSIVE_PORT}
   */
  listen(port: number, options: number | undefined, callback: ListenCallback): this;

  /**
   * The same on one address.
   * @param host an address or a host name; without one, all interfaces, IPv6 and IPv4
   */
  listen(host: RecognizedString | undefined, port: number, callback: ListenCallback): this;

  /**
   * The same on one address, and says whether the port may be shared.
   * @param host an address or a host name
   * @param options {@link LIBUS_LISTEN_DEFAULT} or {@link LIBUS_LISTEN_EXCLUSIVE_PORT}
   */
  listen(
    host: RecognizedString | undefined,
    port: number,
    options: number | undefined,
    callback: ListenCallback,
  ): this;

  /**
   * Without a callback, listens and returns a Promise of the token. It is rejected with an error whose
   * `code` is the system's, such as `EADDRINUSE`, or `TIDEWIRE_LISTEN_FAILED` where it has none; wrong
   * arguments throw.
   */
  listen(port: number, options?: number): Promise<us_listen_socket>;

  /**
   * The same on one address.
   * @param host an address or a host name
   */
  listen(host: RecognizedString | undefined, port: number, options?: number): Promise<us_listen_socket>;

  /**
   * Listens on a Unix domain socket, and calls the callback before it returns. The addresses of its clients
   * have 0 bytes, their ports are 0, and so is {@link us_socket_local_port}; everything else is as with
   * {@link listen}. The permissions of the file are those that the umask leaves.
   *
   * The file is removed when the socket is closed. One that a process has left behind, on which nobody
   * listens, is replaced; any other file is left alone, and the callback gets `false`.
   * @param path of the file: at most 107 bytes, or 103 where it is not Linux, without NUL
   * @throws `TIDEWIRE_NO_UNIX_SOCKETS` on Windows
   */
  listen_unix(callback: ListenCallback, path: RecognizedString): this;

  /**
   * Without a callback, listens and returns a Promise of the token. It is rejected with an error whose
   * `code` is the system's: `EADDRINUSE`, `EACCES`, `ENOENT`; wrong arguments throw.
   */
  listen_unix(path: RecognizedString): Promise<us_listen_socket>;

  /**
   * Sends a message to all subscribers of a topic, as {@link WebSocketMethods.publish} does.
   * @returns whether there is one; false before the App listens
   */
  publish(
    topic: RecognizedString,
    message: RecognizedString,
    isBinary?: boolean,
    compress?: boolean,
  ): boolean;

  /** How many connections are subscribed to a topic, on all reactor threads of the App. */
  numSubscribers(topic: RecognizedString): number;

  /**
   * Closes all listeners and connections at once: peers and close handlers see 1006, `onAborted` handlers are
   * called. They have run when this returns, but for connections whose `open` is on its way: both come later.
   * The App may listen again.
   */
  close(): this;

  /**
   * Ends the App and loses nothing: closes all listeners, then every WebSocket, some at a time, so that
   * those that are still open are served meanwhile. Each gets what was sent to it, and a close frame; its
   * close handler gets the code and the reason, and `closeCause` is `'shutdown'`. Then the clients are
   * waited for, to read that and to close their side, for as long as `timeout` says.
   *
   * Connections that are no WebSockets end at once; those at which a request is under way end behind its
   * answer. A request may be upgraded still: its WebSocket is opened, and closed as all are.
   *
   * What is still there when `timeout` is over, or when this or {@link close} is called again, is cut off:
   * its close handler gets 1006. Both calls return the same Promise. While JavaScript is blocked, clients
   * are closed all the same, and the end of `timeout` comes behind.
   *
   * Until the Promise resolves, `listen` throws `TIDEWIRE_SHUTTING_DOWN` (without a callback its Promise is
   * rejected); behind it, the App may listen again, with its routes. An App that does not listen and has no
   * connection resolves at once.
   * @throws `TIDEWIRE_INVALID_TYPE`, `TIDEWIRE_OUT_OF_RANGE` or `TIDEWIRE_TEXT_OR_DATA` for an option that is
   *     not accepted
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownResult>;

  /**
   * A number by which an App in another JavaScript thread of this process, the acceptor, passes connections to
   * this one: `parentPort.postMessage(app.getDescriptor())`. This App serves them by its own routes, as if it
   * had accepted them; it need not listen itself.
   *
   * From this call on the App waits for connections, and its thread stays alive: until it is closed, or the last
   * acceptor has removed it or closed its last listener, and no connection is left. Then the thread ends by itself,
   * if nothing else keeps it. The same number at each call; a call after that makes it valid again.
   * @throws `TIDEWIRE_SHUTTING_DOWN` while the App shuts down; the system's code where the host has no threads left
   */
  getDescriptor(): number;

  /**
   * Passes each connection that this App accepts to the App with the descriptor, in turn with all others that were
   * added. While there is one, this App serves none itself. A child without room (its JavaScript is too busy, or
   * 1,024 connections are on their way to it) is passed by; when none has room, new clients wait in the kernel.
   *
   * A child that is closed or whose thread ends is removed by itself, and what was on its way to it goes to the
   * next; without any child left, this App serves again. Adding one twice is adding it once. It may be added
   * before this App listens, and stays until this App's last listener is closed.
   * @throws `TIDEWIRE_UNKNOWN_DESCRIPTOR` (a `RangeError`) for a number that no App of this process has, or whose
   *     App is closed or its thread gone; `TIDEWIRE_INVALID_TYPE` for what is no number
   */
  addChildAppDescriptor(descriptor: number): this;

  /**
   * Passes the App with the descriptor nothing any more; it keeps the connections that it has. One that was not
   * added, or has ended and was removed by itself, is no error.
   * @throws `TIDEWIRE_UNKNOWN_DESCRIPTOR` for a number that no App of this process ever had;
   *     `TIDEWIRE_INVALID_TYPE` for what is no number
   */
  removeChildAppDescriptor(descriptor: number): this;

  /**
   * What the App has done and holds, in numbers: a new object at each call. Cheap: the threads count
   * for themselves, and nothing is done for a message but to add to a number.
   *
   * Everything is 0 before the first `listen`. Totals count from there until the threads end, which
   * they do when nothing listens and no connection is left (so soon after {@link close}); then it is 0
   * again, and the next `listen` begins anew.
   */
  stats(): AppStats;
}

/**
 * What one reactor thread has done (totals, which never shrink) and holds (numbers of now). What a
 * handler was told of is counted already; what a handler does is counted once the reactor has done it,
 * mostly within a millisecond.
 */
export interface ReactorStats {
  /** Connections that are open now. One whose closing has begun is not. */
  connections: number;

  /** WebSockets that were opened. */
  opened: number;

  /** How many ended, by what ended them. `opened` is `connections` and all of these. */
  closes: {
    /** The peer's close frame. */
    peer: number;
    /** `ws.end()`, `ws.close()`, `app.close()` or `maxLifetime`. */
    local: number;
    /** The peer's FIN, or its `close_notify` of TLS, without a close frame. */
    fin: number;
    /** A reset, or another error of the socket. */
    reset: number;
    /** `idleTimeout`. */
    timeout: number;
    /** The peer broke RFC 6455 or TLS, or exceeded a limit. */
    protocol: number;
    /** `closeOnBackpressureLimit`. */
    backpressure: number;
    /** `app.shutdown()`. */
    shutdown: number;
    /** A mistake in tidewire: see {@link AppOptions.onError}. */
    failure: number;
    /** The option `memoryBudget` of the App. */
    memory: number;
  };

  /** Whole messages that came. */
  messagesIn: number;

  /** Messages that were framed for a peer, written or waiting. A published one counts for each subscriber. */
  messagesOut: number;

  /** Bytes that were read from WebSockets: frames, with their heads. With TLS, what is in its records. */
  bytesIn: number;

  /** Bytes that the kernel has taken for WebSockets, likewise. */
  bytesOut: number;

  /** Messages that were dropped for `maxBackpressure`. */
  dropped: number;

  /** Pings that came. Each is answered; of several that wait behind a slow peer's other bytes, the latest is. */
  pingsIn: number;

  /** Pings that were sent, by `sendPingsAutomatically` or `ws.ping()`. */
  pingsOut: number;

  /** Pongs that came. */
  pongsIn: number;

  /** Subscriptions that connections have now: one for each topic of each of them. */
  subscriptions: number;

  /** Batches of events that were posted to the JavaScript thread. */
  batches: number;

  /** Events in them: openings, messages, closings and so on. `events / batches` is the size of a batch. */
  events: number;

  /** Events of the largest batch: at most 1,000. For the App, of the largest of all reactors. */
  largestBatch: number;

  /** What waits now: the depths of the queues between the threads, and what clients have not taken. */
  waiting: {
    /** Connections and requests that were handed over, and the reactor has not taken. */
    arrivals: number;
    /** Batches that the JavaScript thread has not taken. */
    batches: number;
    /** Events that the JavaScript thread has not taken. */
    events: number;
    /** The memory that they take. At 64 MiB for a reactor it stops reading messages. */
    eventBytes: number;
    /** Bytes of sends and other commands that the reactor has not taken. */
    commandBytes: number;
    /** Bytes that slow peers have not taken. */
    outboxBytes: number;
    /** Bytes that were read, and wait undecoded until the JavaScript thread takes its events. */
    parkedBytes: number;
    /** Memory of messages and frames of which a part is still to come. */
    assemblyBytes: number;
    /** Memory of TLS records: of those that are not whole, and of those that slow peers have not taken. */
    recordBytes: number;
  };

  /**
   * Bytes of memory that the engine holds now, on both sides. Places that were needed once stay until
   * the App's last connection is gone. Socket objects and other values of JavaScript are in its heap, and
   * connections that are no WebSockets yet are with the gate: neither is in here.
   */
  memory: {
    /** Places of connections, and what is kept for each but the keys of its session of TLS. */
    connections: number;
    /** Subscriptions and topics, without the names. */
    subscriptions: number;
    /** What compression keeps of the messages that passed; what the last message has added is counted with the next. */
    contexts: number;
    /** Buffers that all connections share. Memory that was never used in them is not resident. */
    buffers: number;
    /** What waits: the sum of the bytes of `waiting`. */
    waiting: number;
    /** All of these. */
    total: number;
  };
}

/** What {@link TemplatedApp.stats} returns: the sums over the reactors, each of these, and the gate. */
export interface AppStats extends ReactorStats {
  /** Topics that have a subscriber now. */
  topics: number;

  /** Calls of `publish` that found a subscriber. */
  publishes: number;

  /** The option `memoryBudget`: what uses it, and what became of that. */
  budget: {
    /** The option, or its default, in bytes; 0: there is no bound. */
    limit: number;
    /** Bytes in use: the sum of those in `byKind`. What the threads act on may be a thousandth behind. */
    used: number;
    /** Bytes now, by what they are. */
    byKind: {
      /** Events that the JavaScript thread has not taken. */
      events: number;
      /** Sends and other commands on their way to the reactors. */
      commands: number;
      /** What slow clients have not taken; a published message that waits for several counts once, if it is long. */
      outboxes: number;
      /** What was read and waits until the JavaScript thread takes its events. */
      parked: number;
      /** Messages and frames of which a part is still to come. */
      assemblies: number;
      /** TLS records that are not whole, or that slow clients have not taken. */
      records: number;
      /** Of HTTP: heads that are not whole, requests on their way to handlers, and responses that clients have not taken. */
      http: number;
    };
    /** How often reading stopped, for 95 %. */
    readingStops: number;
    /** How often accepting stopped, for 98 %. */
    acceptingStops: number;
    /** How often connections were to be closed: at 100 %, or when it stayed above 95 %. */
    closings: number;
    /** Connections that were closed for it; of HTTP and those that were closing already, too. */
    closed: number;
  };

  /** Each reactor thread: as many as the option `threads` says. */
  reactors: ReactorStats[];

  /** Connections before they are WebSockets. */
  gate: GateStats;
}

/** What became of connections before they were WebSockets. */
export interface GateStats {
  /** TCP connections that were accepted. One that was passed on counts for the child App that serves it. */
  accepted: number;

  /**
   * Those that are under way now and have not sent an HTTP request: a request is awaited, or an opening
   * handshake answered. At most 16,384: new peers wait in the kernel's queue beyond it.
   */
  handshakes: number;

  /** Connections of HTTP now: those that sent a request which was no opening handshake, also between requests. */
  httpConnections: number;

  /** Requests that were left to handlers of HTTP routes. */
  requests: number;

  /** Those that became WebSockets. */
  upgraded: number;

  /** Those whose peer did not send a request within 10 seconds, or did not take the answer. */
  timedOut: number;

  /** Handshakes, of an App with TLS. */
  tls?: TlsStats;

  /** Requests that were answered with an error, by status code: `{ 404: 2 }`. */
  refused: { [status: number]: number };

  /**
   * Connections that were turned away, by the option of {@link AppOptions} that did it. They are in none of the others, but
   * for those whose address a proxy named in a request: that is one of `refused`, too.
   */
  turnedAway: {
    /** The App had as many as it takes: 503. */
    maxConnections: number;
    /** The address had as many as it may have: 429. */
    maxConnectionsPerAddress: number;
    /** The address made new ones too fast: 429. */
    connectionsPerMinutePerAddress: number;
  };

  /**
   * Accepting pauses when the host has no descriptor or memory left, from 10 ms up to 1 s, and tries
   * again by itself; and when there is no room here, until there is. New peers wait in the kernel's queue; open connections are served as ever.
   */
  acceptPauses: {
    /** How often it paused; for want of descriptors or memory, one attempt that failed each time. */
    count: number;
    /**
     * Why it paused last: `'EMFILE'` (the process has no descriptor left: see `ulimit -n`), `'ENFILE'`
     * (the system has none), `'ENOBUFS'`, `'ENOMEM'`, or `'TIDEWIRE_ACCEPT_FAILED'` for another error;
     * `'TIDEWIRE_HANDSHAKES_FULL'` (too many {@link GateStats.handshakes}), `'TIDEWIRE_INTAKE_FULL'` (the
     * JavaScript thread is busy, and 64 MiB of events wait for it in a reactor; or no child App has room), `'TIDEWIRE_MEMORY_FULL'` (98 % of the `memoryBudget` are in use).
     */
    code: string | null;
    /** Whether it pauses now. */
    now: boolean;
  };
}

/** What became of handshakes of TLS. */
export interface TlsStats {
  /** Those that were done. */
  handshakes: number;

  /** Those among them that resumed a session: a ticket spared the client and the server most of the work. */
  resumed: number;

  /** Those that failed, by what ended them; what never happened is left out: `{ plainHttp: 2 }`. */
  failed: {
    /** What came is neither TLS nor HTTP. */
    notTls?: number;
    /** A request without TLS: it was answered with a plain 400. */
    plainHttp?: number;
    /** The client speaks no TLS 1.2 or 1.3. */
    version?: number;
    /** It has no cipher suite, curve or signature scheme in common with the server. */
    incompatible?: number;
    /** Its certificate is of no authority that the App has, or is not valid. */
    clientCertificate?: number;
    /** It said no: mostly it does not trust the server's certificate. */
    alert?: number;
    /** A record that could not be decrypted. */
    badRecord?: number;
    /** It broke the rules of TLS. */
    protocol?: number;
    /** Another failure of this side. */
    internal?: number;
    /** It was gone before the end. */
    closed?: number;
    /** It took more than 10 seconds. */
    timedOut?: number;
  };
}

/** The type of {@link App}: a constructor that works without `new`, too. */
export interface AppConstructor {
  /**
   * Makes an App.
   * @throws `TIDEWIRE_INVALID_TYPE` or `TIDEWIRE_OUT_OF_RANGE` for an option that is not accepted; see {@link SSLApp}
   *     for those of TLS
   */
  <Binary extends BinaryType = 'arraybuffer', Text extends TextType | undefined = undefined>(
    options?: AppOptions<Binary, NonNullable<Text>>,
  ): TemplatedApp<Binary, Text>;

  /**
   * Makes an App.
   * @throws `TIDEWIRE_INVALID_TYPE` or `TIDEWIRE_OUT_OF_RANGE` for an option that is not accepted; see {@link SSLApp}
   *     for those of TLS
   */
  new <Binary extends BinaryType = 'arraybuffer', Text extends TextType | undefined = undefined>(
    options?: AppOptions<Binary, NonNullable<Text>>,
  ): TemplatedApp<Binary, Text>;
}

/** Makes an App that serves `ws://` and `http://`. */
export const App: AppConstructor;

/**
 * Makes an App that serves `wss://` and `https://`, by TLS 1.2 and 1.3. It needs a certificate and its key
 * ({@link TlsOptions}); for everything else it is as {@link App}.
 * @throws `App construction failed`, as in uWebSockets.js, for keys and certificates that are missing or refused. Its
 *     `cause` is the error that says why, and both have the same `code`
 */
export const SSLApp: AppConstructor;

/**
 * A response that the engine's threads give without JavaScript, described once: `app.get('/', new
 * DeclarativeResponse().writeHeader('a', 'b').end('Hello'))`. What the request does not have is empty. Names
 * and header fields have at most 65,535 bytes. The methods chain; behind `end` they throw
 * `TIDEWIRE_DECLARED`.
 */
export class DeclarativeResponse {
  /**
   * The status; `'200 OK'` without it. The first call counts. uWebSockets.js does not have it.
   * @throws `TIDEWIRE_INVALID_STATUS` as {@link HttpResponse.writeStatus}, and for one below 200
   */
  writeStatus(status: RecognizedString): this;

  /**
   * Adds a header line.
   * @throws `TIDEWIRE_INVALID_HEADER` as {@link HttpResponse.writeHeader}
   */
  writeHeader(key: RecognizedString, value: RecognizedString): this;

  /** Writes the content of the request, of at most 64 KiB: beyond it the answer is 413. */
  writeBody(): this;

  /** Writes the decoded value of a parameter of the query. */
  writeQueryValue(key: RecognizedString): this;

  /**
   * Writes the value of a header field of the request.
   * @throws `TIDEWIRE_INVALID_HEADER` for a name that is none
   */
  writeHeaderValue(key: RecognizedString): this;

  /** Writes text or bytes. */
  write(value: RecognizedString): this;

  /** Writes the value of a parameter of the route's pattern, by its name. */
  writeParameterValue(key: RecognizedString): this;

  /** Writes the last text or bytes. Only behind it a route takes the response. */
  end(value?: RecognizedString): this;
}

/**
 * The parts of a form (multipart/form-data, RFC 7578), as browsers upload files.
 * @param body the whole content of the request
 * @param contentType the value of its `Content-Type`
 * @returns the parts that have a name, in their order, and no more than 16 KiB of header fields; of a body that
 *     breaks off, those that are whole. undefined if the type is not multipart
 */
export function getParts(body: RecognizedString, contentType: RecognizedString): MultipartField[] | undefined;

/**
 * Closes a listening socket; open connections go on. The second time does nothing.
 * @throws `TIDEWIRE_INVALID_TYPE` for anything but a token of `listen`
 */
export function us_listen_socket_close(listenSocket: us_listen_socket): void;

/**
 * The port of a listening socket: the one that was picked, if 0 was asked for.
 * @throws `TIDEWIRE_INVALID_TYPE` for anything but a token of `listen`
 */
export function us_socket_local_port(listenSocket: us_listen_socket): number;

/**
 * A setting of uWebSockets.js by its name, such as `'silent'`. Accepted without effect.
 * @throws `TIDEWIRE_TEXT_OR_DATA` for what is neither text nor bytes
 */
export function _cfg(key: RecognizedString): void;

/** A value of the option `compression`: one of the constants below, or a compressor and a decompressor joined by `|`. */
export type CompressOptions = number;

/** Other sockets may listen on the same port, where the system can share it (SO_REUSEPORT on Linux). */
export const LIBUS_LISTEN_DEFAULT: 0;

/** No other socket may listen on the same port. */
export const LIBUS_LISTEN_EXCLUSIVE_PORT: 1;

/** No compression. */
export const DISABLED: 0;

/** Compress each message by itself. Costs a connection no memory. */
export const SHARED_COMPRESSOR: 1;

/** Compress with the last 512 bytes that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_3KB: 145;

/** Compress with the last 512 bytes that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_4KB: 146;

/** Compress with the last 1 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_8KB: 163;

/** Compress with the last 2 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_16KB: 180;

/** Compress with the last 4 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_32KB: 197;

/** Compress with the last 8 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_64KB: 214;

/** Compress with the last 16 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_128KB: 231;

/** Compress with the last 32 KiB that were sent as context. They are what it costs a connection. */
export const DEDICATED_COMPRESSOR_256KB: 248;

/** The largest: {@link DEDICATED_COMPRESSOR_256KB}. */
export const DEDICATED_COMPRESSOR: 248;

/** Decompress each message by itself. Costs a connection no memory. A compressor alone implies it. */
export const SHARED_DECOMPRESSOR: 256;

/** Decompress with the last 512 bytes that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_512B: 2304;

/** Decompress with the last 1 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_1KB: 2560;

/** Decompress with the last 2 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_2KB: 2816;

/** Decompress with the last 4 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_4KB: 3072;

/** Decompress with the last 8 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_8KB: 3328;

/** Decompress with the last 16 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_16KB: 3584;

/** Decompress with the last 32 KiB that came as context. They are what it costs a connection. */
export const DEDICATED_DECOMPRESSOR_32KB: 3840;

/** The largest: {@link DEDICATED_DECOMPRESSOR_32KB}. */
export const DEDICATED_DECOMPRESSOR: 3840;
