'use strict';

/** Options as an application gave them: each is checked when it is read, and refused by a sentence with its name. */

const { isIP } = require('node:net');
const compression = require('./compression');
const errors = require('./errors');
const limits = require('./limits');

/** @typedef {((...values: any[]) => void) | null} Handler */

/** An object of options as the application gave it, read field by field. `undefined` is not given. */
class Given {
  /**
   * @param {string} owner whose options they are, for the sentences
   * @param {unknown} options
   */
  constructor(owner, options) {
    if (typeof options !== 'object' || options === null) {
      throw errors.invalidType(`The options of ${owner}`, 'an object', options);
    }
    this.owner = owner;
    this.options = /** @type {Record<string, unknown>} */ (options);
  }

  /** @param {string} name */
  subject(name) {
    return `\`${name}\` of ${this.owner}`;
  }

  /**
   * @template {number | undefined} T
   * @param {string} name
   * @param {T} fallback
   * @param {{ min: number, max: number, unit: string, zero?: string }} range `zero`: what 0 means,
   *     where it is accepted beside the range
   * @returns {number | T}
   */
  integer(name, fallback, { min, max, unit, zero }) {
    const value = this.options[name];
    if (value === undefined) return fallback;
    const accepted = `${zero ? `0 (${zero}) or ` : ''}an integer from ${min} to ${max} (${unit})`;
    if (typeof value !== 'number') throw errors.invalidType(this.subject(name), accepted, value);
    const valid = (zero !== undefined && value === 0) || isIntegerWithin(value, min, max);
    if (!valid) throw errors.outOfRange(this.subject(name), accepted, value);
    // -0 is an integer, too; the engine gets 0.
    return value + 0;
  }

  /**
   * @param {string} name
   * @param {boolean} fallback
   */
  boolean(name, fallback) {
    const value = this.options[name];
    if (value === undefined) return fallback;
    if (typeof value !== 'boolean') throw errors.invalidType(this.subject(name), 'true or false', value);
    return value;
  }

  /**
   * @template {string | null} T
   * @param {string} name
   * @param {T} fallback
   * @param {readonly string[]} choices
   */
  choice(name, fallback, choices) {
    const value = this.options[name];
    if (value === undefined) return fallback;
    const accepted = `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`;
    if (typeof value !== 'string') throw errors.invalidType(this.subject(name), accepted, value);
    if (!choices.includes(value)) throw errors.outOfRange(this.subject(name), accepted, value);
    return /** @type {T} */ (value);
  }

  /**
   * @param {string} name
   * @returns {Handler}
   */
  handler(name) {
    const value = this.options[name];
    if (value === undefined || value === null) return null;
    if (typeof value !== 'function')
      throw errors.invalidType(this.subject(name), 'a function or null', value);
    return /** @type {Handler} */ (value);
  }

  /**
   * What an origin may look like is for the engine to judge, which throws in `addRoute`.
   * @returns {'same' | string[] | Function | undefined}
   */
  origins() {
    const value = this.options.origins;
    if (value === undefined) return undefined;
    const subject = this.subject('origins');
    if (typeof value === 'function') return value;
    const accepted = "'same', a function, or an array of origins such as 'https://example.org'";
    if (typeof value === 'string' && value !== 'same') throw errors.outOfRange(subject, accepted, value);
    if (value !== 'same' && !Array.isArray(value)) throw errors.invalidType(subject, accepted, value);
    if (value === 'same') return value;
    const stray = value.findIndex((origin) => typeof origin !== 'string');
    if (stray >= 0) throw errors.invalidType(`Element ${stray} of ${subject}`, 'a string', value[stray]);
    return [...value];
  }

  /**
   * Addresses (`192.0.2.7`), networks (`10.0.0.0/8`) and `unix`, in an array.
   * @param {string} name
   * @returns {string[]}
   */
  networks(name) {
    const value = this.options[name];
    if (value === undefined) return [];
    const subject = this.subject(name);
    const accepted = "an array of addresses and networks such as '10.0.0.0/8', or 'unix'";
    if (!Array.isArray(value)) throw errors.invalidType(subject, accepted, value);
    if (value.length > limits.TRUSTED_NETWORKS) {
      const most = `at most ${limits.TRUSTED_NETWORKS} addresses and networks`;
      throw errors.outOfRange(subject, most, `${value.length} of them`);
    }
    for (const [index, network] of value.entries()) {
      const element = `Element ${index} of ${subject}`;
      if (typeof network !== 'string') throw errors.invalidType(element, 'a string', network);
      if (!isNetwork(network)) {
        throw errors.outOfRange(element, "an address, a network such as '10.0.0.0/8', or 'unix'", network);
      }
    }
    return [...value];
  }

  /** @param {string} name */
  compression(name) {
    const value = this.options[name];
    if (value === undefined) return compression.DISABLED;
    if (typeof value !== 'number')
      throw errors.invalidType(this.subject(name), compression.ACCEPTED_TEXT, value);
    if (!compression.isCompression(value)) {
      throw errors.outOfRange(this.subject(name), compression.ACCEPTED_TEXT, value);
    }
    return value + 0;
  }

  /**
   * @param {readonly string[]} names
   * @param {string} reason why they have no effect
   */
  warnIneffective(names, reason) {
    for (const name of names) {
      if (this.options[name] !== undefined) errors.warnIneffective(this.subject(name), name, reason);
    }
  }

  /** @param {readonly string[]} known */
  warnUnknown(known) {
    for (const name of Object.keys(this.options)) {
      const ignored = !known.includes(name) && this.options[name] !== undefined;
      if (ignored) errors.warnUnknownOption(this.owner, name, known);
    }
  }
}

/**
 * @param {number} value
 * @param {number} min
 * @param {number} max
 */
function isIntegerWithin(value, min, max) {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** @param {string} text */
function isNetwork(text) {
  const [, address = '', bits] = /^([^/%]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const width = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return text === 'unix' || Number(bits ?? 0) <= width;
}

module.exports = { Given, isIntegerWithin };
