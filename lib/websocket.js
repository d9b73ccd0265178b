'use strict';

/**
 * The socket that handlers get: a plain object with two fields, so that a million of them cost
 * little. All state that is not the application's lies in its lane's columns.
 */

const { CONTROL_PAYLOAD_BYTES, NO_STATUS_CODES, checkStatusCode, cut, wellFormed } = require('./close_frame');
const { addressText } = require('./address');
const { OPCODE_TEXT, OPCODE_BINARY, OPCODE_PING, FLAG_FIN, FLAG_COMPRESS } = require('./commands');
const { encoded } = require('./data');
const { CAUSES } = require('./events');
const errors = require('./errors');

/** @typedef {import('./lane_route').LaneRoute} LaneRoute */

/** The place of a closed socket is this, less the number of the cause. */
const CLOSED = -1;

/** What `send` returns for a message that goes nowhere. */
const DROPPED = 2;

/** @type {(socket: WebSocket) => LaneRoute} */
let routeOf;
/** @type {(socket: WebSocket) => number} */
let indexOf;
/** @type {(socket: WebSocket, cause: number) => void} */
let retire;

class WebSocket {
  #route;
  #index;

  /**
   * @param {LaneRoute} route
   * @param {number} index the place of the connection in its lane
   */
  constructor(route, index) {
    this.#route = route;
    this.#index = index;
  }

  static {
    routeOf = (socket) => socket.#route;
    indexOf = (socket) => socket.#index;
    retire = (socket, cause) => {
      socket.#index = CLOSED - cause;
    };
  }

  /** 1: open; 2: closing, its close handler runs; 3: closed. Never throws. */
  get readyState() {
    if (this.#index < 0) return 3;
    return this.#route.lane.isOpen(this, this.#index) ? 1 : 2;
  }

  /** What ended the connection; undefined while it is open. Never throws. */
  get closeCause() {
    const index = this.#index;
    if (index < 0) return CAUSES[CLOSED - index];
    const { lane } = this.#route;
    return lane.isOpen(this, index) ? undefined : CAUSES[lane.causeOf(index)];
  }

  /**
   * @param {unknown} message
   * @param {boolean} [isBinary]
   * @param {boolean} [compress]
   */
  send(message, isBinary, compress) {
    const index = this.#index;
    const { lane } = this.#route;
    if (index < 0) {
      this.#place();
      return DROPPED;
    }
    if (lane.fragments.open !== 0) lane.fragments.refuse(index);
    const opcode = isBinary ? OPCODE_BINARY : OPCODE_TEXT;
    const flags = compress ? FLAG_FIN | FLAG_COMPRESS : FLAG_FIN;
    return lane.send(this, index, flags | opcode, message);
  }

  /**
   * @param {unknown} message
   * @param {boolean} [isBinary]
   * @param {boolean} [compress] has no effect
   */
  sendFirstFragment(message, isBinary, compress) {
    void compress;
    const index = this.#place();
    if (index < 0) return DROPPED;
    const opcode = isBinary ? OPCODE_BINARY : OPCODE_TEXT;
    return this.#route.lane.fragments.first(this, index, opcode, message);
  }

  /**
   * @param {unknown} message
   * @param {boolean} [compress] has no effect
   */
  sendFragment(message, compress) {
    void compress;
    const index = this.#place();
    return index < 0 ? DROPPED : this.#route.lane.fragments.next(this, index, false, message);
  }

  /**
   * @param {unknown} message
   * @param {boolean} [compress] has no effect
   */
  sendLastFragment(message, compress) {
    void compress;
    const index = this.#place();
    return index < 0 ? DROPPED : this.#route.lane.fragments.next(this, index, true, message);
  }

  /** @param {unknown} [message] */
  ping(message) {
    const index = this.#place();
    if (index < 0) return DROPPED;
    const payload = encoded(message);
    if (payload.length > CONTROL_PAYLOAD_BYTES) {
      const accepted = `at most ${CONTROL_PAYLOAD_BYTES} bytes long`;
      throw errors.outOfRange('The message of ws.ping()', accepted, `${payload.length} bytes`);
    }
    return this.#route.lane.send(this, index, FLAG_FIN | OPCODE_PING, payload);
  }

  getBufferedAmount() {
    const index = this.#place();
    return index < 0 ? 0 : this.#route.lane.bufferedAmount(this, index);
  }

  /**
   * @param {number} [code]
   * @param {unknown} [message]
   */
  end(code = 0, message = undefined) {
    const index = this.#place();
    if (index < 0) return;
    checkStatusCode('`code` of ws.end()', code, NO_STATUS_CODES);
    const reason = cut(wellFormed(encoded(message)));
    this.#route.lane.end(this, index, NO_STATUS_CODES.includes(code) ? 0 : code, reason);
  }

  close() {
    const index = this.#place();
    if (index >= 0) this.#route.lane.terminate(this, index);
  }

  /** @param {unknown} topic */
  subscribe(topic) {
    const index = this.#place();
    return index >= 0 && this.#route.lane.topics.subscribe(this, index, topic);
  }

  /** @param {unknown} topic */
  unsubscribe(topic) {
    const index = this.#place();
    return index >= 0 && this.#route.lane.topics.unsubscribe(this, index, topic);
  }

  /** @param {unknown} topic */
  isSubscribed(topic) {
    const index = this.#place();
    return index >= 0 && this.#route.lane.topics.holds(index, topic);
  }

  getTopics() {
    const index = this.#place();
    return index < 0 ? [] : this.#route.lane.topics.names(index);
  }

  /**
   * @param {unknown} topic
   * @param {unknown} message
   * @param {boolean} [isBinary]
   * @param {boolean} [compress]
   */
  publish(topic, message, isBinary, compress) {
    const index = this.#place();
    if (index < 0) return false;
    const { topics } = this.#route.lane;
    return topics.topics.publish(topic, message, isBinary, compress, topics, index);
  }

  /** @param {() => void} callback */
  cork(callback) {
    if (this.#place() < 0) return this;
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of ws.cork()', 'a function', callback);
    }
    callback();
    return this;
  }

  getUserData() {
    return this;
  }

  getRemoteAddress() {
    const index = this.#place();
    return index < 0 ? new ArrayBuffer(0) : this.#route.lane.remoteAddress(index);
  }

  getRemoteAddressAsText() {
    const text = addressText(new Uint8Array(this.getRemoteAddress()));
    return new TextEncoder().encode(text).buffer;
  }

  getRemotePort() {
    const index = this.#place();
    return index < 0 ? 0 : this.#route.lane.remotePort(index);
  }

  /** The place of a socket whose close handler has not returned; negative behind it, where that is no error. */
  #place() {
    if (this.#index < 0 && !this.#route.ignoresClosed) throw errors.closed();
    return this.#index;
  }
}

/** The same of an App with TLS. Libraries look at the constructor's name. */
class SSLWebSocket extends WebSocket {}

Object.defineProperty(WebSocket, 'name', { value: 'uWS.WebSocket' });
Object.defineProperty(SSLWebSocket, 'name', { value: 'uWS.SSLWebSocket' });

module.exports = { WebSocket, SSLWebSocket, routeOf, indexOf, retire };
