'use strict';

/**
 * A request as handlers get it. It keeps the request's head as one string and looks into it when it is
 * asked, so one that nobody asks costs next to nothing; and it stays valid for as long as it is kept.
 */

const { bytesOf } = require('./data');
const errors = require('./errors');

/** @type {(request: HttpRequest) => boolean} */
let isYielded;
/** @type {(request: HttpRequest, name: string) => string} */
let noteOf;

class HttpRequest {
  /**
   * Method, target and header fields, a line each, as `src/http/text.rs` writes them. A line that begins
   * with a colon is the engine's own note, no field of the client's.
   */
  #head;
  #pattern;
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
    noteOf = (request, name) => request.#valueOf(`\n:${name}:`);
  }

  /**
   * The value of a header field, of the first of that name; '' if there is none.
   * @param {unknown} name
   */
  getHeader(name) {
    const field = textOf(name).toLowerCase();
    return field === '' || field.startsWith(':') ? '' : this.#valueOf(`\n${field}:`);
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
    const target = this.#target();
    const query = target.indexOf('?');
    return query < 0 ? target : target.slice(0, query);
  }

  getMethod() {
    return this.getCaseSensitiveMethod().toLowerCase();
  }

  getCaseSensitiveMethod() {
    return this.#head.slice(0, this.#head.indexOf('\n'));
  }

  /**
   * Without a key the whole query as it was sent, without its question mark. With one, the decoded value
   * of the first parameter of that name.
   * @param {unknown} [key]
   * @returns {string | undefined}
   */
  getQuery(key) {
    const target = this.#target();
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
    const head = this.#head;
    let start = this.#fields() + 1;
    while (start < head.length) {
      const end = head.indexOf('\n', start);
      const colon = head.indexOf(':', start);
      if (colon !== start) callback(head.slice(start, colon), head.slice(colon + 1, end));
      start = end + 1;
    }
  }

  /** @param {boolean} yielded whether another route shall have the request */
  setYield(yielded) {
    this.#yielded = Boolean(yielded);
    return this;
  }

  /** Where the line feed before the first field is. */
  #fields() {
    return this.#head.indexOf('\n', this.#head.indexOf('\n') + 1);
  }

  #target() {
    const start = this.#head.indexOf('\n') + 1;
    return this.#head.slice(start, this.#head.indexOf('\n', start));
  }

  /**
   * What is behind the first of these beginnings of a line.
   * @param {string} start with the line feed before it
   */
  #valueOf(start) {
    const head = this.#head;
    const at = head.indexOf(start, this.#fields());
    return at < 0 ? '' : head.slice(at + start.length, head.indexOf('\n', at + 1));
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

module.exports = { HttpRequest, isYielded, noteOf, textOf };
