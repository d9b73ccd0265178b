'use strict';

/**
 * The layout of events, as `src/bridge/event.rs` writes them; a test holds the two files against
 * each other. A descriptor has four words: place of the connection, tag (generation << 16 |
 * flags << 8 | kind), offset of the payload or an amount, length of the payload.
 */

module.exports = {
  /** Words of one descriptor. */
  DESCRIPTOR_WORDS: 4,
  /** Words behind the descriptors: bytes of payload, whether more waits. */
  TRAILER_WORDS: 2,

  OPEN: 1,
  MESSAGE: 2,
  PING: 3,
  PONG: 4,
  DROPPED: 5,
  BACKLOG: 6,
  DRAIN: 7,
  CLOSE: 8,
  APPLIED: 9,
  FAILED: 10,
  REQUEST: 16,
  ABORTED: 17,
  CONTENT: 18,
  TAKEN: 19,
  CONNECTED: 20,
  DISCONNECTED: 21,
  SERVER_NAME: 22,

  /** Of CONTENT: nothing follows. */
  FLAG_LAST: 1,
  /** Of MESSAGE and DROPPED: binary, not text. */
  FLAG_BINARY: 1,
  /** The payload is not in the batch: it is taken by a call of its own, in order. */
  FLAG_LARGE: 2,

  /** Flags of CLOSE: why, as a number that is the place of its name. */
  CAUSES: [
    undefined,
    'peer',
    'local',
    'fin',
    'reset',
    'timeout',
    'protocol',
    'backpressure',
    'shutdown',
    'failure',
    'memory',
  ],
  CAUSE_LOCAL: 2,
  CAUSE_RESET: 4,
  CAUSE_BACKPRESSURE: 7,
  CAUSE_SHUTDOWN: 8,
  CAUSE_FAILURE: 9,

  /** Flags of FAILED: what has failed. */
  FAILED_REACTOR: 0,
  FAILED_GATE: 1,
  FAILED_CONNECTION: 2,
  /** What its peers and close handlers are told: as in `src/reactor/failure.rs`. */
  FAILED_STATUS_CODE: 1011,
  FAILED_REASON: 'internal error',

  /** Of OPEN, REQUEST, CONNECTED and DISCONNECTED: how the address is to be read. */
  FAMILY_NONE: 0,
  FAMILY_V4: 1,
  FAMILY_V4_MAPPED: 2,
  FAMILY_V6: 3,
  /** Bytes of the address by its family. */
  ADDRESS_BYTES: [0, 4, 4, 16],

  /** Most events of one drain, and most bytes of payload: as in `src/limits.rs`. */
  DRAIN_EVENTS: 1_000,
  DRAIN_PAYLOAD_BYTES: 256 * 1024,
};
