'use strict';

/**
 * The numbers that options are checked against, before anything crosses to the engine. Names, values
 * and reasons are those of `src/limits.rs`; `__test__/limits.test.js` holds the two files against
 * each other.
 */

module.exports = {
  /** Default of `maxPayloadLength`, as in uWebSockets.js. */
  PAYLOAD_BYTES: 16 * 1024,

  /** Largest `maxPayloadLength`: lengths cross as 32-bit integers, and stay positive as signed ones. */
  PAYLOAD_MAX_BYTES: 2 ** 31 - 1,

  /** Default of `maxFragments`. Autobahn's largest cases send 65,536. */
  FRAGMENTS: 131_072,

  /** Largest `maxFragments`: the count is kept in 32 bits, and stays positive as a signed one. */
  FRAGMENTS_MAX: 2 ** 31 - 1,

  /** Default of `idleTimeout`, as in uWebSockets.js. */
  IDLE_TIMEOUT_SECONDS: 120,

  /** Smallest `idleTimeout`: two ticks, one for the ping and one for its answer. */
  IDLE_TIMEOUT_MIN_SECONDS: 8,

  /** Largest `idleTimeout`: 240 ticks, so that a deadline fits one byte. */
  IDLE_TIMEOUT_MAX_SECONDS: 960,

  /** Largest `maxLifetime`, as in uWebSockets.js. */
  LIFETIME_MAX_MINUTES: 239,

  /** Default of `timeout` of a shutdown: what supervisors kill after 10 s has ended by then. */
  SHUTDOWN_SECONDS: 8,

  /** Largest `timeout` of a shutdown: a client that reads slower than this is not worth waiting for. */
  SHUTDOWN_MAX_SECONDS: 3_600,

  /** Default of `maxBackpressure`, as in uWebSockets.js. */
  BACKPRESSURE_BYTES: 64 * 1024,

  /** Largest `maxBackpressure`, as for the payload; beyond it, 0 says what is meant: unlimited. */
  BACKPRESSURE_MAX_BYTES: 2 ** 31 - 1,

  /** Default of `memoryBudget`: one part in so many of what the process may have. */
  BUDGET_MEMORY_PART: 4,

  /** Smallest `memoryBudget`: a few reads and what they are answered with. */
  BUDGET_MIN_BYTES: 1024 * 1024,

  /** Largest `memoryBudget`: numbers count it exactly. */
  BUDGET_MAX_BYTES: 2 ** 53 - 1,

  /** Default of `UWS_HTTP_MAX_HEADERS_SIZE`: bytes of a request's head. */
  REQUEST_HEAD_BYTES: 16 * 1024,

  /** Smallest `UWS_HTTP_MAX_HEADERS_SIZE`: a browser's opening handshake has 500 bytes without cookies. */
  REQUEST_HEAD_MIN_BYTES: 512,

  /** Largest `UWS_HTTP_MAX_HEADERS_SIZE`: each connection before its upgrade may have as much. */
  REQUEST_HEAD_MAX_BYTES: 1024 * 1024,

  /** Of a response that is streamed, little waits when it is no more than this. */
  RESPONSE_LOW_WATER_BYTES: 64 * 1024,

  /** Largest `maxConnections`: as many as all reactors have ids for. */
  CONNECTIONS_MAX: 2 ** 30,

  /** Largest `connectionsPerMinutePerAddress`: one each 60 µs, more than a core accepts. */
  CONNECTIONS_PER_MINUTE_MAX: 1_000_000,

  /** Addresses and networks of `trustProxy`: each connection is compared with them. */
  TRUSTED_NETWORKS: 1_024,

  /** Reactor threads of one App: six bits of a connection's id. */
  REACTORS: 64,
};
