'use strict';

// What is said in the soak: the server's side of bench/load/src/soak/message.rs, which explains it.

const zlib = require('node:zlib');

/** Of the checksum, the letter and the two numbers. */
const HEAD_BYTES = 25;
const SUM_BYTES = 8;

/** Content of publications: as much text as the longest has. */
const CONTENT = Array.from({ length: 1_024 }, (_, at) => `{"trade":${at * 7919},"side":"bid ü"},`).join('');

/**
 * @typedef {object} Head of a message whose checksum is right
 * @property {string} word what it is
 * @property {number} of the connection or topic
 * @property {number} number the running number or count
 */

/**
 * @param {Buffer} data
 * @returns {Head | undefined} `undefined` if there is none, or the checksum is another
 */
function read(data) {
  if (data.length < HEAD_BYTES) return undefined;
  const head = data.latin1Slice(0, HEAD_BYTES);
  if (Number.parseInt(head.slice(0, SUM_BYTES), 16) !== crc32(data.subarray(SUM_BYTES))) return undefined;
  const of = Number.parseInt(head.slice(9, 17), 16);
  const number = Number.parseInt(head.slice(17, 25), 16);
  return { word: head[SUM_BYTES], of, number };
}

/**
 * @param {string} word
 * @param {number} of
 * @param {number} number
 * @param {string} [body]
 * @returns {Buffer} a whole message, which is text
 */
function write(word, of, number, body = '') {
  const data = Buffer.from(`${'0'.repeat(SUM_BYTES)}${word}${digits(of)}${digits(number)}${body}`);
  data.write(digits(crc32(data.subarray(SUM_BYTES))), 'latin1');
  return data;
}

/**
 * @param {number} number
 * @returns {string} content for the publication with this number: mostly some hundred bytes, at times 16 KiB
 */
function content(number) {
  return CONTENT.slice(0, number % 64 === 63 ? 16 * 1024 : (number * 37) % 1_500);
}

/** @param {number} number */
function digits(number) {
  return number.toString(16).padStart(8, '0');
}

/** CRC-32; Node.js has it from 20.15 and 22.2 on. */
const crc32 = /** @type {(data: Buffer) => number} */ (zlib.crc32 ?? slowCrc32);

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
  return sum;
});

/** @param {Buffer} data */
function slowCrc32(data) {
  let sum = 0xffffffff;
  for (const byte of data) sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

module.exports = { HEAD_BYTES, content, read, slowCrc32, write };
