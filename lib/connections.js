'use strict';

/**
 * What JavaScript keeps for each connection of one reactor, by the place of its slot: the socket
 * object, and columns of numbers. In pages, so that growing never copies what is there; a page that
 * was needed once stays.
 */

const { addressOf } = require('./address');
const { PAGE_BITS, PAGE_LENGTH, PAGE_MASK } = require('./column');
const events = require('./events');

/** @typedef {import('./websocket').WebSocket} WebSocket */

/** What an array takes for an object in it. */
const REFERENCE_BYTES = 8;

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

  /** Bytes of its columns. */
  get bytes() {
    const numbers = [
      this.generations,
      this.flushes,
      this.unconfirmed,
      this.families,
      this.ports,
      this.addresses,
    ];
    const bytes = numbers.reduce(
      (sum, column) => sum + column.byteLength,
      this.wideAddresses?.byteLength ?? 0,
    );
    return bytes + PAGE_LENGTH * REFERENCE_BYTES;
  }
}

class Connections {
  constructor() {
    /** @type {Page[]} */
    this.pages = [];
  }

  /** Bytes of the pages, but for the sockets that are in them. */
  get bytes() {
    return this.pages.reduce((sum, page) => sum + page.bytes, 0);
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

  /**
   * Fills the columns of a connection, or a request, that an event tells of.
   * @param {number} index
   * @param {number} tag of the event
   * @param {Buffer} slab
   * @param {number} offset of port and address
   * @returns {number} the offset behind them
   */
  arrive(index, tag, slab, offset) {
    const page = this.grown(index);
    const at = index & PAGE_MASK;
    const family = (tag >>> 8) & 0xff;
    const bytes = events.ADDRESS_BYTES[family];
    const start = offset + 2;
    page.generations[at] = tag >>> 16;
    page.unconfirmed[at] = 0;
    page.families[at] = family;
    page.ports[at] = slab.readUInt16LE(offset);
    /** @type {Uint8Array} */
    let column = page.addresses;
    if (bytes === 16) column = page.wideAddresses ??= new Uint8Array(PAGE_LENGTH * 16);
    // Byte by byte: a view of them would cost the collector more than the socket does.
    for (let byte = 0; byte < bytes; byte++) column[at * bytes + byte] = slab[start + byte];
    return start + bytes;
  }

  /**
   * @param {number} index
   * @returns {ArrayBuffer} 4 or 16 bytes; an IPv4 peer of a dual-stack listener has 16
   */
  remoteAddress(index) {
    const page = this.page(index);
    const at = index & PAGE_MASK;
    const family = page.families[at];
    if (family !== events.FAMILY_V6) return addressOf(family, page.addresses.slice(at * 4, at * 4 + 4));
    const addresses = /** @type {Uint8Array<ArrayBuffer>} */ (page.wideAddresses);
    return addressOf(family, addresses.slice(at * 16, at * 16 + 16));
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
