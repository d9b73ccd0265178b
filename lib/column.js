'use strict';

/** A number for each place, 0 unless it was set: in pages, of which only those exist that were written to. */

const PAGE_BITS = 10;
const PAGE_LENGTH = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_LENGTH - 1;

class Column {
  /** @type {(Uint32Array | undefined)[]} */
  #pages = [];

  /** @param {number} place */
  at(place) {
    const page = this.#pages[place >>> PAGE_BITS];
    return page === undefined ? 0 : page[place & PAGE_MASK];
  }

  /**
   * @param {number} place
   * @param {number} value
   */
  set(place, value) {
    const number = place >>> PAGE_BITS;
    while (this.#pages.length <= number) this.#pages.push(undefined);
    this.#pages[number] ??= new Uint32Array(PAGE_LENGTH);
    this.#pages[number][place & PAGE_MASK] = value;
  }

  /** Bytes of the pages. */
  get bytes() {
    return this.#pages.reduce((sum, page) => sum + (page?.byteLength ?? 0), 0);
  }

  /** Gives all pages back but the first: every place is known to be 0 again. */
  shrink() {
    this.#pages.length = Math.min(this.#pages.length, 1);
  }
}

module.exports = { Column, PAGE_BITS, PAGE_LENGTH, PAGE_MASK };
