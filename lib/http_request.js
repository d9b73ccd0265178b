'use strict';

/**
 * A request as handlers get it. It keeps the request's head as one string and looks into it when it is
 * asked, so one that nobody asks costs next to nothing; and it stays valid for as long as it is kept.
 */

const { bytesOf } = require('./data');
const errors = require('./errors');

/** @type {(request: HttpRequest) => boolean} */
let isYielded;

class HttpRequest {
  /** Method, target and header fields, a line each, as `src/gate/ask.rs` writes them. */
  #head;
  #pattern;
  /** @type {string[] | null} */
  #lines = null;
  #yielded = false;

  /**
   * @param {string} head
   * @param {string} pattern of the route that matched
   */
  constructor(head, pattern) {
    this.#head = head;
    this.#pattern = pattern;
  }

  static {
    isYielded = (request) => request.#yielded;
  }

  /**
   * The value of a header field, of the first of that name; '' if there is none.
   * @param {unknown} name
   */
  getHeader(name) {
    const start = `${textOf(name).toLowerCase()}:`;
    const lines = this.#all();
    for (let at = 2; at < lines.length; at++) {
      if (lines[at].startsWith(start)) return lines[at].slice(start.length);
    }
    return '';
  }

  /**
   * A parameter of the route's pattern, by its place or its name.
   * @param {unknown} which
   * @returns {string | undefined}
   */
  getParameter(which) {
    const name = typeof which === 'number' ? null : `:${textOf(which)}`;
    const values = this.getUrl().split('/');
    let place = 0;
    for (const [at, segment] of this.#pattern.split('/').entries()) {
      if (!segment.startsWith(':')) continue;
      if (name === null ? place === which : segment === name) return values[at];
      place++;
    }
    return undefined;
  }

  /** The path, without the query. */
  getUrl() {
    const target = this.#all()[1];
    const query = target.indexOf('?');
    return query < 0 ? target : target.slice(0, query);
  }

  getMethod() {
    return this.getCaseSensitiveMethod().toLowerCase();
  }

  getCaseSensitiveMethod() {
    return this.#all()[0];
  }

  /**
   * Without a key the whole query as it was sent, without its question mark. With one, the decoded value
   * of the first parameter of that name.
   * @param {unknown} [key]
   * @returns {string | undefined}
   */
  getQuery(key) {
    const target = this.#all()[1];
    const mark = target.indexOf('?');
    const query = mark < 0 ? '' : target.slice(mark + 1);
    if (key === undefined) return query;
    const wanted = textOf(key);
    for (const pair of query.split('&')) {
      const equals = pair.indexOf('=');
      const name = equals < 0 ? pair : pair.slice(0, equals);
      if (name !== '' && name === wanted) return equals < 0 ? '' : decoded(pair.slice(equals + 1));
    }
    return undefined;
  }

  /** @param {(name: string, value: string) => void} callback */
  forEach(callback) {
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of req.forEach()', 'a function', callback);
    }
    const lines = this.#all();
    for (let at = 2; at < lines.length; at++) {
      const colon = lines[at].indexOf(':');
      callback(lines[at].slice(0, colon), lines[at].slice(colon + 1));
    }
  }

  /** @param {boolean} yielded whether another route shall have the request */
  setYield(yielded) {
    this.#yielded = Boolean(yielded);
    return this;
  }

  #all() {
    // Behind the last line feed there is nothing.
    this.#lines ??= this.#head.slice(0, -1).split('\n');
    return this.#lines;
  }
}

// Libraries look at the constructor's name.
Object.defineProperty(HttpRequest, 'name', { value: 'uWS.HttpRequest' });

/**
 * Text that may be passed as bytes.
 * @param {unknown} value
 */
function textOf(value) {
  return typeof value === 'string' ? value : Buffer.from(bytesOf(value)).toString();
}

/**
 * A value of a query: `+` is a blank, and what is no percent-encoding stands for itself.
 * @param {string} value
 */
function decoded(value) {
  const spaced = value.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
    );
  }
}

module.exports = { HttpRequest, isYielded, textOf };
