'use strict';

/**
 * The response to a request, as handlers get it: what is written is gathered here, and crosses as one
 * command when the response ends. Behind that, or when the peer is gone, every method throws.
 */

const { encoded } = require('./data');
const errors = require('./errors');
const { textOf } = require('./http_request');
const { addressText } = require('./websocket');

/** The place of a response that is over. */
const OVER = -1;

/** A token (RFC 9110 §5.6.2): the name of a header field, or a subprotocol. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What no value of a header field has in it (RFC 9110 §5.5): controls, save the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NO_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;

/** A status line without its version (RFC 9112 §4): the code, and perhaps a phrase. */
const STATUS = /^[1-9]\d\d(?: .*)?$/;

/** @type {(response: HttpResponse) => boolean} */
let isOver;
/** @type {(response: HttpResponse) => boolean} */
let isAwaited;
/** @type {(response: HttpResponse) => (() => unknown) | null} */
let finish;

class HttpResponse {
  #requests;
  #route;
  #index;
  #status = '';
  /** Header lines. */
  #fields = '';
  /** @type {(() => unknown) | null} */
  #onAborted = null;

  /**
   * @param {import('./requests').Requests} requests of the lane
   * @param {import('./lane_route').LaneRoute} route
   * @param {number} index the place of the connection in its lane
   */
  constructor(requests, route, index) {
    this.#requests = requests;
    this.#route = route;
    this.#index = index;
  }

  static {
    isOver = (response) => response.#index === OVER;
    isAwaited = (response) => response.#onAborted !== null;
    finish = (response) => {
      const aborted = response.#onAborted;
      response.#index = OVER;
      response.#onAborted = null;
      return aborted;
    };
  }

  /**
   * The first call counts.
   * @param {unknown} status '403 Forbidden'
   */
  writeStatus(status) {
    this.#place();
    const text = textOf(status);
    if (!STATUS.test(text) || NO_VALUE.test(text)) throw errors.invalidStatus(text);
    this.#status ||= text;
    return this;
  }

  /**
   * @param {unknown} name
   * @param {unknown} value
   */
  writeHeader(name, value) {
    this.#place();
    this.#fields += headerLine(textOf(name), textOf(value));
    return this;
  }

  /**
   * @param {unknown} [body]
   * @param {boolean} [closeConnection]
   */
  end(body, closeConnection) {
    const index = this.#place();
    const payload = typeof body === 'string' ? body : encoded(body);
    const status = this.#status || '200 OK';
    if (status.startsWith('1')) throw errors.invalidStatus(status);
    const fields = closeConnection ? `${this.#fields}connection: close\n` : this.#fields;
    finish(this);
    this.#requests.respond(index, `${status}\n${fields}\n`, payload);
    return this;
  }

  /**
   * @param {number} [reportedContentLength] has no meaning for the requests that there are
   * @param {boolean} [closeConnection]
   */
  endWithoutBody(reportedContentLength, closeConnection) {
    void reportedContentLength;
    return this.end(undefined, closeConnection);
  }

  /** Closes the connection without a response. */
  close() {
    const index = this.#place();
    finish(this);
    this.#requests.drop(index);
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
    encoded(key);
    const isPlain = textOf(extensions) === '';
    const [first] = textOf(protocol).split(',', 1);
    const subprotocol = first.trim();
    if (subprotocol !== '' && !TOKEN.test(subprotocol)) {
      throw errors.invalidHeader('The subprotocol of res.upgrade()', subprotocol);
    }
    this.#requests.upgrade(this, this.#route, index, userData, isPlain, `${subprotocol}\n${this.#fields}`);
  }

  /** @param {() => unknown} handler replaces the one before */
  onAborted(handler) {
    this.#place();
    if (typeof handler !== 'function') {
      throw errors.invalidType('The argument of res.onAborted()', 'a function', handler);
    }
    this.#onAborted = handler;
    return this;
  }

  /** @param {() => void} callback */
  cork(callback) {
    this.#place();
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of res.cork()', 'a function', callback);
    }
    callback();
    return this;
  }

  getRemoteAddress() {
    const index = this.#place();
    return this.#route.lane.remoteAddress(index);
  }

  getRemoteAddressAsText() {
    const text = addressText(new Uint8Array(this.getRemoteAddress()));
    return new TextEncoder().encode(text).buffer;
  }

  getRemotePort() {
    const index = this.#place();
    return this.#route.lane.remotePort(index);
  }

  /** The place of a response that is not over. */
  #place() {
    if (this.#index === OVER) throw errors.responseOver();
    return this.#index;
  }
}

// Libraries look at the constructor's name.
Object.defineProperty(HttpResponse, 'name', { value: 'uWS.HttpResponse' });

/**
 * A header line, if its parts are what they should be: what an application passes on from a request
 * must not end the line.
 * @param {string} name
 * @param {string} value
 */
function headerLine(name, value) {
  if (!TOKEN.test(name)) throw errors.invalidHeader('The name of a header field', name);
  if (NO_VALUE.test(value)) throw errors.invalidHeader(`The value of the header field ${name}`, value);
  return `${name}: ${value}\n`;
}

module.exports = { HttpResponse, isOver, isAwaited, finish };
