'use strict';

/**
 * What crosses between JavaScript and one native thread: batches of events in, commands out. A lane is
 * one of these that knows what its events mean.
 *
 * A turn takes one batch (`exchange`, which hands over the commands gathered so far as well) and
 * handles its events. What handlers throw goes to `uncaughtException`, and the turn goes on behind it.
 */

const events = require('./events');
const { allocateSlab, isView, viewOf } = require('./data');
const { Outgoing } = require('./outgoing');

const { ABORTED, CLOSE, DESCRIPTOR_WORDS, DRAIN_EVENTS, DRAIN_PAYLOAD_BYTES, FAILED } = events;

/** Words of the descriptors of one drain. */
const BATCH_WORDS = DRAIN_EVENTS * DESCRIPTOR_WORDS;

/** After so many events the clock is looked at; a power of two. */
const CLOCK_EVENTS = 8;

class Crossing {
  #descriptors = new Uint32Array(BATCH_WORDS + events.TRAILER_WORDS);
  /** Payloads of the batches. A byte that a handler may have kept is never written again. */
  #slab = allocateSlab(DRAIN_PAYLOAD_BYTES);
  #memory = /** @type {ArrayBuffer} */ (this.#slab.buffer);
  #slabBytes = 0;
  /** Whether a handler may have kept a view of the slab. If none has, its bytes are free again. */
  #lent = false;
  /** Events of the batch, and those of them that were begun. */
  #count = 0;
  #position = 0;
  /** Since when microtasks have not run: the first such event of the batch, and whether a batch before has some. */
  #unsettled = 0;
  #hasUnsettled = false;

  /**
   * @param {any} native the addon's `Engine`
   * @param {number} number of the lane
   */
  constructor(native, number) {
    this.native = native;
    this.number = number;
    this.outgoing = new Outgoing(native, number);
    /** Connections and requests that JavaScript has not released. */
    this.live = 0;
    /** Whether more events waited when the last batch was taken. */
    this.more = false;
    /** Whether the next event waits for microtasks to run. */
    this.mustSettle = false;
  }

  /** Microtasks have run since the last turn, and what was left to `process.nextTick`. */
  settle() {
    this.#unsettled = this.#position;
    this.#hasUnsettled = false;
    this.mustSettle = false;
  }

  /**
   * Takes a batch, unless one is begun, and calls its handlers.
   * @param {number} most events that may be handled
   * @param {number} deadline by `performance.now()`, after which no other is begun
   * @returns {number} events that were handled
   */
  turn(most, deadline) {
    if (this.#position === this.#count) this.#take();
    const first = this.#position;
    const end = Math.min(this.#count, first + most);
    this.outgoing.turning = true;
    while (this.#position < end) {
      try {
        if (this.#dispatch(end, deadline)) break;
      } catch (error) {
        this.native.report(error);
      }
    }
    this.outgoing.turning = false;
    return this.#position - first;
  }

  /** Whether a turn would find nothing to do that this side knows of. */
  get isIdle() {
    return this.#position === this.#count && !this.more && this.outgoing.bytes === 0;
  }

  /** Hands the gathered commands over without taking events. */
  flush() {
    this.outgoing.flush();
  }

  /** Bytes of the buffers that cross. */
  get bufferBytes() {
    return this.#descriptors.byteLength + this.#slab.length + this.outgoing.buffer.length;
  }

  /** The payloads of the batch. Nothing of it may be kept, except by `view`. */
  get slab() {
    return this.#slab;
  }

  /**
   * Part of the batch's payloads as a handler gets it.
   * @param {number} kind
   * @param {number} offset
   * @param {number} length
   */
  view(kind, offset, length) {
    if (isView(kind)) this.#lent = true;
    return viewOf(kind, this.#slab, this.#memory, offset, length);
  }

  /**
   * Handles one event.
   * @param {number} _index place of the connection
   * @param {number} _tag
   * @param {number} _offset of the payload, or an amount
   * @param {number} _length
   */
  handle(_index, _tag, _offset, _length) {
    throw new Error('Each lane has its own.');
  }

  /** The crossing: commands out, a batch of events in. */
  #take() {
    const pending = this.outgoing.bytes;
    // A handler has transferred it away.
    if (this.#slab.length === 0) this.#renewSlab();
    if (!this.#lent) this.#slabBytes = 0;
    if (this.#position > this.#unsettled) this.#hasUnsettled = true;
    this.#position = 0;
    this.#unsettled = 0;
    this.#count = this.#exchange(pending);
    if (pending > 0) this.outgoing.crossed();
    if (this.#count === 0 && this.more) {
      // The rest of the slab is too small for the next batch.
      this.#renewSlab();
      this.#count = this.#exchange(0);
    }
  }

  /** Whoever has views of the old one keeps it. */
  #renewSlab() {
    this.#slab = allocateSlab(DRAIN_PAYLOAD_BYTES);
    this.#memory = /** @type {ArrayBuffer} */ (this.#slab.buffer);
    this.#slabBytes = 0;
    this.#lent = false;
  }

  /** @param {number} commandBytes */
  #exchange(commandBytes) {
    const descriptors = this.#descriptors;
    const count = this.native.exchange(
      this.number,
      this.outgoing.buffer,
      commandBytes,
      descriptors,
      this.#slab,
      this.#slabBytes,
    );
    this.#slabBytes += descriptors[BATCH_WORDS];
    this.more = descriptors[BATCH_WORDS + 1] !== 0;
    return count;
  }

  /**
   * Calls the handlers of the events from the position to `end`.
   * @param {number} end
   * @param {number} deadline
   * @returns {boolean} whether time ran out, or the next event has to wait
   */
  #dispatch(end, deadline) {
    const descriptors = this.#descriptors;
    const first = this.#position;
    for (let event = first; event < end; event++) {
      const timely = (event & (CLOCK_EVENTS - 1)) !== 0 || event === first || performance.now() <= deadline;
      if (!timely) return true;
      const word = event * DESCRIPTOR_WORDS;
      const kind = descriptors[word + 1] & 0xff;
      if ((kind === CLOSE || kind === ABORTED || kind === FAILED) && this.#isUnsettled(event)) {
        this.mustSettle = true;
        return true;
      }
      // Moved before the call: behind a handler that throws, the next event comes.
      this.#position = event + 1;
      this.handle(descriptors[word], descriptors[word + 1], descriptors[word + 2], descriptors[word + 3]);
    }
    return false;
  }

  /**
   * Whether a handler of the same connection or request may have left something to microtasks that have not run.
   * Its end waits for them: a library that takes messages apart behind an `await` has them all before it.
   * @param {number} event which ends it
   */
  #isUnsettled(event) {
    if (this.#hasUnsettled) return true;
    const descriptors = this.#descriptors;
    const index = descriptors[event * DESCRIPTOR_WORDS];
    // A failure is the end of all.
    if ((descriptors[event * DESCRIPTOR_WORDS + 1] & 0xff) === FAILED) return event > this.#unsettled;
    for (let before = event - 1; before >= this.#unsettled; before--) {
      if (descriptors[before * DESCRIPTOR_WORDS] === index) return true;
    }
    return false;
  }
}

module.exports = { Crossing };
