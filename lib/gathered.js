'use strict';

/** Bytes that come piece by piece and are wanted as one: in one buffer, however small the pieces are. */

/** Room for the first piece, at least. */
const LEAST_BYTES = 1024;

class Gathered {
  #memory = new Uint8Array(0);
  bytes = 0;

  /**
   * @param {ArrayBuffer} piece
   * @param {number} [expected] bytes that are known to follow, so that nothing is moved at the end
   */
  append(piece, expected = 0) {
    const bytes = this.bytes + piece.byteLength;
    if (bytes > this.#memory.length) this.#grow(bytes, expected);
    this.#memory.set(new Uint8Array(piece), this.bytes);
    this.bytes = bytes;
  }

  /** All of it, with a buffer of its own; nothing stays here. */
  take() {
    const { buffer } = this.#memory;
    const all = buffer.byteLength === this.bytes ? buffer : buffer.slice(0, this.bytes);
    this.#memory = new Uint8Array(0);
    this.bytes = 0;
    return all;
  }

  /**
   * @param {number} bytes that must have room
   * @param {number} expected
   */
  #grow(bytes, expected) {
    // Never more than twice of what came: a client may say that much more will.
    const doubled = Math.max(LEAST_BYTES, bytes, 2 * this.#memory.length);
    const memory = new Uint8Array(
      expected > 0 ? Math.max(bytes, Math.min(doubled, bytes + expected)) : doubled,
    );
    memory.set(this.#memory.subarray(0, this.bytes));
    this.#memory = memory;
  }
}

module.exports = { Gathered };
