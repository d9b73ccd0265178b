'use strict';

/**
 * One shutdown of an App: who waits for its end, until when, and what it has counted. The work is the
 * engine's.
 */

// Taken once, as `lib/outgoing.js` takes `queueMicrotask`.
const { setTimeout, clearTimeout } = require('node:timers');

/** @typedef {import('../index').ShutdownResult} ShutdownResult */

class Shutdown {
  /** @type {(result: ShutdownResult) => void} */
  #resolve = () => {};
  #timer;
  /** @type {Promise<ShutdownResult>} */
  promise = new Promise((resolve) => {
    this.#resolve = resolve;
  });
  /** Whether nobody is waited for any more. */
  isOver = false;
  /** Requests that ended without an answer. */
  aborted = 0;

  /**
   * @param {number} seconds
   * @param {Uint8Array} payload of the close frames
   * @param {() => void} cutOff called when they are over
   */
  constructor(seconds, payload, cutOff) {
    this.payload = payload;
    this.#timer = setTimeout(cutOff, seconds * 1_000);
  }

  /**
   * All are gone.
   * @param {{ closed: number, forced: number }} departed WebSockets, as the reactors have counted them
   */
  end({ closed, forced }) {
    clearTimeout(this.#timer);
    this.#resolve({ closed, forced, aborted: this.aborted });
  }
}

module.exports = { Shutdown };
