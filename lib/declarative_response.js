'use strict';

/**
 * A response that is described once, and then given by the engine's threads without JavaScript. What is
 * described becomes instructions, which `src/http/declared.rs` reads: opcode (one byte), length (two
 * bytes, little-endian), as many bytes.
 */

const { encoded } = require('./data');
const errors = require('./errors');
const { textOf } = require('./http_request');
const { checkField, isToken, statusOf } = require('./response_head');

const HEADER = 1;
const BYTES = 2;
const QUERY_VALUE = 3;
const HEADER_VALUE = 4;
const PARAMETER_VALUE = 5;
const CONTENT = 6;
const STATUS = 7;

/** Most bytes of one instruction. */
const INSTRUCTION_BYTES = 0xffff;

/** @type {(value: unknown) => Uint8Array | null} */
let instructionsOf;

class DeclarativeResponse {
  /** @type {Uint8Array[]} */
  #instructions = [];
  #status = '';
  #ended = false;

  static {
    instructionsOf = (value) => {
      const isDeclared = typeof value === 'object' && value !== null && #ended in value;
      if (!isDeclared || !(/** @type {DeclarativeResponse} */ (value).#ended)) return null;
      const declared = /** @type {DeclarativeResponse} */ (value);
      const status = declared.#status === '' ? [] : record(STATUS, Buffer.from(declared.#status));
      return Buffer.concat([...status, ...declared.#instructions]);
    };
  }

  /**
   * The first call counts.
   * @param {unknown} status '404 Not Found'; 200 without it
   */
  writeStatus(status) {
    const text = statusOf(textOf(status));
    if (text.startsWith('1')) throw errors.invalidStatus(text);
    this.#open();
    this.#status ||= text;
    return this;
  }

  /**
   * @param {unknown} key
   * @param {unknown} value
   */
  writeHeader(key, value) {
    const [name, text] = [textOf(key), textOf(value)];
    checkField(name, text);
    return this.#append(HEADER, Buffer.from(`${name}\0${text}`));
  }

  /** Writes the content of the request. */
  writeBody() {
    return this.#append(CONTENT, new Uint8Array(0));
  }

  /** @param {unknown} key of the query */
  writeQueryValue(key) {
    return this.#append(QUERY_VALUE, encoded(key));
  }

  /** @param {unknown} key of a header field of the request */
  writeHeaderValue(key) {
    const name = textOf(key).toLowerCase();
    if (!isToken(name)) throw errors.invalidHeader('The name of a header field', name);
    return this.#append(HEADER_VALUE, Buffer.from(name));
  }

  /** @param {unknown} key of the route's pattern */
  writeParameterValue(key) {
    return this.#append(PARAMETER_VALUE, encoded(key));
  }

  /** @param {unknown} value */
  write(value) {
    const bytes = encoded(value);
    this.#open();
    for (let at = 0; at < bytes.length; at += INSTRUCTION_BYTES) {
      this.#append(BYTES, bytes.subarray(at, at + INSTRUCTION_BYTES));
    }
    return this;
  }

  /**
   * Nothing more is written: the response can be passed to a route.
   * @param {unknown} [value] written before
   */
  end(value) {
    this.write(value);
    this.#ended = true;
    return this;
  }

  /**
   * @param {number} opcode
   * @param {Uint8Array} bytes
   */
  #append(opcode, bytes) {
    this.#open();
    if (bytes.length > INSTRUCTION_BYTES) {
      const accepted = `at most ${INSTRUCTION_BYTES} bytes long`;
      throw errors.outOfRange('A name or a header field of a DeclarativeResponse', accepted, bytes.length);
    }
    this.#instructions.push(...record(opcode, bytes));
    return this;
  }

  #open() {
    if (this.#ended) throw errors.declared();
  }
}

/**
 * @param {number} opcode
 * @param {Uint8Array} bytes
 */
function record(opcode, bytes) {
  // A copy: the application may write into its memory afterwards.
  return [Uint8Array.of(opcode, bytes.length & 0xff, bytes.length >>> 8), new Uint8Array(bytes)];
}

module.exports = { DeclarativeResponse, instructionsOf };
