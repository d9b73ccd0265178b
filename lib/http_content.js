'use strict';

/**
 * The content of a request on its way to the application. The gate tells only as many bytes as were
 * granted here, and they are granted as the application takes them: what it does not ask for, or pauses,
 * stays in the kernel, and TCP makes the client wait. Made when somebody asks for content.
 */

const { Gathered } = require('./gathered');

/** Taken once: applications replace the global one where they test with scripted time. */
const { queueMicrotask } = globalThis;

/** Bytes that may be on their way here, or wait here while the application pauses. */
const WINDOW_BYTES = 256 * 1024;

/** From so many bytes on that were consumed, the gate may tell as many more. */
const GRANT_BYTES = WINDOW_BYTES / 4;

/** How much may still come of content that is sent in chunks, whose length nobody knows (RFC 9112 §7.1). */
const UNKNOWN_LENGTH = 2n ** 64n - 1n;

/** @typedef {(chunk: ArrayBuffer, isLast: boolean) => void} Consumer */

class HttpContent {
  #exchange;
  #index;
  /** Bytes that were not delivered yet; null: nobody knows. */
  #remaining;
  /** @type {Consumer | null} */
  #consumer = null;
  /** What came and was not delivered. */
  #waiting = new Gathered();
  /** Whether the last of it came, and whether it was delivered. */
  #complete = false;
  #delivered = false;
  #paused = false;
  /** Whether the first bytes were granted. */
  #begun = false;
  /** Bytes that were delivered and not granted again. */
  #consumed = 0;

  /**
   * @param {import('./http_response').Exchange} exchange
   * @param {number} index
   * @param {import('./http_request').HttpRequest} request
   */
  constructor(exchange, index, request) {
    this.#exchange = exchange;
    this.#index = index;
    this.#remaining = lengthOf(request);
  }

  /** Bytes that were not delivered yet, at most. */
  get maxRemaining() {
    if (this.#delivered) return 0n;
    return this.#remaining === null ? UNKNOWN_LENGTH : BigInt(this.#remaining);
  }

  /** @param {Consumer} consumer replaces the one before */
  consume(consumer) {
    this.#consumer = consumer;
    this.#grant();
    this.#deliverSoon();
  }

  /**
   * Gathers all of it.
   * @param {number} most bytes
   * @param {(body: ArrayBuffer | null) => void} callback gets null as soon as it is clear that there is more
   */
  collect(most, callback) {
    if (this.#remaining !== null && this.#remaining > most) {
      // Nothing of it need come. The callback is never called before `collectBody` has returned.
      queueMicrotask(() => {
        if (this.#index >= 0) this.#call(() => callback(null));
      });
      return;
    }
    const gathered = new Gathered();
    this.consume((chunk, isLast) => {
      if (gathered.bytes + chunk.byteLength > most) {
        // What follows is left where it is.
        this.#consumer = null;
        gathered.take();
        callback(null);
      } else if (isLast && gathered.bytes === 0) {
        callback(chunk);
      } else {
        gathered.append(chunk, this.#remaining ?? 0);
        if (isLast) callback(gathered.take());
      }
    });
  }

  pause() {
    this.#paused = true;
  }

  resume() {
    this.#paused = false;
    this.#grant();
    this.#deliverSoon();
  }

  /**
   * The gate told.
   * @param {ArrayBuffer} chunk
   * @param {boolean} isLast
   */
  arrived(chunk, isLast) {
    this.#complete = isLast;
    if (this.#waiting.bytes === 0 && this.#consumer !== null && !this.#paused) {
      this.#deliver(this.#consumer, chunk);
    } else this.#waiting.append(chunk);
  }

  /** The response is over. */
  close() {
    this.#index = -1;
    this.#consumer = null;
    this.#waiting = new Gathered();
  }

  /** Delivers what waits, not within the call that makes it possible. */
  #deliverSoon() {
    if (this.#hasNews()) {
      queueMicrotask(() => {
        const consumer = this.#consumer;
        if (this.#hasNews() && consumer !== null && !this.#paused) {
          this.#deliver(consumer, this.#waiting.take());
        }
      });
    }
  }

  #hasNews() {
    return this.#waiting.bytes > 0 || (this.#complete && !this.#delivered);
  }

  /**
   * @param {Consumer} consumer
   * @param {ArrayBuffer} chunk all that came
   */
  #deliver(consumer, chunk) {
    this.#consumed += chunk.byteLength;
    if (this.#remaining !== null) this.#remaining -= chunk.byteLength;
    this.#delivered = this.#complete;
    this.#call(() => consumer(chunk, this.#complete));
    this.#grant();
  }

  /** Lets the gate tell more, if somebody wants it. */
  #grant() {
    if (this.#index < 0 || this.#consumer === null || this.#paused || this.#complete) return;
    if (!this.#begun) {
      this.#begun = true;
      this.#exchange.grant(this.#index, WINDOW_BYTES);
    } else if (this.#consumed >= GRANT_BYTES) {
      this.#exchange.grant(this.#index, this.#consumed);
      this.#consumed = 0;
    }
  }

  /** @param {() => void} handler */
  #call(handler) {
    try {
      handler();
    } catch (error) {
      this.#exchange.report(error);
    }
  }
}

/**
 * How much content a request says that it has; null: it does not.
 * @param {import('./http_request').HttpRequest} request
 */
function lengthOf(request) {
  if (request.getHeader('transfer-encoding') !== '') return null;
  return Number.parseInt(request.getHeader('content-length') || '0', 10);
}

module.exports = { HttpContent };
