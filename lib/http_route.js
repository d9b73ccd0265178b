'use strict';

const { shown } = require('./errors');

/** The method of the App for each method of HTTP (RFC 9110 §9.3), and for all of them. */
const METHODS = {
  get: 'GET',
  post: 'POST',
  options: 'OPTIONS',
  del: 'DELETE',
  patch: 'PATCH',
  put: 'PUT',
  head: 'HEAD',
  connect: 'CONNECT',
  trace: 'TRACE',
  any: 'ANY',
};

/** @typedef {keyof typeof METHODS} MethodName */

/** A handler of requests, with what it was registered for. */
class HttpRoute {
  #name;

  /**
   * @param {MethodName} name the App's method
   * @param {string} pattern
   * @param {(response: any, request: any) => unknown} handler
   */
  constructor(name, pattern, handler) {
    this.#name = name;
    this.pattern = pattern;
    this.handler = handler;
  }

  /** What an error calls it. */
  get subject() {
    return `The handler of App.${this.#name}(${shown(this.pattern)})`;
  }
}

module.exports = { HttpRoute, METHODS };
