'use strict';

/**
 * What JavaScript keeps for each connection of one reactor, by the place of its slot: the socket
 * object, and columns of numbers. In pages, so that growing never copies what is there; a page that
 * was needed once stays.
 */

const PAGE_BITS = 10;
const PAGE_LENGTH = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_LENGTH - 1;

/** @typedef {import('./websocket').WebSocket} WebSocket */

class Page {
  constructor() {
    /** @type {(WebSocket | null)[]} null: no connection, or one that is closing */
    this.sockets = new Array(PAGE_LENGTH).fill(null);
    /** Of the slot, as its OPEN event told. */
    this.generations = new Uint16Array(PAGE_LENGTH);
    /** The flush that the last send went into. */
    this.flushes = new Int32Array(PAGE_LENGTH);
    /** Bytes sent since the flush that the reactor had carried out. */
    this.unconfirmed = new Uint32Array(PAGE_LENGTH);
    this.families = new Uint8Array(PAGE_LENGTH);
    this.ports = new Uint16Array(PAGE_LENGTH);
    /** Four bytes each: IPv4, also as it is mapped into IPv6. */
    this.addresses = new Uint8Array(PAGE_LENGTH * 4);
    /** @type {Uint8Array | null} Sixteen bytes each, from the first IPv6 peer on. */
    this.wideAddresses = null;
  }
}

class Connections {
  constructor() {
    /** @type {Page[]} */
    this.pages = [];
  }

  /**
   * The page of a place that an event named.
   * @param {number} index
   */
  page(index) {
    return this.pages[index >>> PAGE_BITS];
  }

  /**
   * The page of a place that may be the first of its page.
   * @param {number} index
   */
  grown(index) {
    const number = index >>> PAGE_BITS;
    while (this.pages.length <= number) this.pages.push(new Page());
    return this.pages[number];
  }

  /** @returns {Generator<WebSocket>} */
  *open() {
    for (const page of this.pages) {
      for (const socket of page.sockets) {
        if (socket !== null) yield socket;
      }
    }
  }
}

module.exports = { Connections, PAGE_MASK };
