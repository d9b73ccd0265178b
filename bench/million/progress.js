'use strict';

// One line that says how the run stands: rewritten each second on a terminal, else a new one now and then.

/** Where there is no terminal, a line after so many seconds. */
const LINE_SECONDS = 10;

/** Shows rows as they come. */
class Progress {
  #connections;
  #out;
  #last = /** @type {Record<string, any>} */ ({ second: 0, answers: 0 });
  #shown = Number.NEGATIVE_INFINITY;
  #phase = '';

  /**
   * @param {number} connections how many there shall be
   * @param {NodeJS.WriteStream} out
   */
  constructor(connections, out = process.stdout) {
    this.#connections = connections;
    this.#out = out;
  }

  /** @param {Record<string, any>} row */
  show(row) {
    const line = this.#line(row);
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

  /** @param {Record<string, any>} row */
  #line(row) {
    const seconds = Math.max(0.001, row.second - this.#last.second);
    return [
      `${row.phase.padEnd(6)} ${clock(row.second)}`,
      `${number(row.open)}/${number(this.#connections)} open`,
      `${number(row.lost + row.refused)} lost`,
      `${number(row.late)} late`,
      `${number((row.answers - this.#last.answers) / seconds)} msg/s`,
      `${(row.residentBytes / 1e6).toFixed(1)} MB`,
      `${((row.cpuUser + row.cpuSystem) * 100).toFixed(0)} % CPU`,
    ].join('  ');
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

module.exports = { Progress };
