'use strict';

/**
 * Text and data as applications pass it (`RecognizedString`), and as handlers get it
 * (`binaryType`, `textType`).
 */

const { isAnyArrayBuffer } = require('node:util').types;
const { markAsUntransferable } = require('node:worker_threads');
const errors = require('./errors');

const EMPTY = new Uint8Array(0);

/** A Buffer made without Buffer's own checks: half the time of `Buffer.from(arrayBuffer, …)`. */
class FastBuffer extends Uint8Array {}
Object.setPrototypeOf(FastBuffer.prototype, Buffer.prototype);

/** How a handler gets data, as a number that the message path can switch on. */
const AS_ARRAYBUFFER = 0;
const AS_NODEBUFFER = 1;
const AS_UINT8ARRAY = 2;
const AS_STRING = 3;

const KINDS = {
  arraybuffer: AS_ARRAYBUFFER,
  nodebuffer: AS_NODEBUFFER,
  uint8array: AS_UINT8ARRAY,
  string: AS_STRING,
};

/**
 * Text of UTF-8 bytes. Node's and Bun's buffers have the bare function; `toString` checks first.
 * @type {(this: Buffer, start: number, end: number) => string}
 */
const utf8Slice =
  /** @type {any} */ (Buffer.prototype).utf8Slice ??
  /** @this {Buffer} @param {number} start @param {number} end */
  function utf8Slice(start, end) {
    return this.toString('utf8', start, end);
  };

/**
 * Memory of batches. Handlers get views of it: one that transfers its view's buffer to a worker would
 * take away what others have, so it is marked as Node marks the pool of its own buffers.
 * @param {number} bytes
 */
function allocateSlab(bytes) {
  const memory = Buffer.allocUnsafeSlow(bytes);
  try {
    markAsUntransferable(memory.buffer);
  } catch {
    // Bun has no such mark.
  }
  return memory;
}

/**
 * Whether data of this kind shares the memory of its batch, rather than being a copy.
 * @param {number} kind
 */
function isView(kind) {
  return kind === AS_NODEBUFFER || kind === AS_UINT8ARRAY;
}

/**
 * Part of a batch as a handler gets it.
 * @param {number} kind
 * @param {Buffer} slab
 * @param {ArrayBuffer} memory of the slab: to ask a Buffer for it takes as long as to make a view
 * @param {number} offset
 * @param {number} length
 * @returns {any}
 */
function viewOf(kind, slab, memory, offset, length) {
  switch (kind) {
    case AS_NODEBUFFER:
      return new FastBuffer(memory, offset, length);
    case AS_ARRAYBUFFER:
      return copyOf(memory, offset, length);
    case AS_UINT8ARRAY:
      return new Uint8Array(memory, offset, length);
    default:
      return utf8Slice.call(slab, offset, offset + length);
  }
}

/**
 * Part of a batch with a buffer of its own, in two thirds of the time of `memory.slice(…)`.
 * @param {ArrayBuffer} memory
 * @param {number} offset
 * @param {number} length
 */
function copyOf(memory, offset, length) {
  const copy = new ArrayBuffer(length);
  // Most reasons of closed connections are empty: those leave the collector no views.
  if (length !== 0) new Uint8Array(copy).set(new Uint8Array(memory, offset, length));
  return copy;
}

/**
 * A payload with a buffer of its own as a handler gets it.
 * @param {number} kind
 * @param {ArrayBuffer} payload
 * @returns {any}
 */
function wholeOf(kind, payload) {
  switch (kind) {
    case AS_NODEBUFFER:
      return new FastBuffer(payload);
    case AS_ARRAYBUFFER:
      return payload;
    case AS_UINT8ARRAY:
      return new Uint8Array(payload);
    default:
      return utf8Slice.call(/** @type {any} */ (new FastBuffer(payload)), 0, payload.byteLength);
  }
}

/**
 * A copy of bytes as a handler gets data.
 * @param {number} kind
 * @param {Uint8Array} bytes
 */
function ownCopy(kind, bytes) {
  // Not `bytes.slice()`: of a Buffer, that is a view of memory that it shares with others.
  return wholeOf(kind, new Uint8Array(bytes).buffer);
}

/**
 * Whether data is bytes in one of the forms that are accepted.
 * @param {unknown} data
 * @returns {data is ArrayBuffer | SharedArrayBuffer | ArrayBufferView}
 */
function isBytes(data) {
  // A buffer of another realm, such as a test runner's, is no instance of this one's classes.
  return ArrayBuffer.isView(data) || isAnyArrayBuffer(data);
}

/**
 * The bytes of data that is no string, without a copy. `undefined` is empty.
 * @param {unknown} data
 * @returns {Uint8Array}
 */
function bytesOf(data) {
  // A view whose buffer was transferred has no length either.
  if (data instanceof Uint8Array && data.length > 0) return data;
  if (data === undefined) return EMPTY;
  // Asked first: whether it is one of another realm costs a native call.
  if (!(data instanceof ArrayBuffer) && !isBytes(data)) throw errors.textOrData();
  try {
    if (!ArrayBuffer.isView(data)) return new Uint8Array(data);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } catch {
    throw errors.detached();
  }
}

/**
 * Text that was given as bytes, as all text may be. Anything else comes back as it is.
 * @param {unknown} value
 */
function textGiven(value) {
  return isBytes(value) ? Buffer.from(bytesOf(value)).toString() : value;
}

/**
 * The bytes of text or data; text as UTF-8.
 * @param {unknown} data
 * @returns {Uint8Array}
 */
function encoded(data) {
  return typeof data === 'string' ? Buffer.from(data) : bytesOf(data);
}

module.exports = { KINDS, allocateSlab, isView, viewOf, wholeOf, ownCopy, bytesOf, textGiven, encoded };
