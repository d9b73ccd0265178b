'use strict';

/**
 * The parts of a response's head, checked: what an application passes on from a request must not end
 * the line that it stands in.
 */

const errors = require('./errors');

/** A token (RFC 9110 §5.6.2): the name of a header field, or a subprotocol. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What no value of a header field has in it (RFC 9110 §5.5): controls, save the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NO_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;

/** A status line without its version (RFC 9112 §4): the code, and perhaps a phrase. */
const STATUS = /^[1-9]\d\d(?: .*)?$/;

/** @param {string} text */
function isToken(text) {
  return TOKEN.test(text);
}

/**
 * A status, if it is one.
 * @param {string} text
 */
function statusOf(text) {
  if (!STATUS.test(text) || NO_VALUE.test(text)) throw errors.invalidStatus(text);
  return text;
}

/**
 * A header line, if its parts are what they should be.
 * @param {string} name
 * @param {string} value
 */
function headerLine(name, value) {
  checkField(name, value);
  return `${name}: ${value}\n`;
}

/**
 * @param {string} name
 * @param {string} value
 */
function checkField(name, value) {
  if (!TOKEN.test(name)) throw errors.invalidHeader('The name of a header field', name);
  if (NO_VALUE.test(value)) throw errors.invalidHeader(`The value of the header field ${name}`, value);
}

module.exports = { isToken, statusOf, headerLine, checkField };
