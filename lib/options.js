'use strict';

/**
 * Turns what the application passes to `App()`, `App.ws()` and `App.listen()` into plain objects in
 * which every field is present and valid, or throws. Runs once for each call, never for a message;
 * the engine trusts what comes out of here.
 */

const { constants } = require('node:buffer');
const { CLOSE_REASON_BYTES, checkStatusCode, wellFormed } = require('./close_frame');
const { TLS_OPTIONS } = require('./credentials');
const { encoded, textGiven } = require('./data');
const errors = require('./errors');
const { Given, isIntegerWithin } = require('./given');
const limits = require('./limits');

const BINARY_TYPES = ['arraybuffer', 'nodebuffer', 'uint8array'];
const TEXT_TYPES = [...BINARY_TYPES, 'string'];

const APP_OPTIONS = [
  'threads',
  'binaryType',
  'textType',
  'closedSend',
  'memoryBudget',
  'onError',
  'maxConnections',
  'maxConnectionsPerAddress',
  'connectionsPerMinutePerAddress',
  'trustProxy',
];

const SHUTDOWN_OPTIONS = ['code', 'reason', 'timeout'];

/** Longest path of a Unix domain socket: `sun_path`, less the NUL behind it. */
const UNIX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/** As in uWebSockets.js. */
const HEAD_SIZE_VARIABLE = 'UWS_HTTP_MAX_HEADERS_SIZE';

const HANDLERS = ['upgrade', 'open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close', 'subscription'];

const ROUTE_OPTIONS = [
  'compression',
  'maxPayloadLength',
  'maxFragments',
  'idleTimeout',
  'sendPingsAutomatically',
  'maxLifetime',
  'maxBackpressure',
  'closeOnBackpressureLimit',
  'binaryType',
  'textType',
  'origins',
  ...HANDLERS,
];

/**
 * @typedef {'arraybuffer' | 'nodebuffer' | 'uint8array'} BinaryType
 * @typedef {BinaryType | 'string'} TextType
 * @typedef {import('./given').Handler} Handler
 */

/**
 * What `App()` was asked for.
 * @typedef {object} AppSettings
 * @property {number} threads reactor threads, 1 to 64
 * @property {BinaryType} binaryType default of the routes
 * @property {TextType | null} textType default of the routes; null: as the route's `binaryType`
 * @property {'throw' | 'ignore'} closedSend what methods of a closed socket do
 * @property {number | null} memoryBudget bytes; 0: off; null: a part of what the process may have
 * @property {Handler} onError
 * @property {number} requestHeadBytes longest head of a request
 * @property {number | undefined} maxConnections undefined: as many as the process has descriptors for
 * @property {number} maxConnectionsPerAddress 0: unlimited
 * @property {number} connectionsPerMinutePerAddress 0: unlimited
 * @property {string[]} trustProxy addresses, networks and `unix`
 */

/**
 * What `App.ws()` was asked for. The names are those of the public options.
 * @typedef {object} RouteSettings
 * @property {number} maxPayloadLength bytes
 * @property {number} maxFragments
 * @property {number} idleTimeout seconds; 0: off
 * @property {boolean} sendPingsAutomatically
 * @property {number} maxLifetime minutes; 0: off
 * @property {number} maxBackpressure bytes; 0: unlimited
 * @property {boolean} closeOnBackpressureLimit
 * @property {number} compression
 * @property {BinaryType} binaryType
 * @property {TextType} textType
 * @property {'same' | string[] | Function | undefined} origins undefined: any
 * @property {'throw' | 'ignore'} closedSend the App's
 * @property {Handler} upgrade
 * @property {Handler} open
 * @property {Handler} message
 * @property {Handler} dropped
 * @property {Handler} drain
 * @property {Handler} ping
 * @property {Handler} pong
 * @property {Handler} close
 * @property {Handler} subscription
 */

/**
 * What `App.listen()` was asked for.
 * @typedef {object} ListenSettings
 * @property {string | undefined} host undefined: every interface
 * @property {number} port 0: the system picks one
 * @property {boolean} exclusive whether no other socket may listen on the same port
 * @property {((token: any) => void) | undefined} callback
 */

/**
 * Validates the options of `App()`, or those of `SSLApp()` that are not about TLS.
 * @param {unknown} options
 * @param {boolean} [isSecure] whether it is `SSLApp()`
 * @returns {AppSettings}
 */
function appOptions(options, isSecure = false) {
  const given = new Given(isSecure ? 'SSLApp()' : 'App()', options === undefined ? {} : options);
  given.warnUnknown([...APP_OPTIONS, ...TLS_OPTIONS]);
  if (!isSecure) given.warnIneffective(TLS_OPTIONS, 'App() speaks no TLS, SSLApp() does');
  return {
    threads: given.integer('threads', 1, { min: 1, max: limits.REACTORS, unit: 'threads' }),
    binaryType: given.choice('binaryType', /** @type {BinaryType} */ ('arraybuffer'), BINARY_TYPES),
    textType: given.choice('textType', /** @type {TextType | null} */ (null), TEXT_TYPES),
    closedSend: given.choice('closedSend', /** @type {'throw' | 'ignore'} */ ('throw'), ['throw', 'ignore']),
    memoryBudget: memoryBudget(given),
    onError: given.handler('onError'),
    requestHeadBytes: requestHeadBytes(process.env[HEAD_SIZE_VARIABLE]),
    maxConnections: given.integer('maxConnections', undefined, {
      min: 1,
      max: limits.CONNECTIONS_MAX,
      unit: 'connections',
    }),
    maxConnectionsPerAddress: given.integer('maxConnectionsPerAddress', 0, {
      min: 1,
      max: limits.CONNECTIONS_MAX,
      unit: 'connections',
      zero: 'unlimited',
    }),
    connectionsPerMinutePerAddress: given.integer('connectionsPerMinutePerAddress', 0, {
      min: 1,
      max: limits.CONNECTIONS_PER_MINUTE_MAX,
      unit: 'connections',
      zero: 'unlimited',
    }),
    trustProxy: given.networks('trustProxy'),
  };
}

/** @param {Given} given */
function memoryBudget(given) {
  if (given.options.memoryBudget === undefined) return null;
  return given.integer('memoryBudget', 0, {
    min: limits.BUDGET_MIN_BYTES,
    max: limits.BUDGET_MAX_BYTES,
    unit: 'bytes',
    zero: 'off',
  });
}

/**
 * The longest head of a request that the environment asks for. A value that is none is warned about, and the
 * default taken: it is not the program that is wrong.
 * @param {string | undefined} value
 */
function requestHeadBytes(value) {
  if (value === undefined || value === '') return limits.REQUEST_HEAD_BYTES;
  const bytes = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (isIntegerWithin(bytes, limits.REQUEST_HEAD_MIN_BYTES, limits.REQUEST_HEAD_MAX_BYTES)) return bytes;
  const accepted = `an integer from ${limits.REQUEST_HEAD_MIN_BYTES} to ${limits.REQUEST_HEAD_MAX_BYTES} (bytes)`;
  errors.warnEnvironment(HEAD_SIZE_VARIABLE, accepted, value, limits.REQUEST_HEAD_BYTES);
  return limits.REQUEST_HEAD_BYTES;
}

/**
 * Validates a pattern and its behavior, the arguments of `App.ws()`. What a pattern may say is for the
 * engine's router to judge, which throws in `addRoute`.
 * @param {unknown} pattern
 * @param {unknown} behavior
 * @param {AppSettings} appDefaults
 * @returns {RouteSettings}
 */
function routeOptions(pattern, behavior, appDefaults) {
  if (typeof pattern !== 'string') throw errors.invalidType('`pattern` of App.ws()', 'a string', pattern);
  const given = new Given(`App.ws(${errors.shown(pattern)})`, behavior);
  given.warnUnknown(ROUTE_OPTIONS);

  const binaryType = given.choice('binaryType', appDefaults.binaryType, BINARY_TYPES);
  const textType = given.choice('textType', appDefaults.textType ?? binaryType, TEXT_TYPES);
  return {
    maxPayloadLength: given.integer('maxPayloadLength', limits.PAYLOAD_BYTES, {
      min: 1,
      max: textType === 'string' ? constants.MAX_STRING_LENGTH : limits.PAYLOAD_MAX_BYTES,
      unit: textType === 'string' ? "bytes with textType 'string'" : 'bytes',
    }),
    maxFragments: given.integer('maxFragments', limits.FRAGMENTS, {
      min: 1,
      max: limits.FRAGMENTS_MAX,
      unit: 'fragments',
    }),
    idleTimeout: given.integer('idleTimeout', limits.IDLE_TIMEOUT_SECONDS, {
      min: limits.IDLE_TIMEOUT_MIN_SECONDS,
      max: limits.IDLE_TIMEOUT_MAX_SECONDS,
      unit: 'seconds',
      zero: 'off',
    }),
    sendPingsAutomatically: given.boolean('sendPingsAutomatically', true),
    maxLifetime: given.integer('maxLifetime', 0, {
      min: 1,
      max: limits.LIFETIME_MAX_MINUTES,
      unit: 'minutes',
      zero: 'off',
    }),
    maxBackpressure: given.integer('maxBackpressure', limits.BACKPRESSURE_BYTES, {
      min: 1,
      max: limits.BACKPRESSURE_MAX_BYTES,
      unit: 'bytes',
      zero: 'unlimited',
    }),
    closeOnBackpressureLimit: given.boolean('closeOnBackpressureLimit', false),
    compression: given.compression('compression'),
    binaryType,
    textType,
    origins: given.origins(),
    closedSend: appDefaults.closedSend,
    upgrade: given.handler('upgrade'),
    open: given.handler('open'),
    message: given.handler('message'),
    dropped: given.handler('dropped'),
    drain: given.handler('drain'),
    ping: given.handler('ping'),
    pong: given.handler('pong'),
    close: given.handler('close'),
    subscription: given.handler('subscription'),
  };
}

/**
 * Validates the arguments of `App.listen([host,] port, [options,] [callback])`.
 * @param {readonly unknown[]} values the arguments as they came
 * @returns {ListenSettings}
 */
function listenOptions(values) {
  const rest = [...values];
  rest[0] = textGiven(rest[0]);
  const callback = typeof rest.at(-1) === 'function' ? /** @type {any} */ (rest.pop()) : undefined;
  const hostGiven = typeof rest[0] === 'string' || (rest.length > 1 && rest[0] === undefined);
  const host = hostGiven ? /** @type {string | undefined} */ (rest.shift()) : undefined;
  const [port, flags = 0, surplus] = rest;

  if (typeof port !== 'number') {
    const forms = 'a number, after at most a host: listen([host,] port, [options,] callback)';
    // A lone string was meant to be the port, most often: `listen(process.env.PORT)`.
    throw errors.invalidType('`port` of App.listen()', forms, port ?? host);
  }
  if (!isIntegerWithin(port, 0, 65_535)) {
    throw errors.outOfRange('`port` of App.listen()', 'an integer from 0 to 65535', port);
  }
  if (host?.includes('\0'))
    throw errors.outOfRange('`host` of App.listen()', 'a host name or an address', host);
  if (typeof flags !== 'number') {
    const forms = 'a number, or left out; a host comes first: listen([host,] port, [options,] callback)';
    throw errors.invalidType('`options` of App.listen()', forms, flags);
  }
  if (flags !== 0 && flags !== 1) {
    const accepted = 'LIBUS_LISTEN_DEFAULT (0) or LIBUS_LISTEN_EXCLUSIVE_PORT (1)';
    throw errors.outOfRange('`options` of App.listen()', accepted, flags);
  }
  if (surplus !== undefined) throw errors.invalidType('`callback` of App.listen()', 'a function', surplus);
  return { host: host || undefined, port, exclusive: flags === 1, callback };
}

/**
 * Validates the arguments of `App.listen_unix([callback,] path)`.
 * @param {readonly unknown[]} values the arguments as they came
 */
function listenUnixOptions(values) {
  const rest = [...values];
  const callback = typeof rest[0] === 'function' ? /** @type {any} */ (rest.shift()) : undefined;
  const [path, surplus] = rest;
  const subject = '`path` of App.listen_unix()';
  if (path === undefined || typeof path === 'function') {
    throw errors.invalidType(subject, 'text or data: listen_unix([callback,] path)', path);
  }
  if (surplus !== undefined) {
    const forms = 'a function, and comes first: listen_unix([callback,] path)';
    throw errors.invalidType('`callback` of App.listen_unix()', forms, surplus);
  }
  const bytes = encoded(path);
  if (bytes.length === 0 || bytes.length > UNIX_PATH_BYTES || bytes.includes(0)) {
    throw errors.outOfRange(subject, `of 1 to ${UNIX_PATH_BYTES} bytes, without NUL`, path);
  }
  return { path: bytes, shown: Buffer.from(bytes).toString(), callback };
}

/**
 * Validates the options of `App.shutdown()`.
 * @param {unknown} options
 */
function shutdownOptions(options) {
  const given = new Given('App.shutdown()', options === undefined ? {} : options);
  given.warnUnknown(SHUTDOWN_OPTIONS);
  const { code = 1001, reason: text, timeout = limits.SHUTDOWN_SECONDS } = given.options;
  checkStatusCode(given.subject('code'), code, []);
  const reason = wellFormed(encoded(text));
  if (reason.length > CLOSE_REASON_BYTES) {
    const accepted = `at most ${CLOSE_REASON_BYTES} bytes of UTF-8`;
    throw errors.outOfRange(given.subject('reason'), accepted, `${reason.length} bytes`);
  }
  const accepted = `a number from 0 to ${limits.SHUTDOWN_MAX_SECONDS} (seconds)`;
  if (typeof timeout !== 'number') throw errors.invalidType(given.subject('timeout'), accepted, timeout);
  if (!(timeout >= 0 && timeout <= limits.SHUTDOWN_MAX_SECONDS)) {
    throw errors.outOfRange(given.subject('timeout'), accepted, timeout);
  }
  return { code: /** @type {number} */ (code), reason, timeout };
}

module.exports = { appOptions, routeOptions, listenOptions, listenUnixOptions, shutdownOptions };
