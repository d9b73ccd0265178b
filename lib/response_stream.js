'use strict';

/**
 * A response that is written piece by piece: what was written, what the peer's side has taken, and when
 * more is welcome. Made with the first piece.
 */

const { FLAG_FIN } = require('./commands');
const { RESPONSE_LOW_WATER_BYTES } = require('./limits');

/** Taken once: applications replace the global one where they test with scripted time. */
const { queueMicrotask } = globalThis;

/** From so many bytes on that are not known to be taken, `write` says that it is too much, and `tryEnd` takes no more. */
const HIGH_WATER_BYTES = 256 * 1024;

/** The length of a response that is sent in chunks (RFC 9112 §7.1). */
const CHUNKED = -1;

/** @typedef {(offset: number) => unknown} OnWritable */

class ResponseStream {
  #exchange;
  #index;
  #taken = 0;
  /** Whether word from the gate is on its way. */
  #watching = false;
  /** Whether a piece was too much, which `onWritable` has not been called for. */
  #refused = false;
  /** @type {OnWritable | null} */
  #onWritable = null;

  /**
   * @param {import('./http_response').Exchange} exchange
   * @param {number} index
   * @param {number} length of the whole content in bytes, or CHUNKED
   */
  constructor(exchange, index, length) {
    this.#exchange = exchange;
    this.#index = index;
    this.length = length;
    /** Bytes of content that were accepted. */
    this.offset = 0;
  }

  /**
   * @param {string | Uint8Array} piece all of it is accepted
   * @returns {boolean} whether more is welcome
   */
  write(piece) {
    this.#send(0, piece);
    return this.#welcomes();
  }

  /**
   * @param {string | Uint8Array} piece may be empty
   * @param {number} [flags] more of them
   */
  end(piece, flags = 0) {
    this.#send(FLAG_FIN | flags, piece);
  }

  /**
   * Writes as much as is welcome.
   * @param {Uint8Array} piece
   * @returns {[ok: boolean, done: boolean]} whether that was all of it, and whether the response is complete
   */
  tryEnd(piece) {
    const room = Math.max(HIGH_WATER_BYTES - (this.offset - this.#taken), 0);
    const part = piece.length <= room ? piece : piece.subarray(0, room);
    const isWhole = part.length === piece.length;
    const isLast = this.offset + part.length === this.length;
    if (isLast || part.length > 0) this.#send(isLast ? FLAG_FIN : 0, part);
    if (!isLast) this.#look(!isWhole);
    return [isWhole, isLast];
  }

  /** @param {OnWritable} handler replaces the one before */
  set onWritable(handler) {
    const isOwed = this.#refused && !this.#watching && this.#onWritable === null;
    this.#onWritable = handler;
    if (isOwed) queueMicrotask(() => this.#writable());
  }

  /**
   * The gate told.
   * @param {number} amount bytes that were taken since the beginning, modulo 2 ** 32
   */
  taken(amount) {
    this.#taken += (amount - this.#taken) >>> 0;
    this.#watching = false;
    if (this.#refused && this.#onWritable !== null) this.#writable();
  }

  #writable() {
    // Over meanwhile: who ends a response takes its place away.
    if (this.#index < 0 || this.#onWritable === null) return;
    this.#refused = false;
    try {
      // What it returns says nothing that is not known here.
      this.#onWritable(this.offset);
    } catch (error) {
      this.#exchange.report(error);
    }
  }

  /** The response is over. */
  close() {
    this.#index = -1;
    this.#onWritable = null;
  }

  /**
   * @param {number} flags
   * @param {string | Uint8Array} piece
   */
  #send(flags, piece) {
    this.offset += this.#exchange.content(this.#index, flags, piece);
  }

  #welcomes() {
    const isWelcome = this.offset - this.#taken <= HIGH_WATER_BYTES;
    this.#look(!isWelcome);
    return isWelcome;
  }

  /** @param {boolean} refused whether a piece was too much */
  #look(refused) {
    if (refused) this.#refused = true;
    // Asked early: who writes a little now and then is not told that it is too much when it is not.
    const isLittle = this.offset - this.#taken <= RESPONSE_LOW_WATER_BYTES;
    if (this.#watching || (isLittle && !refused)) return;
    this.#watching = true;
    this.#exchange.watch(this.#index);
  }
}

module.exports = { ResponseStream, CHUNKED, HIGH_WATER_BYTES };
