'use strict';

// One line that says how the run stands: rewritten with each row on a terminal, else a new one now and then.
// Used by million.js and soak.js.

/** Where there is no terminal, a line after so many seconds. */
const LINE_SECONDS = 10;

/** Shows rows as they come. */
class Progress {
  #describe;
  #out;
  #last = /** @type {Record<string, any> | undefined} */ (undefined);
  #shown = Number.NEGATIVE_INFINITY;
  #phase = '';

  /**
   * @param {(row: Record<string, any>, last: Record<string, any> | undefined) => string} describe makes the line
   *   of a row and the one before; the row has at least `second` and `phase`
   * @param {NodeJS.WriteStream} out
   */
  constructor(describe, out = process.stdout) {
    this.#describe = describe;
    this.#out = out;
  }

  /** @param {Record<string, any>} row */
  show(row) {
    const line = this.#describe(row, this.#last);
    this.#last = row;
    if (this.#out.isTTY) {
      this.#out.write(`\r${line.slice(0, this.#out.columns - 1)}\x1b[K`);
    } else if (row.phase !== this.#phase || row.second - this.#shown >= LINE_SECONDS - 0.5) {
      this.#shown = row.second;
      this.#phase = row.phase;
      this.#out.write(`${line}\n`);
    }
  }

  /** Ends the line, so that something else can be written. */
  end() {
    if (this.#out.isTTY) this.#out.write('\n');
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** @param {number} value */
function number(value) {
  return Math.round(value).toLocaleString('en-US');
}

module.exports = { Progress, clock, number };
