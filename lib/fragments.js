'use strict';

/**
 * Messages that are sent in fragments (RFC 6455 §5.4), of one lane. A connection is here while its
 * message is open, and costs nothing otherwise. Between the fragments nothing but control frames may
 * go to the peer: who sends a message there is told so, and the reactor holds published ones back.
 */

const { FLAG_FIN, OPCODE_CONTINUATION } = require('./commands');
const { DROPPED } = require('./backlog');
const { bytesOf } = require('./data');
const errors = require('./errors');

/** @typedef {import('./websocket').WebSocket} WebSocket */

class Fragments {
  #lane;
  /** @type {Map<number, boolean>} of each open message whether its fragments go out, or are dropped */
  #messages = new Map();
  /** Messages that are open: looked at before each send. */
  open = 0;

  /** @param {import('./lane').Lane} lane */
  constructor(lane) {
    this.#lane = lane;
  }

  /**
   * Begins a message.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} opcode
   * @param {unknown} fragment
   * @returns {number} as `Lane.send`
   */
  first(socket, index, opcode, fragment) {
    this.refuse(index);
    const status = this.#lane.send(socket, index, opcode, fragment);
    // The `dropped` handler may have closed the connection, or begun another message.
    if (this.#lane.isOpen(socket, index) && !this.#messages.has(index)) {
      this.#messages.set(index, status !== DROPPED);
      this.open = this.#messages.size;
    }
    return status;
  }

  /**
   * Goes on with a message, or ends it.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {boolean} isLast
   * @param {unknown} fragment
   * @returns {number} as `Lane.send`
   */
  next(socket, index, isLast, fragment) {
    const goesOut = this.#messages.get(index);
    if (goesOut === undefined && this.#lane.isOpen(socket, index)) throw errors.noFragment();
    if (goesOut !== true && typeof fragment !== 'string') bytesOf(fragment);
    const flags = isLast ? FLAG_FIN | OPCODE_CONTINUATION : OPCODE_CONTINUATION;
    const status = goesOut ? this.#lane.send(socket, index, flags, fragment) : DROPPED;
    if (isLast) this.forget(index);
    return status;
  }

  /**
   * Throws if a message is open: another may not begin.
   * @param {number} index
   */
  refuse(index) {
    if (this.#messages.has(index)) throw errors.fragmentOpen();
  }

  /**
   * The message has ended, or its connection.
   * @param {number} index
   */
  forget(index) {
    this.#messages.delete(index);
    this.open = this.#messages.size;
  }
}

module.exports = { Fragments };
