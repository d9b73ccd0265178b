'use strict';

/**
 * The response to a request, as handlers get it. What is written of the head is gathered here; a response
 * that ends at once crosses as one command. What most responses do not need is made when it is asked
 * for. Once the response is over, or the peer gone, every method throws.
 */

const { addressBytes, addressText } = require('./address');
const { pemOf } = require('./certificate');
const { FLAG_CLOSE } = require('./commands');
const { bytesOf, encoded } = require('./data');
const errors = require('./errors');
const { HttpContent } = require('./http_content');
const { noteOf, textOf } = require('./http_request');
const { headerLine, isToken, statusOf } = require('./response_head');
const { CHUNKED, HIGH_WATER_BYTES, ResponseStream } = require('./response_stream');

/**
 * Where responses go: a lane of requests, or what stands for one.
 * @typedef {object} Exchange
 * @property {(index: number, head: string, body: string | Uint8Array) => void} respond sends a whole response
 * @property {(index: number, status: string, fields: string, length: number) => void} respondWithoutBody
 *     with a reported length; -1: none
 * @property {(index: number, status: string, fields: string, length: number) => void} begin sends a head,
 *     behind which content follows; -1: of unknown length
 * @property {(index: number, flags: number, piece: string | Uint8Array) => number} content sends a piece
 *     of it, and returns its bytes
 * @property {(index: number) => void} watch asks how much of it was taken
 * @property {(index: number, bytes: number) => void} grant asks for more of the request's content
 * @property {(index: number) => void} terminate ends the connection at once
 * @property {(response: HttpResponse) => void} decline leaves the request to the next route
 * @property {(response: HttpResponse, route: any, index: number, userData: unknown, isPlain: boolean, answer: string) => void} upgrade
 * @property {(index: number) => ArrayBuffer} remoteAddress
 * @property {(index: number) => number} remotePort
 * @property {(error: unknown) => void} report to `uncaughtException`
 */

/** @typedef {{ subject: string }} Route for an error: 'The handler of App.get("/")' */

/** The place of a response that is over. */
const OVER = -1;

const OK = '200 OK';

/** A head with nothing in it. */
const PLAIN_HEAD = '200 OK\n\n';

/** @type {(response: HttpResponse) => boolean} */
let isOver;
/** @type {(response: HttpResponse) => boolean} */
let isBegun;
/** @type {(response: HttpResponse) => boolean} */
let isAwaited;
/** @type {(response: HttpResponse) => number} */
let placeOf;
/** @type {(response: HttpResponse) => (() => unknown) | null} */
let finish;
/** @type {(response: HttpResponse, chunk: ArrayBuffer, isLast: boolean) => void} */
let arrived;
/** @type {(response: HttpResponse, amount: number) => void} */
let taken;

class HttpResponse {
  #exchange;
  #route;
  #request;
  #index;
  #status = '';
  /** Header lines. */
  #fields = '';
  /** @type {(() => unknown) | null} */
  #onAborted = null;
  /** @type {import('./response_stream').OnWritable | null} */
  #onWritable = null;
  /** @type {ResponseStream | null} once the head is sent */
  #stream = null;
  /** @type {HttpContent | null} once somebody asked for it */
  #content = null;

  /**
   * @param {Exchange} exchange
   * @param {Route} route
   * @param {import('./http_request').HttpRequest} request
   * @param {number} index its place at the exchange
   */
  constructor(exchange, route, request, index) {
    this.#exchange = exchange;
    this.#route = route;
    this.#request = request;
    this.#index = index;
  }

  static {
    isOver = (response) => response.#index === OVER;
    isBegun = (response) => response.#stream !== null;
    isAwaited = (response) => response.#onAborted !== null;
    placeOf = (response) => response.#index;
    finish = (response) => {
      const aborted = response.#onAborted;
      response.#index = OVER;
      response.#onAborted = null;
      response.#stream?.close();
      response.#content?.close();
      return aborted;
    };
    arrived = (response, chunk, isLast) => response.#content?.arrived(chunk, isLast);
    taken = (response, amount) => response.#stream?.taken(amount);
  }

  /**
   * The first call counts, before content is written.
   * @param {unknown} status '403 Forbidden'
   */
  writeStatus(status) {
    this.#place();
    const text = statusOf(textOf(status));
    this.#status ||= text;
    return this;
  }

  /**
   * @param {unknown} name
   * @param {unknown} value
   */
  writeHeader(name, value) {
    this.#place();
    const line = headerLine(textOf(name), textOf(value));
    if (this.#stream !== null) throw errors.headSent();
    this.#fields += line;
    return this;
  }

  /** Sends the head; content of unknown length follows. */
  beginWrite() {
    this.#place();
    this.#begin(CHUNKED);
    return this;
  }

  /**
   * @param {unknown} chunk
   * @returns {boolean} whether more is welcome
   */
  write(chunk) {
    this.#place();
    const piece = typeof chunk === 'string' ? chunk : bytesOf(chunk);
    if (piece.length === 0) return true;
    const stream = this.#begin(CHUNKED);
    checkLength(stream, piece);
    return stream.write(piece);
  }

  /**
   * @param {unknown} [body]
   * @param {boolean} [closeConnection]
   */
  end(body, closeConnection) {
    const index = this.#place();
    const payload = typeof body === 'string' ? body : bytesOf(body);
    const stream = this.#stream;
    if (stream !== null) {
      checkLength(stream, payload);
      stream.end(payload, closeConnection ? FLAG_CLOSE : 0);
      finish(this);
      return this;
    }
    const isPlain = this.#status === '' && this.#fields === '' && !closeConnection;
    const head = isPlain ? PLAIN_HEAD : `${this.#finalStatus()}\n${this.#allFields(closeConnection)}\n`;
    this.#exchange.respond(index, head, payload);
    finish(this);
    return this;
  }

  /**
   * @param {number | string} [reportedContentLength]
   * @param {boolean} [closeConnection]
   */
  endWithoutBody(reportedContentLength, closeConnection) {
    const index = this.#place();
    if (this.#stream !== null) return this.end(undefined, closeConnection);
    const length =
      reportedContentLength === undefined ? -1 : lengthOf('endWithoutBody', asNumber(reportedContentLength));
    const status = this.#finalStatus();
    const fields = this.#allFields(closeConnection);
    this.#exchange.respondWithoutBody(index, status, fields, length);
    finish(this);
    return this;
  }

  /**
   * Writes as much of a response as is welcome now.
   * @param {unknown} chunk
   * @param {number} [totalSize] bytes of the whole content; by default those of the chunk
   * @returns {[ok: boolean, done: boolean]} whether all of the chunk was written, and whether the response is over
   */
  tryEnd(chunk, totalSize) {
    this.#place();
    const piece = encoded(chunk);
    const total = totalSize ? lengthOf('tryEnd', totalSize) : piece.length;
    const isWhole = this.#stream === null && piece.length === total && total <= HIGH_WATER_BYTES;
    if (isWhole || this.#stream?.length === CHUNKED) {
      this.end(piece);
      return [true, true];
    }
    if (this.#stream === null && piece.length > total) throw errors.tooLong(total);
    const stream = this.#begin(total);
    checkLength(stream, piece);
    const outcome = stream.tryEnd(piece);
    if (outcome[1]) finish(this);
    return outcome;
  }

  /** Bytes of content that were accepted. */
  getWriteOffset() {
    this.#place();
    return this.#stream?.offset ?? 0;
  }

  /** @param {(offset: number) => boolean} handler replaces the one before */
  onWritable(handler) {
    this.#place();
    checkFunction('onWritable', handler);
    this.#onWritable = handler;
    if (this.#stream !== null) this.#stream.onWritable = handler;
    return this;
  }

  /** Closes the connection at once. */
  close() {
    const index = this.#place();
    this.#exchange.terminate(index);
    const aborted = finish(this);
    try {
      aborted?.();
    } catch (error) {
      this.#exchange.report(error);
    }
    return this;
  }

  /**
   * Makes the connection a WebSocket. The open handler has run when this returns.
   * @param {unknown} userData whose own properties the socket gets
   * @param {unknown} key of the request; the engine has checked it
   * @param {unknown} [protocol] the subprotocol; of several, the first
   * @param {unknown} [extensions] of the request; '' declines compression
   * @param {unknown} [context] what the handler got
   */
  upgrade(userData, key, protocol, extensions, context) {
    const index = this.#place();
    void context;
    if (this.#stream !== null) throw errors.headSent();
    encoded(key);
    const isPlain = textOf(extensions) === '';
    const [first] = textOf(protocol).split(',', 1);
    const subprotocol = first.trim();
    if (subprotocol !== '' && !isToken(subprotocol)) {
      throw errors.invalidHeader('The subprotocol of res.upgrade()', subprotocol);
    }
    const answer = `${subprotocol}\n${this.#fields}`;
    this.#exchange.upgrade(this, this.#route, index, userData, isPlain, answer);
  }

  /** @param {() => unknown} handler replaces the one before */
  onAborted(handler) {
    this.#place();
    checkFunction('onAborted', handler);
    this.#onAborted = handler;
    return this;
  }

  /** @param {(chunk: ArrayBuffer, isLast: boolean) => void} handler replaces the one before */
  onData(handler) {
    this.#place();
    checkFunction('onData', handler);
    this.#asked().consume(handler);
    return this;
  }

  /** @param {(chunk: ArrayBuffer, maxRemainingBodyLength: bigint) => void} handler likewise */
  onDataV2(handler) {
    this.#place();
    checkFunction('onDataV2', handler);
    const content = this.#asked();
    content.consume((chunk) => handler(chunk, content.maxRemaining));
    return this;
  }

  /**
   * @param {number} maxSize bytes
   * @param {(body: ArrayBuffer | null) => void} handler gets null for more
   */
  collectBody(maxSize, handler) {
    this.#place();
    if (typeof maxSize !== 'number' || !(maxSize >= 0)) {
      throw errors.invalidType('The first argument of res.collectBody()', 'a number of bytes', maxSize);
    }
    if (typeof handler !== 'function') {
      throw errors.invalidType('The second argument of res.collectBody()', 'a function', handler);
    }
    this.#asked().collect(maxSize, handler);
    return this;
  }

  maxRemainingBodyLength() {
    this.#place();
    return this.#asked().maxRemaining;
  }

  /** Takes no more of the request's content for now. */
  pause() {
    this.#place();
    this.#asked().pause();
    return this;
  }

  resume() {
    this.#place();
    this.#asked().resume();
    return this;
  }

  /** @param {() => void} callback */
  cork(callback) {
    this.#place();
    checkFunction('cork', callback);
    callback();
    return this;
  }

  getRemoteAddress() {
    return this.#exchange.remoteAddress(this.#place());
  }

  getRemoteAddressAsText() {
    return asText(new Uint8Array(this.getRemoteAddress()));
  }

  getRemotePort() {
    return this.#exchange.remotePort(this.#place());
  }

  getProxiedRemoteAddress() {
    return addressBytes(this.#proxied(0)).buffer;
  }

  getProxiedRemoteAddressAsText() {
    return asText(addressBytes(this.#proxied(0)));
  }

  getProxiedRemotePort() {
    return Number(this.#proxied(1));
  }

  /** The certificate of a client, as PEM; '' if it has shown none, as without TLS. */
  getX509Certificate() {
    this.#place();
    return pemOf(noteOf(this.#request, 'certificate'));
  }

  /** The place of a response that is not over. */
  #place() {
    if (this.#index === OVER) throw errors.responseOver();
    return this.#index;
  }

  /**
   * The stream; the head is sent if it was not.
   * @param {number} length of the content, or CHUNKED
   */
  #begin(length) {
    this.#stream ??= this.#newStream(length);
    return this.#stream;
  }

  /** @param {number} length */
  #newStream(length) {
    this.#exchange.begin(this.#index, this.#finalStatus(), this.#fields, length);
    const stream = new ResponseStream(this.#exchange, this.#index, length);
    if (this.#onWritable !== null) stream.onWritable = this.#onWritable;
    return stream;
  }

  #asked() {
    this.#content ??= new HttpContent(this.#exchange, this.#index, this.#request);
    return this.#content;
  }

  #finalStatus() {
    const status = this.#status || OK;
    if (status.startsWith('1')) throw errors.invalidStatus(status);
    return status;
  }

  /** @param {boolean | undefined} closeConnection */
  #allFields(closeConnection) {
    return closeConnection ? `${this.#fields}connection: close\n` : this.#fields;
  }

  /**
   * What a proxy told of the client.
   * @param {number} part 0: the address, 1: the port
   */
  #proxied(part) {
    this.#place();
    return noteOf(this.#request, 'proxied').split(' ')[part] ?? '';
  }
}

// Libraries look at the constructor's name.
Object.defineProperty(HttpResponse, 'name', { value: 'uWS.HttpResponse' });

/**
 * @param {string} method
 * @param {unknown} value
 */
function checkFunction(method, value) {
  if (typeof value !== 'function') {
    throw errors.invalidType(`The argument of res.${method}()`, 'a function', value);
  }
}

/**
 * Refuses content that goes beyond the length that was promised.
 * @param {ResponseStream} stream
 * @param {string | Uint8Array} piece
 */
function checkLength(stream, piece) {
  if (stream.length === CHUNKED) return;
  const bytes = typeof piece === 'string' ? Buffer.byteLength(piece) : piece.length;
  if (stream.offset + bytes > stream.length) throw errors.tooLong(stream.length);
}

/**
 * A number that may be written as text: libraries pass on what stands in a header field.
 * @param {unknown} value
 */
function asNumber(value) {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}

/**
 * A number of bytes that was passed to a method.
 * @param {string} method
 * @param {unknown} value
 */
function lengthOf(method, value) {
  if (typeof value !== 'number') throw errors.invalidType(`The size for res.${method}()`, 'a number', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw errors.outOfRange(`The size for res.${method}()`, 'a whole number of bytes', value);
  }
  return value;
}

/** @param {Uint8Array} address */
function asText(address) {
  return new TextEncoder().encode(addressText(address)).buffer;
}

module.exports = { HttpResponse, isOver, isBegun, isAwaited, placeOf, finish, arrived, taken };
