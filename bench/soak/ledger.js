'use strict';

// What the server of the soak has got of each connection, and what is wrong with it. A connection's entry is kept until
// it is over and the client has said how much it had written: some hundred bytes for each until then.

/** Numbers that were passed over are remembered up to here: more are lost for good. */
const REMEMBERED = 4_096;

/** Faults that are told in words; the others are only counted. */
const TOLD = 8;

/**
 * @typedef {object} Entry what came of one connection
 * @property {number} connection its number
 * @property {number} next the number of the next message: how many came, unless some are missing
 * @property {number[]} missing numbers that were passed over
 * @property {boolean} isSettled whether the client has said how many there were, and it was right or a fault
 * @property {boolean} isClosed
 * @property {{ number: number, all: boolean } | undefined} note how many the client says it has written, and whether all
 *   of them are owed
 */

class Ledger {
  /** Each of them fails the run. */
  faults = { lost: 0, doubled: 0, reordered: 0, corrupt: 0, dropped: 0, thrown: 0, unclosed: 0 };

  /** The first of them, in words. */
  told = /** @type {string[]} */ ([]);

  /** Messages that came. */
  received = 0;

  /** @type {Map<number, Entry>} */
  #entries = new Map();

  /** Connections of which something is still to be said, or which are open and have spoken. */
  get size() {
    return this.#entries.size;
  }

  /**
   * A message with a head came.
   *
   * @param {Entry | undefined} known the connection's entry
   * @param {number} connection
   * @param {number} number
   * @returns {Entry}
   */
  message(known, connection, number) {
    const entry = known ?? this.#open(connection);
    this.received += 1;
    if (connection !== entry.connection) {
      this.fault('corrupt', 1, entry.connection, `a message of connection ${connection} came`);
    } else if (number >= entry.next) {
      const gap = number - entry.next;
      for (let at = entry.next; at < number && entry.missing.length < REMEMBERED; at++)
        entry.missing.push(at);
      entry.next = number + 1;
      if (gap > 0) this.fault('lost', gap, connection, `${gap} missing before message ${number}`);
    } else {
      const at = entry.missing.indexOf(number);
      if (at >= 0) {
        entry.missing.splice(at, 1);
        this.faults.lost -= 1;
        this.fault('reordered', 1, connection, `message ${number} came late`);
      } else {
        this.fault('doubled', 1, connection, `message ${number} came twice`);
      }
    }
    return entry;
  }

  /**
   * A message without a head came: it takes the next number.
   *
   * @param {Entry | undefined} entry
   */
  short(entry) {
    if (entry) this.message(entry, entry.connection, entry.next);
    else this.fault('corrupt', 1, 0, 'the first message of a connection was short');
  }

  /**
   * The client has written so many, and all of them are to be here: the last one is.
   *
   * @param {Entry | undefined} known
   * @param {number} connection
   * @param {number} number
   * @returns {Entry}
   */
  settle(known, connection, number) {
    const entry = known ?? this.#open(connection);
    this.#settle(entry, number, true);
    return entry;
  }

  /**
   * The client says of a connection that is over how many it had written.
   *
   * @param {number} connection
   * @param {number} number
   * @param {boolean} all whether all of them are owed: a reset drops what is under way
   */
  note(connection, number, all) {
    const entry = this.#entries.get(connection);
    if (!entry) {
      this.fault('lost', number, connection, `${number} messages were written, and none came`);
    } else {
      entry.note = { number, all };
      this.#sweep(entry);
    }
  }

  /**
   * A connection is over.
   *
   * @param {Entry | undefined} entry
   */
  closed(entry) {
    if (!entry) return;
    entry.isClosed = true;
    this.#sweep(entry);
  }

  /** Nothing comes any more: what was not settled never will be. */
  finish() {
    this.faults.unclosed = 0;
    this.fault('unclosed', this.#entries.size, [...this.#entries.keys()][0] ?? 0, 'nobody said how it ended');
  }

  /**
   * @param {keyof Ledger['faults']} name
   * @param {number} count
   * @param {number} connection
   * @param {string} sentence
   */
  fault(name, count, connection, sentence) {
    this.faults[name] += count;
    if (count > 0 && this.told.length < TOLD) this.told.push(`connection ${connection}: ${sentence}`);
  }

  /**
   * @param {number} connection
   * @returns {Entry}
   */
  #open(connection) {
    const entry = { connection, next: 0, missing: [], isSettled: false, isClosed: false, note: undefined };
    if (this.#entries.has(connection)) this.fault('corrupt', 1, connection, 'there are two of its number');
    this.#entries.set(connection, entry);
    return entry;
  }

  /** Forgets a entry when all is said. */
  #sweep(/** @type {Entry} */ entry) {
    if (!entry.isClosed || !(entry.isSettled || entry.note)) return;
    if (entry.note && !entry.isSettled) this.#settle(entry, entry.note.number, entry.note.all);
    this.#entries.delete(entry.connection);
  }

  /** @type {(entry: Entry, number: number, all: boolean) => void} */
  #settle(entry, number, all) {
    entry.isSettled = true;
    const { connection, next } = entry;
    const words = `${number} messages were written, and ${next} came`;
    if (next < number && all) this.fault('lost', number - next, connection, words);
    if (next > number) this.fault('doubled', next - number, connection, words);
  }
}

module.exports = { Ledger };
