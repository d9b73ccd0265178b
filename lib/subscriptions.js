'use strict';

/**
 * Which connections of one reactor hold which topics, in typed arrays: 20 bytes for a subscription,
 * and 4 to 8 to find it. Each has a number, which its reactor knows it by, too.
 *
 * The subscriptions of a connection form a list, and all of them a hash table, which grows by one
 * bucket at a time (linear hashing): to subscribe, unsubscribe and ask takes constant time, with no
 * pause for a copy, whatever the number of topics of a connection or of subscribers of a topic.
 */

const { Column, PAGE_BITS, PAGE_LENGTH, PAGE_MASK } = require('./column');

/** Buckets of an empty table: a page of them. */
const LEAST_BUCKETS = PAGE_LENGTH;

/** The words of a subscription: whose it is, of what, and its neighbours by number + 1, where 0 is none. */
const CONNECTION = 0;
const TOPIC = 1;
/** In the list of the connection. Of a vacant one: the next vacant one. */
const NEXT = 2;
const PREVIOUS = 3;
/** In the bucket. */
const CHAIN = 4;
const WORDS = 5;

class Subscriptions {
  /** @type {Uint32Array[]} */
  #pages = [];
  /** Of each connection the first of its list, + 1. */
  #firsts = new Column();
  /** Of each bucket the first of its chain, + 1. */
  #buckets = new Column();
  #bucketCount = LEAST_BUCKETS;
  /** Numbers in use lie below it. */
  #next = 0;
  /** The latest number that was given back, + 1. */
  #vacant = 0;
  /** Subscriptions. */
  size = 0;

  /** Bytes of the pages. */
  get bytes() {
    const own = this.#pages.reduce((sum, page) => sum + page.byteLength, 0);
    return own + this.#firsts.bytes + this.#buckets.bytes;
  }

  /**
   * Adds a subscription that is not there, and returns its number.
   * @param {number} connection
   * @param {number} topic
   */
  add(connection, topic) {
    this.size++;
    if (this.size > this.#bucketCount) this.#grow();
    const id = this.#take();
    const page = this.#pages[id >>> PAGE_BITS];
    const at = (id & PAGE_MASK) * WORDS;

    const next = this.#firsts.at(connection);
    this.#firsts.set(connection, id + 1);
    if (next !== 0) this.#write(next - 1, PREVIOUS, id + 1);

    const bucket = this.#bucket(connection, topic);
    page[at + CONNECTION] = connection;
    page[at + TOPIC] = topic;
    page[at + NEXT] = next;
    page[at + PREVIOUS] = 0;
    page[at + CHAIN] = this.#buckets.at(bucket);
    this.#buckets.set(bucket, id + 1);
    return id;
  }

  /**
   * The number of a subscription; -1: there is none.
   * @param {number} connection
   * @param {number} topic
   */
  find(connection, topic) {
    let link = this.#buckets.at(this.#bucket(connection, topic));
    while (link !== 0) {
      const page = this.#pages[(link - 1) >>> PAGE_BITS];
      const at = ((link - 1) & PAGE_MASK) * WORDS;
      if (page[at + CONNECTION] === connection && page[at + TOPIC] === topic) break;
      link = page[at + CHAIN];
    }
    return link - 1;
  }

  /**
   * The newest subscription of a connection; -1: it has none.
   * @param {number} connection
   */
  first(connection) {
    return this.#firsts.at(connection) - 1;
  }

  /**
   * The one before it of the same connection; -1: there is none.
   * @param {number} id
   */
  next(id) {
    return this.#read(id, NEXT) - 1;
  }

  /** @param {number} id */
  topic(id) {
    return this.#read(id, TOPIC);
  }

  /**
   * Takes a subscription out.
   * @param {number} id
   */
  remove(id) {
    const connection = this.#read(id, CONNECTION);
    const next = this.#read(id, NEXT);
    const previous = this.#read(id, PREVIOUS);
    if (next !== 0) this.#write(next - 1, PREVIOUS, previous);
    if (previous !== 0) this.#write(previous - 1, NEXT, next);
    else this.#firsts.set(connection, next);
    this.#unchain(id, this.#bucket(connection, this.#read(id, TOPIC)));
    this.#write(id, NEXT, this.#vacant);
    this.#vacant = id + 1;
    this.size--;
    if (this.size === 0) this.#clear();
  }

  /** A number: one that was given back, or the next new one, as the reactor expects. */
  #take() {
    if (this.#vacant !== 0) {
      const id = this.#vacant - 1;
      this.#vacant = this.#read(id, NEXT);
      return id;
    }
    const id = this.#next++;
    if (id >>> PAGE_BITS === this.#pages.length) this.#pages.push(new Uint32Array(PAGE_LENGTH * WORDS));
    return id;
  }

  /** Behind the last subscription numbers begin anew, on the reactor's side as well; one page of each stays. */
  #clear() {
    this.#pages.length = 1;
    this.#firsts.shrink();
    this.#buckets.shrink();
    this.#bucketCount = LEAST_BUCKETS;
    this.#next = 0;
    this.#vacant = 0;
  }

  /** Adds a bucket, and shares the chain of an older one with it. */
  #grow() {
    const added = this.#bucketCount++;
    const shared = added - highestBit(added);
    let link = this.#buckets.at(shared);
    this.#buckets.set(shared, 0);
    while (link !== 0) {
      const id = link - 1;
      link = this.#read(id, CHAIN);
      const bucket = this.#bucket(this.#read(id, CONNECTION), this.#read(id, TOPIC));
      this.#write(id, CHAIN, this.#buckets.at(bucket));
      this.#buckets.set(bucket, id + 1);
    }
  }

  /**
   * @param {number} connection
   * @param {number} topic
   */
  #bucket(connection, topic) {
    const hash = mixed(connection, topic);
    const count = this.#bucketCount;
    const high = highestBit(count);
    // Buckets are shared in order: those that were, since their number last doubled, have one bit more.
    const bucket = hash & (2 * high - 1);
    return bucket < count ? bucket : bucket & (high - 1);
  }

  /**
   * @param {number} id
   * @param {number} bucket
   */
  #unchain(id, bucket) {
    const behind = this.#read(id, CHAIN);
    let link = this.#buckets.at(bucket);
    if (link === id + 1) {
      this.#buckets.set(bucket, behind);
      return;
    }
    while (this.#read(link - 1, CHAIN) !== id + 1) link = this.#read(link - 1, CHAIN);
    this.#write(link - 1, CHAIN, behind);
  }

  /**
   * @param {number} id
   * @param {number} word
   */
  #read(id, word) {
    return this.#pages[id >>> PAGE_BITS][(id & PAGE_MASK) * WORDS + word];
  }

  /**
   * @param {number} id
   * @param {number} word
   * @param {number} value
   */
  #write(id, word, value) {
    this.#pages[id >>> PAGE_BITS][(id & PAGE_MASK) * WORDS + word] = value;
  }
}

/** @param {number} value below 2 ** 30 */
function highestBit(value) {
  return 1 << (31 - Math.clz32(value));
}

/**
 * A hash of both: the finalizer of MurmurHash3, whose every bit depends on every bit.
 * @param {number} connection
 * @param {number} topic
 */
function mixed(connection, topic) {
  let hash = Math.imul(connection, 0x9e37_79b1) ^ topic;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

module.exports = { Subscriptions };
