'use strict';

/** Messages with a running number and a checksum, and content of pseudo-random bytes: none can be lost, doubled, changed
 * or out of order unnoticed. */

const { createHash } = require('node:crypto');

/** A number of 4 bytes, and 8 of the checksum. */
const HEAD_BYTES = 12;

/** Bytes to cut contents from. */
const BYTES = Buffer.alloc(64 * 1024);
for (let at = 0, state = 1; at < BYTES.length; at++) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  BYTES[at] = state >>> 16;
}

/** @param {Buffer} message */
function checksum(message) {
  return createHash('sha1')
    .update(message.subarray(0, 4))
    .update(message.subarray(HEAD_BYTES))
    .digest()
    .subarray(0, 8);
}

/**
 * The message with this number.
 * @param {number} number
 * @param {number} most bytes of its content, from none to so many; at most 65,536
 */
function numbered(number, most) {
  const length = most === 0 ? 0 : Math.imul(number + 1, 7_919) % (most + 1);
  const message = Buffer.alloc(HEAD_BYTES + length);
  message.writeUInt32BE(number);
  BYTES.copy(message, HEAD_BYTES, 0, length);
  for (let at = HEAD_BYTES; at < message.length; at += 61) message[at] ^= number;
  checksum(message).copy(message, 4);
  return message;
}

/**
 * What is wrong with a message that must have this number, or undefined.
 * @param {Buffer} message
 * @param {number} expected
 */
function fault(message, expected) {
  if (message.length < HEAD_BYTES) return `${message.length} bytes instead of message ${expected}`;
  if (!checksum(message).equals(message.subarray(4, HEAD_BYTES))) return `message ${expected} is changed`;
  const number = message.readUInt32BE();
  return number === expected ? undefined : `${number} instead of ${expected}`;
}

module.exports = { fault, numbered };
