'use strict';

/**
 * The constants of the `compression` option, with the values of uWebSockets.js: of a compressor the
 * four high bits of a byte are the size of its window, of a decompressor those above it. What they
 * mean is in `src/protocol/deflate/compression.rs`.
 */

const DISABLED = 0;

const COMPRESSORS = {
  SHARED_COMPRESSOR: 1,
  DEDICATED_COMPRESSOR_3KB: 145,
  DEDICATED_COMPRESSOR_4KB: 146,
  DEDICATED_COMPRESSOR_8KB: 163,
  DEDICATED_COMPRESSOR_16KB: 180,
  DEDICATED_COMPRESSOR_32KB: 197,
  DEDICATED_COMPRESSOR_64KB: 214,
  DEDICATED_COMPRESSOR_128KB: 231,
  DEDICATED_COMPRESSOR_256KB: 248,
  DEDICATED_COMPRESSOR: 248,
};

const DECOMPRESSORS = {
  SHARED_DECOMPRESSOR: 256,
  DEDICATED_DECOMPRESSOR_512B: 2304,
  DEDICATED_DECOMPRESSOR_1KB: 2560,
  DEDICATED_DECOMPRESSOR_2KB: 2816,
  DEDICATED_DECOMPRESSOR_4KB: 3072,
  DEDICATED_DECOMPRESSOR_8KB: 3328,
  DEDICATED_DECOMPRESSOR_16KB: 3584,
  DEDICATED_DECOMPRESSOR_32KB: 3840,
  DEDICATED_DECOMPRESSOR: 3840,
};

const compressors = [DISABLED, ...Object.values(COMPRESSORS)];
const decompressors = [DISABLED, ...Object.values(DECOMPRESSORS)];

/** Every value that the option takes. */
const accepted = new Set(compressors.flatMap((one) => decompressors.map((other) => one | other)));

/** What they are, for the sentence of an error. */
const ACCEPTED_TEXT =
  'DISABLED (0), a compressor (SHARED_COMPRESSOR (1) or a DEDICATED_COMPRESSOR: ' +
  `${[...new Set(compressors.slice(2))].join(', ')}), a decompressor (SHARED_DECOMPRESSOR (256) or a ` +
  `DEDICATED_DECOMPRESSOR: ${[...new Set(decompressors.slice(2))].join(', ')}), or one of each, joined by |`;

/** @param {number} value */
function isCompression(value) {
  return accepted.has(value);
}

module.exports = { DISABLED, COMPRESSORS, DECOMPRESSORS, ACCEPTED_TEXT, isCompression };
