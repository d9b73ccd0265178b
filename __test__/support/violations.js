'use strict';

/**
 * What a client may send against RFC 6455, or against the limits of its route: one row for each, with what
 * the close handler gets and what the peer is told.
 */

const { constants, deflateRawSync } = require('node:zlib');
const { BINARY, CLOSE, PING, PONG, TEXT, closeFrame, frame } = require('./raw_client');

const CONTINUATION = 0;

/** The limits that the rows are made for. */
const LIMITS = { maxPayloadLength: 1_000, maxFragments: 10 };

const INVALID_FRAME = 'Received invalid WebSocket frame';
const INVALID_UTF8 = 'Received invalid UTF-8';
const INVALID_CLOSE = 'Received invalid close payload';
const TOO_BIG = 'Received too big message';
const TOO_MANY = 'Received too many fragments';

const part = { fin: false };
const hex = (dump) => Buffer.from(dump.replaceAll(' ', ''), 'hex');

/** A text message in fragments. */
const fragmented = (...pieces) =>
  Buffer.concat(
    pieces.map((piece, at) =>
      frame(at === 0 ? TEXT : CONTINUATION, piece, { fin: at === pieces.length - 1 }),
    ),
  );

/** What comes of a frame that is longer than these bytes: nothing has to be waited for. */
const onset = (bytes, count) => bytes.subarray(0, count);

const within = (...frames) => Buffer.concat([frame(TEXT, 'x', part), ...frames]);

/** Masked with zeros, the head is all that differs. */
const head = (dump) => Buffer.concat([hex(dump), Buffer.alloc(4)]);

/** @type {[code: number, handlerReason: string, rows: Record<string, Buffer>][]} */
const families = [
  [
    1002,
    INVALID_FRAME,
    {
      'RSV1 on text': frame(TEXT, 'x', { rsv: 4 }),
      'RSV2 on binary': frame(BINARY, 'x', { rsv: 2 }),
      'RSV3 on text': frame(TEXT, 'x', { rsv: 1 }),
      'all reserved bits': frame(TEXT, 'x', { rsv: 7 }),
      'RSV1 on a continuation frame': within(frame(CONTINUATION, 'x', { rsv: 4 })),
      'RSV1 on a ping': frame(PING, 'x', { rsv: 4 }),
      'RSV2 on a pong': frame(PONG, 'x', { rsv: 2 }),
      'RSV3 on a close frame': frame(CLOSE, '', { rsv: 1 }),
      ...Object.fromEntries(
        [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, frame(opcode, 'x')]),
      ),
      'unmasked text': frame(TEXT, 'x', { masked: false }),
      'unmasked text without a payload': frame(TEXT, '', { masked: false }),
      'an unmasked ping': frame(PING, 'x', { masked: false }),
      'an unmasked close frame': frame(CLOSE, '', { masked: false }),
      'an unmasked continuation frame': within(frame(CONTINUATION, 'x', { masked: false })),
      'a fragmented ping': frame(PING, 'x', part),
      'a fragmented pong': frame(PONG, 'x', part),
      'a fragmented close frame': frame(CLOSE, '', part),
      'a ping of 126 bytes': frame(PING, 'x'.repeat(126)),
      'a pong of 126 bytes': frame(PONG, 'x'.repeat(126)),
      'a close frame of 126 bytes': closeFrame(1000, 'x'.repeat(124)),
      'a ping of 65,536 bytes': frame(PING, 'x'.repeat(65_536)),
      'a continuation of nothing': frame(CONTINUATION, 'x'),
      'a continuation of nothing that goes on': frame(CONTINUATION, '', part),
      'a continuation of a ping': Buffer.concat([frame(PING, 'x'), frame(CONTINUATION, 'x')]),
      'text inside a message': within(frame(TEXT, 'y')),
      'a fragment of text inside a message': within(frame(TEXT, 'y', part)),
      'binary inside a message': within(frame(PING, 'p'), frame(BINARY, 'y')),
      '16 bits for a length of 0': head('82fe 0000'),
      '16 bits for a length of 125': head('82fe 007d'),
      '64 bits for a length of 1': head('82ff 0000000000000001'),
      '64 bits for a length of 65,535': head('82ff 000000000000ffff'),
      '16 bits for the length of a ping': head('89fe 0001'),
      'a length of 2^63': head('82ff 8000000000000000'),
      'a length of 2^64 - 1': head('82ff ffffffffffffffff'),
    },
  ],
  [
    1007,
    INVALID_UTF8,
    {
      'a byte that is never UTF-8': frame(TEXT, [0x61, 0xff]),
      'a lone continuation byte': frame(TEXT, [0x80]),
      'a character that is cut by another': frame(TEXT, [0x61, 0xc3, 0x28]),
      'a character that is cut by the end': frame(TEXT, [0xe2, 0x82]),
      'a character in more bytes than it needs': frame(TEXT, [0xc0, 0x80]),
      'a surrogate': frame(TEXT, [0xed, 0xa0, 0x80]),
      'a character above U+10FFFF': frame(TEXT, [0xf4, 0x90, 0x80, 0x80]),
      'bad UTF-8 in the first fragment': onset(fragmented([0xff], 'x'), 7),
      'bad UTF-8 over a fragment end': fragmented([0xe2], [0x82], [0x28]),
      'a character that is cut by the end of the last fragment': fragmented([0xe2], [0x82]),
      'a bad byte, and the rest of its frame does not come': onset(
        frame(TEXT, [0xff, ...Buffer.alloc(99)]),
        7,
      ),
      'a bad byte in a later fragment that does not end': onset(fragmented('x', [0x61, 0x80, 0, 0]), 15),
    },
  ],
  [
    1002,
    INVALID_CLOSE,
    {
      'half a close code': frame(CLOSE, [3]),
      ...Object.fromEntries(
        [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) => [
          `a close frame with ${code}`,
          closeFrame(code),
        ]),
      ),
    },
  ],
  [
    1007,
    INVALID_CLOSE,
    {
      'a close reason that is not UTF-8': frame(CLOSE, [3, 232, 0xff]),
      'a close reason that ends in a character': frame(CLOSE, [3, 232, 0xe2, 0x82]),
    },
  ],
  [
    1008,
    TOO_MANY,
    {
      'one fragment too many': fragmented(...Array(11).fill('x')),
      'one empty fragment too many': fragmented(...Array(11).fill('')),
      'an empty fragment too many that goes on': Buffer.concat([
        frame(BINARY, '', part),
        ...Array(10).fill(frame(CONTINUATION, '', part)),
      ]),
    },
  ],
  [
    1009,
    TOO_BIG,
    {
      'a message of one byte too many': frame(BINARY, Buffer.alloc(1_001)),
      'text of one byte too many': frame(TEXT, 'x'.repeat(1_001)),
      'a message far too big, of which only the head comes': onset(frame(BINARY, Buffer.alloc(100_000)), 14),
      'a length of 2^31': head('82ff 0000000080000000'),
      'a length of 2^32': head('82ff 0000000100000000'),
      'a length of 2^63 - 1': head('82ff 7fffffffffffffff'),
      'one byte too many in the last fragment': fragmented('x'.repeat(600), 'x'.repeat(401)),
      'one byte too many in a fragment that is not the last': onset(
        fragmented('x'.repeat(600), 'x'.repeat(400), 'x', ''),
        608 + 408 + 6,
      ),
      'too much in the first fragment': frame(TEXT, 'x'.repeat(1_001), part),
      'fragments whose lengths would overflow': within(head('80ff 7fffffffffffffff')),
    },
  ],
];

/** A message's payload for permessage-deflate: without the end of its last block (RFC 7692 §7.2.1). */
const deflated = (data, options = {}) =>
  deflateRawSync(data, { ...options, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

const compressed = { rsv: 4 };
const bomb = deflated(Buffer.alloc(1_000_000));

/** Where permessage-deflate was agreed on: what only then is an offence, or is one still. */
const compressedFamilies = [
  [
    1002,
    INVALID_FRAME,
    {
      'RSV1 inside a compressed message': Buffer.concat([
        frame(TEXT, deflated('x').subarray(0, 1), { ...compressed, fin: false }),
        frame(CONTINUATION, deflated('x').subarray(1), compressed),
      ]),
      'RSV1 on a ping': frame(PING, 'x', compressed),
      'RSV1 on a close frame': frame(CLOSE, '', compressed),
      'RSV1 and RSV2': frame(TEXT, deflated('x'), { rsv: 6 }),
      RSV3: frame(TEXT, deflated('x'), { rsv: 1 }),
    },
  ],
  [
    1007,
    INVALID_FRAME,
    {
      'half a block': frame(BINARY, deflated('half of this').subarray(0, 5), compressed),
      'what is not DEFLATE data': frame(BINARY, Buffer.alloc(20, 0xff), compressed),
      // What zlib makes of `the same again` with a dictionary that has it. Not made here: Deno leaves the dictionary out.
      'a distance that goes back behind the beginning': frame(BINARY, hex('2a41 e101 0000'), compressed),
      'a stored block whose lengths do not agree': frame(BINARY, hex('00 0100 0000 61'), compressed),
    },
  ],
  [
    1007,
    INVALID_UTF8,
    { 'compressed text that is not UTF-8': frame(TEXT, deflated(Buffer.of(0xff)), compressed) },
  ],
  [
    1008,
    TOO_MANY,
    {
      'one fragment too many': Buffer.concat([
        frame(TEXT, '', { ...compressed, fin: false }),
        ...Array(10).fill(frame(CONTINUATION, '', part)),
      ]),
    },
  ],
  [
    1009,
    TOO_BIG,
    {
      'a message of one byte too many': frame(BINARY, deflated(Buffer.alloc(1_001)), compressed),
      'a megabyte that was a kilobyte': frame(BINARY, bomb.subarray(0, 1_000), compressed),
      'the same in fragments': Buffer.concat([
        frame(BINARY, bomb.subarray(0, 500), { ...compressed, fin: false }),
        frame(CONTINUATION, bomb.subarray(500, 1_000)),
      ]),
      'far too much on the wire': head('c2ff 0000000000100000'),
    },
  ],
];

/**
 * `bytes` break a rule, `code` is that of the close frame that the peer gets, `reason` what the close handler
 * gets beside 1006.
 * @param {typeof families} from
 * @returns {{ name: string, bytes: Buffer, code: number, reason: string }[]}
 */
const rowsOf = (from) =>
  from.flatMap(([code, reason, rows]) =>
    Object.entries(rows).map(([name, bytes]) => ({ name, bytes, code, reason })),
  );

const VIOLATIONS = rowsOf(families);
const COMPRESSED_VIOLATIONS = rowsOf(compressedFamilies);

/** What a client offers that wants to compress. */
const OFFER = 'permessage-deflate';

module.exports = { COMPRESSED_VIOLATIONS, LIMITS, OFFER, VIOLATIONS };
