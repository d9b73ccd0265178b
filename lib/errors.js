'use strict';

/**
 * The errors that tidewire throws at the application, and its warnings. Each has a stable `code`
 * that begins with `TIDEWIRE_`; a failure of the host keeps the system's code (`EADDRINUSE`). The
 * sentences may change between versions, except the three that uWebSockets.js has word for word.
 *
 * The functions make an error, the caller throws it.
 */

const { inspect } = require('node:util');

/** Longest piece of a user's value that an error repeats, in UTF-16 units. */
const SHOWN_LENGTH = 80;

/** Shortest name that another one may be told by, in UTF-16 units: in shorter ones a likeness is chance. */
const SIMILAR_LENGTH = 4;

/** @type {Set<string>} Options and variables that were warned about already. */
const warned = new Set();

/**
 * A value of the wrong type.
 * @param {string} subject what was given: "`idleTimeout` of App.ws('/chat')"
 * @param {string} accepted what it must be: 'a boolean'
 * @param {unknown} value
 */
function invalidType(subject, accepted, value) {
  return withCode(
    new TypeError(`${subject} must be ${accepted}, not ${shown(value)}`),
    'TIDEWIRE_INVALID_TYPE',
  );
}

/**
 * A value of the right type that is not one of those accepted.
 * @param {string} subject
 * @param {string} accepted
 * @param {unknown} value
 */
function outOfRange(subject, accepted, value) {
  return withCode(
    new RangeError(`${subject} must be ${accepted}, not ${shown(value)}`),
    'TIDEWIRE_OUT_OF_RANGE',
  );
}

/**
 * A pattern or an origin that is none, or one route too many. The engine's error has the code and the sentence, but
 * Node-API gives it no class of its own.
 * @param {any} error
 */
function routeRefused(error) {
  return withCode(new RangeError(error.message), error.code);
}

/**
 * A number that names no App which takes connections.
 * @param {number} descriptor
 */
function unknownDescriptor(descriptor) {
  const message = [
    `No App of this process takes connections by the descriptor ${shown(descriptor)}: it must be what`,
    'App.getDescriptor() gave, of an App that was not closed since and whose thread has not ended.',
  ].join(' ');
  return withCode(new RangeError(message), 'TIDEWIRE_UNKNOWN_DESCRIPTOR');
}

/** A method of a socket whose close handler has run. The sentence is that of uWebSockets.js. */
function closed() {
  return withCode(new Error('Invalid access of closed uWS.WebSocket/SSLWebSocket.'), 'TIDEWIRE_CLOSED');
}

/** A message that is sent while another one is open, between its fragments (RFC 6455 §5.4). */
function fragmentOpen() {
  const message =
    'A message is open that was begun by ws.sendFirstFragment(): end it by ws.sendLastFragment() first';
  return withCode(new Error(message), 'TIDEWIRE_FRAGMENT_OPEN');
}

/** A fragment that goes on with no message (RFC 6455 §5.4). */
function noFragment() {
  return withCode(
    new Error('No message is open: begin it by ws.sendFirstFragment()'),
    'TIDEWIRE_NO_FRAGMENT',
  );
}

/** A method of a response that has ended or whose peer is gone. The sentence is that of uWebSockets.js. */
function responseOver() {
  const message =
    'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful ' +
    'response. See documentation for uWS.HttpResponse and consult the user manual.';
  return withCode(new Error(message), 'TIDEWIRE_RESPONSE_OVER');
}

/**
 * A handler that has returned without an answer, and has not said that one will follow.
 * @param {string} subject which handler: "The handler of App.get('/')"
 */
function unanswered(subject) {
  const message = [
    `${subject} returned without an answer: the client got 500, or a response that breaks off.`,
    'Answer in it, by res.end(), or by res.upgrade() in an upgrade handler;',
    'to answer later, call res.onAborted() in it, before its first `await`.',
  ].join(' ');
  return withCode(new Error(message), 'TIDEWIRE_NO_ANSWER');
}

/**
 * An upgrade of a request that asked for none, or that no WebSocket route took.
 * @param {string} subject as of `unanswered`
 */
function noUpgrade(subject) {
  const message = `${subject} cannot upgrade its request: only the upgrade handler of a route of App.ws() can`;
  return withCode(new Error(message), 'TIDEWIRE_NO_UPGRADE');
}

/** A part of the head that comes behind the first of the content. */
function headSent() {
  const message =
    'The head of the response is sent already: write it before write(), beginWrite() and tryEnd()';
  return withCode(new Error(message), 'TIDEWIRE_HEAD_SENT');
}

/**
 * More content than the head has promised.
 * @param {number} length bytes that it did
 */
function tooLong(length) {
  const message = `The content of this response has ${length} bytes, as res.tryEnd() was told first: this would be more`;
  return withCode(new RangeError(message), 'TIDEWIRE_CONTENT_TOO_LONG');
}

/** A part of a declared response that comes behind its end. */
function declared() {
  return withCode(
    new Error('This DeclarativeResponse has ended: nothing can be added to it'),
    'TIDEWIRE_DECLARED',
  );
}

/** What a filter wants of a connection that no request came by. */
function noRequest() {
  const message =
    'What app.filter() is called with knows the address of a connection: there is no request to answer';
  return withCode(new Error(message), 'TIDEWIRE_NO_REQUEST');
}

/**
 * A part of a response's head that HTTP does not allow there (RFC 9110 §5.5, §5.6.2): it could end the
 * line, and begin another response.
 * @param {string} subject
 * @param {string} value
 */
function invalidHeader(subject, value) {
  const message = `${subject} has characters that may not stand there: ${shown(value)}`;
  return withCode(new TypeError(message), 'TIDEWIRE_INVALID_HEADER');
}

/**
 * A status that no response has (RFC 9110 §15).
 * @param {string} status
 */
function invalidStatus(status) {
  const message = `The status of a response must be a code and a phrase, such as '403 Forbidden', not ${shown(status)}`;
  return withCode(new RangeError(message), 'TIDEWIRE_INVALID_STATUS');
}

/** Text or data that is neither a string nor bytes. The sentence is that of uWebSockets.js. */
function textOrData() {
  const message = 'Text and data can only be passed by String, ArrayBuffer or TypedArray.';
  return withCode(new TypeError(message), 'TIDEWIRE_TEXT_OR_DATA');
}

/** Data in a buffer that was transferred, or has shrunk below it: its bytes are gone. */
function detached() {
  const message = 'Data cannot be taken from a buffer that was transferred, or that has shrunk below it.';
  return withCode(new TypeError(message), 'TIDEWIRE_DETACHED');
}

/**
 * A `listen` that the host refused. The engine's error has the system's code and a sentence with the
 * address; this adds the other fields that Node's own have.
 * @param {string | undefined} host
 * @param {number} port
 * @param {Error & { code: string }} error
 */
function listenFailed(host, port, error) {
  // Node calls every address so.
  return Object.assign(error, { syscall: 'listen', address: host ?? '::', port });
}

/**
 * A `listen` for which the host has no threads, or no descriptors for them. It has nothing to do with the
 * port, so `false` would say too little: it is thrown where there is no Promise to reject.
 * @param {any} error the engine's, with the system's code
 */
function startFailed(error) {
  const advice = error.code === 'EMFILE' ? 'raise the limit of descriptors (ulimit -n), or use' : 'use';
  error.message = `${error.message}: ${advice} fewer \`threads\``;
  return Object.assign(error, { syscall: 'start' });
}

/**
 * An `SSLApp()` whose key or certificate is not there, or none. The sentence is that of uWebSockets.js; the cause says
 * the rest, and has the same code.
 * @param {any} cause
 */
function constructionFailed(cause) {
  return withCode(new Error('App construction failed', { cause }), cause.code);
}

/**
 * No certificate, or no key, where TLS cannot do without.
 * @param {string} owner whose options they are
 * @param {'cert' | 'key'} name
 * @param {string} code the engine's for one that is none
 */
function noCredential(owner, name, code) {
  const what = name === 'cert' ? 'a certificate' : "the certificate's private key";
  const message = `${owner} needs ${what}: give \`${name}_file_name\`, the path of a PEM file, or \`${name}\`, the PEM itself`;
  return withCode(new Error(message), code);
}

/**
 * The same thing as a file and as a value.
 * @param {string} owner
 * @param {string} name
 * @param {string} fileOption
 */
function givenTwice(owner, name, fileOption) {
  const message = `${owner} has \`${name}\` and \`${fileOption}\`, which say the same: give one of them`;
  return withCode(new TypeError(message), 'TIDEWIRE_TLS_GIVEN_TWICE');
}

/**
 * What should be PEM and has nothing of the kind that is wanted in it. It may be a secret, so it is not shown.
 * @param {string} subject
 * @param {string} label of the section that is wanted: 'PRIVATE KEY'
 * @param {string} text what was given, or what the file holds
 * @param {string | null} fileOption the option that takes a path, where a value was given
 * @param {string} code
 */
function noPem(subject, label, text, fileOption, code) {
  const wanted = `PEM, with lines from -----BEGIN ${label}----- to -----END ${label}-----`;
  const message = `${subject} must be ${wanted}: ${insteadOfPem(text, fileOption)}`;
  return withCode(new Error(message), code);
}

/**
 * @param {string} text
 * @param {string | null} fileOption
 */
function insteadOfPem(text, fileOption) {
  const [, other] = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text) ?? [];
  if (other?.endsWith('PRIVATE KEY')) return 'this is a private key. Are certificate and key swapped?';
  if (other === 'CERTIFICATE') return 'this is a certificate. Are certificate and key swapped?';
  if (other !== undefined) return `this is a ${other}`;
  if (text === '') return 'this is empty';
  // As a sequence of ASN.1 begins, and no text.
  if (/^0.*[^\t\r\n -~]/s.test(text)) {
    return 'this is binary, in DER or PKCS#12. Convert it with openssl x509, pkey or pkcs12';
  }
  if (fileOption !== null && !/[\r\n]/.test(text)) return `a path is for \`${fileOption}\``;
  return 'there are none';
}

/**
 * What is no name of a file. It may be a key, so it is not shown.
 * @param {string} subject
 * @param {string} name of the option that takes what a file holds
 */
function noFileName(subject, name) {
  const message = `${subject} must be the path of a file, not what is in it: that is for \`${name}\``;
  return withCode(new RangeError(message), 'TIDEWIRE_OUT_OF_RANGE');
}

/**
 * A value of the wrong type that may be a secret, so it is not shown.
 * @param {string} subject
 * @param {string} accepted
 * @param {unknown} value
 */
function invalidSecret(subject, accepted, value) {
  const type = value === null ? 'null' : typeof value;
  return withCode(
    new TypeError(`${subject} must be ${accepted}, not of type ${type}`),
    'TIDEWIRE_INVALID_TYPE',
  );
}

/** Certificates of an App without TLS. */
function noTls() {
  const message = 'App.setCertificate() is for an App with TLS: make it by SSLApp()';
  return withCode(new Error(message), 'TIDEWIRE_NO_TLS');
}

/**
 * A certificate for a name that was not added.
 * @param {string} hostname
 */
function unknownServerName(hostname) {
  const message = `App.setCertificate() knows no server name ${shown(hostname)}: add it by App.addServerName()`;
  return withCode(new RangeError(message), 'TIDEWIRE_UNKNOWN_SERVER_NAME');
}

/** A `listen` or a `getDescriptor` of an App that is shutting down. */
function shuttingDown() {
  const message = 'The App is shutting down: await the Promise of app.shutdown() before it listens again';
  return withCode(new Error(message), 'TIDEWIRE_SHUTTING_DOWN');
}

/** What has failed, by the flags of the event that tells it: its code, its name, and what that has cost. */
const FAILURES = [
  {
    code: 'TIDEWIRE_REACTOR_FAILED',
    name: (/** @type {number} */ reactor) => `Reactor ${reactor} of the App`,
    cost: (/** @type {number} */ count) => `it has begun anew, and closed its connections (${count})`,
  },
  {
    code: 'TIDEWIRE_GATE_FAILED',
    name: () => "The App's gate",
    cost: () => 'it has begun anew, and closed the connections whose requests it had; WebSockets go on',
  },
  {
    code: 'TIDEWIRE_CONNECTION_FAILED',
    name: () => "The App's gate",
    cost: () => 'it has closed one connection, whose request it had',
  },
];

/**
 * A panic of the engine, which has gone on.
 * @param {number} what has failed
 * @param {number} reactor which tells it
 * @param {number} connections that it has cost
 * @param {string} place in its source
 * @param {string} said
 */
function engineFailed(what, reactor, connections, place, said) {
  const { code, name, cost } = FAILURES[what];
  const message = [
    `${name(reactor)} has failed, by a mistake in tidewire: ${said} (${place});`,
    `${cost(connections)}. Please report this.`,
  ].join(' ');
  const fields = what === 0 ? { reactor, connections } : {};
  const error = Object.assign(new Error(message), { name: 'TidewireError', ...fields, place });
  return withCode(error, code);
}

/**
 * A `listen_unix` that the host refused; fields as Node's own have them.
 * @param {string} path
 * @param {Error & { code: string }} error
 */
function listenUnixFailed(path, error) {
  return Object.assign(error, { syscall: 'listen', address: path });
}

/**
 * Warns of an option that has no meaning, once for each name.
 * @param {string} subject whose option it is: "App.ws('/chat')"
 * @param {string} name
 * @param {readonly string[]} known the names that do have one
 */
function warnUnknownOption(subject, name, known) {
  if (warned.has(name)) return;
  warned.add(name);
  const meant = known.find((each) => isLike(each.toLowerCase(), name.toLowerCase()));
  const guess = meant === undefined ? '' : ` (did you mean \`${meant}\`?)`;
  const message = `${subject} ignores the unknown option ${shown(name)}${guess}; known are ${known.join(', ')}`;
  process.emitWarning(message, { type: 'TidewireWarning', code: 'TIDEWIRE_UNKNOWN_OPTION' });
}

/**
 * Whether one name may be meant by another, as `message` by `onMessage`, or `maxPayloadLength` by `maxPayload`.
 * @param {string} known
 * @param {string} given
 */
function isLike(known, given) {
  const [short, long] = known.length < given.length ? [known, given] : [given, known];
  return short.length >= SIMILAR_LENGTH && long.includes(short);
}

/**
 * Warns of an option that has no effect, once for each name.
 * @param {string} subject
 * @param {string} name
 * @param {string} reason
 */
function warnIneffective(subject, name, reason) {
  if (warned.has(name)) return;
  warned.add(name);
  const message = `${subject} has no effect: ${reason}`;
  process.emitWarning(message, { type: 'TidewireWarning', code: 'TIDEWIRE_NO_EFFECT' });
}

/**
 * Warns of a variable of the environment whose value is none, once for each name.
 * @param {string} name
 * @param {string} accepted
 * @param {string} value
 * @param {number} fallback what is taken instead
 */
function warnEnvironment(name, accepted, value, fallback) {
  if (warned.has(name)) return;
  warned.add(name);
  const message = `${name} must be ${accepted}, not ${shown(value)}: ${fallback} is taken`;
  process.emitWarning(message, { type: 'TidewireWarning', code: 'TIDEWIRE_INVALID_ENVIRONMENT' });
}

/**
 * A value as an error shows it: short, on one line, and without running any of its code.
 * @param {unknown} value
 * @returns {string}
 */
function shown(value) {
  let text;
  try {
    const limits = {
      depth: 0,
      maxArrayLength: 3,
      maxStringLength: 40,
      breakLength: Number.POSITIVE_INFINITY,
    };
    text = inspect(value, { ...limits, customInspect: false }).replace(/\s+/g, ' ');
  } catch {
    text = `a value of type ${typeof value}`;
  }
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
}

/**
 * @template {Error} E
 * @param {E} error
 * @param {string} code
 * @returns {E & { code: string }}
 */
function withCode(error, code) {
  return Object.assign(error, { code });
}

module.exports = {
  invalidType,
  outOfRange,
  routeRefused,
  unknownDescriptor,
  closed,
  fragmentOpen,
  noFragment,
  responseOver,
  unanswered,
  noUpgrade,
  headSent,
  tooLong,
  declared,
  noRequest,
  invalidHeader,
  invalidStatus,
  textOrData,
  detached,
  listenFailed,
  listenUnixFailed,
  startFailed,
  constructionFailed,
  noCredential,
  givenTwice,
  noPem,
  noFileName,
  invalidSecret,
  noTls,
  unknownServerName,
  shuttingDown,
  engineFailed,
  warnUnknownOption,
  warnIneffective,
  warnEnvironment,
  shown,
  withCode,
};
