'use strict';

/**
 * What happens, in the order in which it happened, for a test that waits for it. A test that waits
 * for what never comes is ended by its own time limit.
 */

class Queue {
  #values = [];
  #waiting = [];

  /** Everything that was pushed, taken or not. */
  all = [];

  push(value) {
    this.all.push(value);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#values.push(value);
  }

  /** The next value that nobody has taken. */
  next() {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next `count` values. */
  async take(count) {
    const values = [];
    while (values.length < count) values.push(await this.next());
    return values;
  }
}

module.exports = { Queue };
