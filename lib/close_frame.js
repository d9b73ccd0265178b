'use strict';

/** What may stand in a close frame: the status code and the reason (RFC 6455 §5.5.1, §7.4). */

const errors = require('./errors');

/** Payload of a control frame (RFC 6455 §5.5), less the status code for a close frame's reason (§5.5.1). */
const CONTROL_PAYLOAD_BYTES = 125;
const CLOSE_REASON_BYTES = CONTROL_PAYLOAD_BYTES - 2;

/** Status codes that say that no close frame has one (RFC 6455 §7.4.1); 0 is uWebSockets.js's word for it. */
const NO_STATUS_CODES = [0, 1005, 1006];

/**
 * Refuses a status code that may not stand in a close frame (RFC 6455 §7.4).
 * @param {string} subject whose it is, for the sentence
 * @param {unknown} code
 * @param {readonly number[]} others codes that are accepted as well, because they are not written
 */
function checkStatusCode(subject, code, others) {
  const none = others.length > 0 ? `, or ${others.join(', ')} for none` : '';
  const accepted = `1000 to 1003, 1007 to 1014, 3000 to 4999${none}`;
  if (typeof code !== 'number') throw errors.invalidType(subject, accepted, code);
  const sendable =
    (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
  if (!Number.isInteger(code) || !(sendable || others.includes(code))) {
    throw errors.outOfRange(subject, accepted, code);
  }
}

/**
 * A reason whose bytes are UTF-8 (RFC 6455 §5.5.1): what was given as a string is, what was given as bytes
 * may not be, and gets U+FFFD in its place, as a string's lone surrogates do.
 * @param {Uint8Array} reason
 */
function wellFormed(reason) {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(reason);
  return text.includes('\ufffd') ? new TextEncoder().encode(text) : reason;
}

/**
 * Code and reason as commands carry them.
 * @param {number} code
 * @param {Uint8Array} reason
 */
function closePayload(code, reason) {
  return Buffer.from([code & 0xff, code >>> 8, ...reason]);
}

/**
 * As much of a reason as a close frame holds, cut between two characters.
 * @param {Uint8Array} reason UTF-8
 */
function cut(reason) {
  if (reason.length <= CLOSE_REASON_BYTES) return reason;
  let end = CLOSE_REASON_BYTES;
  while (end > 0 && (reason[end] & 0xc0) === 0x80) end--;
  return reason.subarray(0, end);
}

module.exports = {
  CONTROL_PAYLOAD_BYTES,
  CLOSE_REASON_BYTES,
  NO_STATUS_CODES,
  checkStatusCode,
  closePayload,
  cut,
  wellFormed,
};
