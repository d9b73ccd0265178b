'use strict';

/**
 * The layout of commands, as `src/bridge/command.rs` reads them; a test holds the two files against
 * each other. A command has a head of three words (generation << 16 | flags << 8 | kind; place of
 * the connection; length of the payload) and a payload padded to four bytes. The words are written
 * by typed arrays: all platforms that Node-API runs on here are little-endian.
 */

/** Bytes of a command's head. */
const COMMAND_HEAD_BYTES = 12;

/** Bytes of commands that are gathered before they cross to the reactor anyway. */
const BUFFER_BYTES = 128 * 1024;

/** Text up to this length is written by a loop, which costs less than a call into V8. */
const SHORT_TEXT_LENGTH = 16;

/** Bytes that one UTF-16 unit takes at most in UTF-8. */
const UNIT_BYTES = 3;

/**
 * Writes text as UTF-8 at an offset and returns the bytes written. Node's and Bun's buffers have the
 * bare function; `write` checks its arguments first.
 * @type {(this: Buffer, text: string, offset: number) => number}
 */
const utf8Write = /** @type {any} */ (Buffer.prototype).utf8Write ?? Buffer.prototype.write;

/** Commands of one reactor that have not crossed yet. The owner crosses them and sets `bytes` to 0. */
class CommandBuffer {
  constructor() {
    this.buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.words = new Uint32Array(this.buffer.buffer);
    /** Bytes written. */
    this.bytes = 0;
  }

  /**
   * Whether a command with so much payload fits behind those that are there.
   * @param {number} payloadBytes
   */
  hasRoom(payloadBytes) {
    return this.bytes + COMMAND_HEAD_BYTES + payloadBytes + 3 <= BUFFER_BYTES;
  }

  /**
   * Writes a command without payload, or one whose payload crosses beside the buffer.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   */
  writeBare(kind, flags, index, generation) {
    this.#head(kind, flags, index, generation, 0);
    this.bytes += COMMAND_HEAD_BYTES;
  }

  /**
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {Uint8Array} payload there is room for it
   */
  writeBytes(kind, flags, index, generation, payload) {
    const length = payload.length;
    this.#head(kind, flags, index, generation, length);
    this.buffer.set(payload, this.bytes + COMMAND_HEAD_BYTES);
    this.bytes += COMMAND_HEAD_BYTES + ((length + 3) & ~3);
  }

  /**
   * Writes a command whose payload is text with bytes behind it.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {string} text there is room for its UTF-8
   * @param {Uint8Array} bytes and for these
   */
  writeParts(kind, flags, index, generation, text, bytes) {
    const offset = this.bytes + COMMAND_HEAD_BYTES;
    const textBytes = this.#text(text, offset);
    this.buffer.set(bytes, offset + textBytes);
    const length = textBytes + bytes.length;
    this.#head(kind, flags, index, generation, length);
    this.bytes += COMMAND_HEAD_BYTES + ((length + 3) & ~3);
  }

  /**
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {string} text there is room for its UTF-8
   * @returns {number} bytes of the payload
   */
  writeText(kind, flags, index, generation, text) {
    const length = this.#text(text, this.bytes + COMMAND_HEAD_BYTES);
    this.#head(kind, flags, index, generation, length);
    this.bytes += COMMAND_HEAD_BYTES + ((length + 3) & ~3);
    return length;
  }

  /**
   * Writes a command whose payload is one or two numbers.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {number} first
   * @param {number} [second]
   */
  writeWords(kind, flags, index, generation, first, second) {
    const word = (this.bytes + COMMAND_HEAD_BYTES) >>> 2;
    const length = second === undefined ? 4 : 8;
    this.#head(kind, flags, index, generation, length);
    this.words[word] = first;
    if (second !== undefined) this.words[word + 1] = second;
    this.bytes += COMMAND_HEAD_BYTES + length;
  }

  /**
   * Writes a command whose payload is a number and a message.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {number} number
   * @param {string | Uint8Array} message there is room for it, and for the number
   */
  writeNumbered(kind, flags, index, generation, number, message) {
    const offset = this.bytes + COMMAND_HEAD_BYTES + 4;
    let length = message.length;
    if (typeof message === 'string') length = this.#text(message, offset);
    else this.buffer.set(message, offset);
    this.#head(kind, flags, index, generation, 4 + length);
    this.words[(this.bytes + COMMAND_HEAD_BYTES) >>> 2] = number;
    this.bytes += COMMAND_HEAD_BYTES + 4 + ((length + 3) & ~3);
  }

  /**
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {number} length
   */
  #head(kind, flags, index, generation, length) {
    const word = this.bytes >>> 2;
    this.words[word] = (generation << 16) | (flags << 8) | kind;
    this.words[word + 1] = index;
    this.words[word + 2] = length;
  }

  /**
   * @param {string} text
   * @param {number} offset
   */
  #text(text, offset) {
    const length = text.length;
    if (length > SHORT_TEXT_LENGTH) return utf8Write.call(this.buffer, text, offset);
    for (let at = 0; at < length; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 0x7f) return utf8Write.call(this.buffer, text, offset);
      this.buffer[offset + at] = unit;
    }
    return length;
  }
}

module.exports = {
  CommandBuffer,
  BUFFER_BYTES,
  COMMAND_HEAD_BYTES,
  UNIT_BYTES,

  SEND: 1,
  SEND_LARGE: 2,
  END: 3,
  TERMINATE: 4,
  RELEASE: 5,
  WATCH_DRAIN: 6,
  TERMINATE_ALL: 7,
  SUBSCRIBE: 8,
  UNSUBSCRIBE: 9,
  PUBLISH: 10,
  PUBLISH_LARGE: 11,
  SHUTDOWN: 12,
  ANSWER: 16,
  ANSWER_LARGE: 17,
  BEGIN: 18,
  BEGIN_LARGE: 19,
  CONTENT: 20,
  CONTENT_LARGE: 21,
  GRANT: 22,
  SERVER_NAME_LOOKED: 23,

  /** Of ANSWER: what the answer is. */
  ANSWER_RESPONSE: 0,
  ANSWER_UPGRADE: 1,
  ANSWER_YIELD: 2,
  ANSWER_CLOSE: 3,
  /** Of ANSWER_UPGRADE: no extension is wanted. */
  ANSWER_PLAIN: 0x10,

  /** Of SEND: the low four bits of the flags are the opcode (RFC 6455 §11.8). */
  OPCODE_MASK: 0xf,
  OPCODE_CONTINUATION: 0,
  OPCODE_TEXT: 1,
  OPCODE_BINARY: 2,
  OPCODE_PING: 9,
  /** Of SEND: the frame is the last of its message. Of CONTENT: nothing follows. */
  FLAG_FIN: 0x10,
  /** Of SEND: compress it, if that was agreed on with the client. */
  FLAG_COMPRESS: 0x20,
  /** Of TERMINATE: why, unless it is the application's wish. */
  /** Of CONTENT: the connection ends behind it. */
  FLAG_CLOSE: 0x20,
  FLAG_BACKPRESSURE: 1,
  /** The same, and of TERMINATE_ALL, which then ends those, too, that are closing. */
  FLAG_SHUTDOWN: 2,
};
