'use strict';

/**
 * What waits to be written, of the connections of one lane: what the reactor told, and what is on its
 * way there. A connection for which nothing waits is in no map here; of what was sent to it since the
 * newest flush that was carried out, its columns tell.
 */

const commands = require('./commands');
const { PAGE_MASK } = require('./connections');
const { ownCopy, encoded } = require('./data');
const { routeOf } = require('./websocket');

/** @typedef {import('./connections').Connections['pages'][number]} Page */
/** @typedef {import('./websocket').WebSocket} WebSocket */

/** Longest head of a frame that a server sends (RFC 6455 §5.2), counted as buffered with its payload. */
const FRAME_HEAD_BYTES = 10;

/** What `send` returns, as in uWebSockets.js. */
const QUEUED = 0;
const SENT = 1;
const DROPPED = 2;

class Backlog {
  #lane;
  #outgoing;
  /** @type {Map<number, number>} Bytes that wait at the reactor, of the connections where some do. */
  #waiting = new Map();
  /**
   * @type {Map<number, { bytes: number, awaited: boolean }>} Connections of which the reactor was asked to tell
   *     their drain: what was unconfirmed then, and whether the application waits for it.
   */
  #watched = new Map();
  /** The number of the newest flush that was carried out; signed, wrapping. */
  confirmed = 0;

  /**
   * @param {import('./lane').Lane} lane
   * @param {import('./outgoing').Outgoing} outgoing the lane's
   */
  constructor(lane, outgoing) {
    this.#lane = lane;
    this.#outgoing = outgoing;
  }

  /** Whether the reactor told of nothing that waits. */
  get isEmpty() {
    return this.#waiting.size === 0;
  }

  /**
   * What becomes of a message to a connection, when some connections have a backlog.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} flags
   * @param {unknown} message
   */
  admit(socket, index, flags, message) {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return SENT;
    const route = routeOf(socket);
    // Only what the reactor told: it judges what is on its way there itself, and says what it drops.
    if (route.maxBackpressure === 0 || waiting <= route.maxBackpressure) return QUEUED;
    const opcode = flags & commands.OPCODE_MASK;
    // Without it the message that was begun would be another one.
    if (opcode === commands.OPCODE_CONTINUATION) return QUEUED;
    const lane = this.#lane;
    const payload = encoded(message);
    if (opcode !== commands.OPCODE_PING) lane.dropped++;
    const { dropped } = route;
    if (dropped !== null && opcode !== commands.OPCODE_PING) {
      const isBinary = opcode === commands.OPCODE_BINARY;
      try {
        dropped(socket, ownCopy(isBinary ? route.binaryKind : route.textKind, payload), isBinary);
      } catch (error) {
        lane.native.report(error);
      }
    }
    if (route.closeOnBackpressureLimit) lane.terminate(socket, index, commands.FLAG_BACKPRESSURE);
    return DROPPED;
  }

  /**
   * Remembers the message that was written just now. Before the reactor has told what waits, so much may have
   * been sent that it would drop more: who sends until `send` says 0 must be told so, and a drain event follows.
   * It is asked for at half of that, so that one who never rests, but does not send too much, gets no 0.
   * @param {WebSocket} socket
   * @param {Page} page
   * @param {number} index
   * @param {number} payloadBytes
   * @param {number} status what `send` would return
   * @returns {number} what it returns
   */
  sent(socket, page, index, payloadBytes, status) {
    const at = index & PAGE_MASK;
    const bytes = payloadBytes + FRAME_HEAD_BYTES;
    const carriedOut = ((this.confirmed - page.flushes[at]) | 0) >= 0;
    // What a drain that was asked for has told already is not in this sum any more.
    if (carriedOut && this.#watched.size > 0) this.#forgive(index);
    const sum = carriedOut ? bytes : page.unconfirmed[at] + bytes;
    page.unconfirmed[at] = sum;
    page.flushes[at] = this.#outgoing.lastFlush;
    const { surgeBytes } = routeOf(socket);
    if (sum * 2 <= surgeBytes) return status;
    const surges = sum > surgeBytes;
    this.#watch(index, sum, surges);
    return surges ? QUEUED : status;
  }

  /**
   * Bytes that are not known to be written. A drain event will follow if there are any.
   * @param {Page} page
   * @param {number} index
   */
  asked(page, index) {
    const at = index & PAGE_MASK;
    const carriedOut = ((this.confirmed - page.flushes[at]) | 0) >= 0;
    const unconfirmed = carriedOut ? 0 : page.unconfirmed[at];
    const bytes = (this.#waiting.get(index) ?? 0) + unconfirmed;
    if (bytes > 0) this.#watch(index, unconfirmed, true);
    return bytes;
  }

  /**
   * The reactor told that more waits.
   * @param {number} index
   * @param {number} bytes
   */
  grew(index, bytes) {
    this.#waiting.set(index, bytes);
  }

  /**
   * The reactor told that less waits, or nothing.
   * @param {Page} page
   * @param {number} index
   * @param {number} bytes
   * @returns {boolean} whether that is news for the application
   */
  drained(page, index, bytes) {
    const asked = this.#watched.get(index);
    this.#watched.delete(index);
    const waited = this.#waiting.has(index);
    if (bytes === 0) this.#waiting.delete(index);
    else this.#waiting.set(index, bytes);
    if (waited || asked === undefined) return true;
    // Where nothing was known to wait, this is the answer to who asked: what was sent before that is written.
    page.unconfirmed[index & PAGE_MASK] -= asked.bytes;
    return asked.awaited;
  }

  /**
   * The connection is over.
   * @param {number} index
   */
  forget(index) {
    this.#waiting.delete(index);
    this.#watched.delete(index);
  }

  /**
   * @param {number} index
   * @param {number} bytes that are unconfirmed
   * @param {boolean} awaited whether the application waits for the drain
   */
  #watch(index, bytes, awaited) {
    const asked = this.#watched.get(index);
    if (asked !== undefined) {
      asked.awaited ||= awaited;
      return;
    }
    this.#watched.set(index, { bytes, awaited });
    this.#lane.command(commands.WATCH_DRAIN, index);
  }

  /**
   * What was unconfirmed when a drain was asked for has been confirmed before its answer came.
   * @param {number} index
   */
  #forgive(index) {
    const asked = this.#watched.get(index);
    if (asked !== undefined) asked.bytes = 0;
  }
}

module.exports = { Backlog, SENT, DROPPED };
