'use strict';

/**
 * The commands of one lane on their way to its reactor: gathered, and handed over by the turn that
 * runs, behind the code that runs now, or when there is no room for more. A large payload crosses by
 * a call of its own, with the commands before it, so all keep the order of the calls.
 */

const { BUFFER_BYTES, CommandBuffer, PUBLISH, UNIT_BYTES } = require('./commands');
const { encoded } = require('./data');

/** Taken once: applications replace the global one where they test with scripted time. */
const { queueMicrotask } = globalThis;

/** From this length on a payload crosses by a call of its own: one copy less, for one call more. */
const LARGE_BYTES = 32 * 1024;

/** A kind whose payload crosses by itself is the one behind the kind whose payload lies in the record. */
const LARGE = 1;

class Outgoing {
  #native;
  #reactor;
  #commands = new CommandBuffer();
  /** Whether commands written now are handed over by the turn that runs. */
  turning = false;
  /** The number of the flush that is being gathered; signed, wrapping. */
  flushNumber = 1;
  /** The number of the flush that the latest message went into. */
  lastFlush = 0;

  /**
   * @param {any} native the addon's `Engine`
   * @param {number} reactor its number
   */
  constructor(native, reactor) {
    this.#native = native;
    this.#reactor = reactor;
    this.flushSoon = () => this.flush();
  }

  /** What is gathered, for a crossing that takes it along; `crossed` is called behind it. */
  get buffer() {
    return this.#commands.buffer;
  }

  /** Bytes that are gathered. */
  get bytes() {
    return this.#commands.bytes;
  }

  /** Hands over what is gathered. */
  flush() {
    if (this.#commands.bytes === 0) return;
    this.#native.push(this.#reactor, this.#commands.buffer, this.#commands.bytes);
    this.crossed();
  }

  /** What was gathered has been handed over. */
  crossed() {
    this.#commands.bytes = 0;
    this.flushNumber = (this.flushNumber + 1) | 0;
  }

  /**
   * Writes a command with a message.
   * @param {number} kind of a payload in the record; there is one for a large payload
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {string | Uint8Array} message
   * @returns {number} bytes of the payload
   */
  write(kind, flags, index, generation, message) {
    if (typeof message === 'string') {
      const room = message.length * UNIT_BYTES;
      if (room < LARGE_BYTES) {
        this.#makeRoom(room);
        this.lastFlush = this.flushNumber;
        return this.#commands.writeText(kind, flags, index, generation, message);
      }
    } else if (message.length < LARGE_BYTES) {
      this.#makeRoom(message.length);
      this.lastFlush = this.flushNumber;
      this.#commands.writeBytes(kind, flags, index, generation, message);
      return message.length;
    }
    this.writeBare(kind + LARGE, flags, index, generation);
    return this.#cross(encoded(message));
  }

  /**
   * Writes a command with text and bytes behind it.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   * @param {string} text
   * @param {Uint8Array} bytes
   */
  writeParts(kind, flags, index, generation, text, bytes) {
    const room = text.length * UNIT_BYTES + bytes.length;
    if (room >= BUFFER_BYTES / 2) {
      this.write(kind, flags, index, generation, Buffer.concat([Buffer.from(text), bytes]));
      return;
    }
    this.#makeRoom(room);
    this.#commands.writeParts(kind, flags, index, generation, text, bytes);
  }

  /**
   * Writes a message to all subscribers of a topic.
   * @param {number} topic
   * @param {number} flags
   * @param {number} index the place of a connection that does not get it
   * @param {number} generation
   * @param {string | Uint8Array} message
   */
  writePublish(topic, flags, index, generation, message) {
    const room = typeof message === 'string' ? message.length * UNIT_BYTES : message.length;
    if (room < LARGE_BYTES) {
      this.#makeRoom(room + 4);
      this.#commands.writeNumbered(PUBLISH, flags, index, generation, topic, message);
      return;
    }
    this.#makeRoom(4);
    this.#commands.writeWords(PUBLISH + LARGE, flags, index, generation, topic);
    this.#cross(encoded(message));
  }

  /**
   * Writes a command without payload.
   * @param {number} kind
   * @param {number} flags
   * @param {number} index
   * @param {number} generation
   */
  writeBare(kind, flags, index, generation) {
    this.#makeRoom(0);
    this.#commands.writeBare(kind, flags, index, generation);
  }

  /**
   * Writes a command whose payload is one or two numbers.
   * @param {number} kind
   * @param {number} index
   * @param {number} generation
   * @param {number} first
   * @param {number} [second]
   */
  writeWords(kind, index, generation, first, second) {
    this.#makeRoom(8);
    this.#commands.writeWords(kind, 0, index, generation, first, second);
  }

  /**
   * Hands over what is gathered, and the payload of the command at its end.
   * @param {Uint8Array} payload
   */
  #cross(payload) {
    this.lastFlush = this.flushNumber;
    this.#native.sendLarge(this.#reactor, this.#commands.buffer, this.#commands.bytes, payload);
    this.crossed();
    return payload.length;
  }

  /**
   * Makes room for a command, and sees to it that it will be handed over.
   * @param {number} payloadBytes
   */
  #makeRoom(payloadBytes) {
    if (!this.#commands.hasRoom(payloadBytes)) this.flush();
    if (this.#commands.bytes === 0 && !this.turning) queueMicrotask(this.flushSoon);
  }
}

module.exports = { Outgoing, LARGE_BYTES };
