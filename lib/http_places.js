'use strict';

/**
 * The requests that wait for JavaScript, by the place that the gate gave them, with the addresses of
 * their clients. In pages, as connections are; a page that was needed once stays.
 */

const { addressOf } = require('./address');
const { PAGE_BITS, PAGE_LENGTH, PAGE_MASK } = require('./column');
const { ADDRESS_BYTES } = require('./events');

/** @typedef {import('./http_response').HttpResponse} HttpResponse */

/** Bytes of the longest address. */
const WIDE = 16;

class Page {
  constructor() {
    /** @type {(HttpResponse | null)[]} null: no request, or one that is over */
    this.responses = new Array(PAGE_LENGTH).fill(null);
    this.generations = new Uint16Array(PAGE_LENGTH);
    this.families = new Uint8Array(PAGE_LENGTH);
    this.ports = new Uint16Array(PAGE_LENGTH);
    this.addresses = new Uint8Array(PAGE_LENGTH * WIDE);
  }
}

class HttpPlaces {
  /** @type {Page[]} */
  #pages = [];

  /**
   * A request came.
   * @param {number} index
   * @param {number} tag of its event
   * @param {HttpResponse} response
   * @param {Buffer} slab
   * @param {number} offset of port and address
   */
  arrive(index, tag, response, slab, offset) {
    const number = index >>> PAGE_BITS;
    while (this.#pages.length <= number) this.#pages.push(new Page());
    const page = this.#pages[number];
    const at = index & PAGE_MASK;
    const family = (tag >>> 8) & 0xff;
    page.responses[at] = response;
    page.generations[at] = tag >>> 16;
    page.families[at] = family;
    page.ports[at] = slab[offset] | (slab[offset + 1] << 8);
    for (let byte = 0; byte < ADDRESS_BYTES[family]; byte++) {
      page.addresses[at * WIDE + byte] = slab[offset + 2 + byte];
    }
  }

  /**
   * The response that an event means; null if it is over here.
   * @param {number} index
   * @param {number} generation
   */
  find(index, generation) {
    const page = this.#pages[index >>> PAGE_BITS];
    if (page === undefined || page.generations[index & PAGE_MASK] !== generation) return null;
    return page.responses[index & PAGE_MASK];
  }

  /**
   * The request is over.
   * @param {number} index
   */
  leave(index) {
    this.#pages[index >>> PAGE_BITS].responses[index & PAGE_MASK] = null;
  }

  /** @param {number} index */
  generation(index) {
    return this.#pages[index >>> PAGE_BITS].generations[index & PAGE_MASK];
  }

  /** @param {number} index */
  remotePort(index) {
    return this.#pages[index >>> PAGE_BITS].ports[index & PAGE_MASK];
  }

  /** @param {number} index */
  remoteAddress(index) {
    const page = this.#pages[index >>> PAGE_BITS];
    const at = index & PAGE_MASK;
    const family = page.families[at];
    return addressOf(family, page.addresses.slice(at * WIDE, at * WIDE + ADDRESS_BYTES[family]));
  }

  /** Those that are not over. */
  *all() {
    for (const page of this.#pages) {
      for (const response of page.responses) {
        if (response !== null) yield response;
      }
    }
  }
}

module.exports = { HttpPlaces };
