'use strict';

/** Addresses of peers: as bytes, as uWebSockets.js gives them, and as text. */

const { FAMILY_V4, FAMILY_V4_MAPPED, FAMILY_V6 } = require('./events');

/** An IPv4 address as IPv6 (RFC 4291 §2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * What handlers get: 4 or 16 bytes; an IPv4 peer of a dual-stack listener has 16.
 * @param {number} family
 * @param {Uint8Array<ArrayBuffer>} bytes with a buffer of their own
 * @returns {ArrayBuffer}
 */
function addressOf(family, bytes) {
  switch (family) {
    case FAMILY_V4:
    case FAMILY_V6:
      return bytes.buffer;
    case FAMILY_V4_MAPPED:
      return new Uint8Array([...MAPPED, ...bytes]).buffer;
    default:
      return new ArrayBuffer(0);
  }
}

/**
 * An address as uWebSockets.js writes it: IPv6 in full.
 * @param {Uint8Array} address 0, 4 or 16 bytes
 */
function addressText(address) {
  if (address.length <= 4) return address.join('.');
  const hex = Buffer.from(address).toString('hex');
  return /** @type {string[]} */ (hex.match(/.{4}/g)).join(':');
}

/**
 * The bytes of an address that the engine wrote as text, an IPv6 address perhaps shortened by `::`.
 * @param {string} text '' has none
 * @returns {Uint8Array<ArrayBuffer>} 0, 4 or 16 bytes
 */
function addressBytes(text) {
  if (text === '') return new Uint8Array(0);
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  const [head, tail = ''] = text.split('::').map(groupBytes);
  const zeros = new Array(16 - head.length - tail.length).fill(0);
  return Uint8Array.from([...head, ...zeros, ...tail]);
}

/**
 * @param {string} groups of an IPv6 address; the last one may be an IPv4 address
 * @returns {number[]}
 */
function groupBytes(groups) {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}

module.exports = { addressOf, addressText, addressBytes };
