'use strict';

// What can be measured: for each scenario the load client's arguments, what is shown, and the rows
// of the default set.

/**
 * @typedef {Record<string, any>} Report a report of the load client
 *
 * @typedef {object} Column
 * @property {string} title
 * @property {(report: Report) => number | undefined} value
 * @property {number} [digits] digits after the point, 0 unless told
 * @property {string} [ratio] a short name: the value is also shown as a ratio against the peers, and with its range
 * @property {string} [unit] of the value, where a bar may be set for it
 * @property {boolean} [isRate] whether more is better
 *
 * @typedef {object} Options from the command line; `undefined` is the scenario's default
 * @property {string} [size]
 * @property {string} [connections]
 * @property {string} [in-flight]
 * @property {string} [seconds]
 * @property {string} [rounds]
 * @property {string} [concurrency]
 * @property {string} [message-bytes]
 * @property {string} [settle-seconds]
 * @property {string} [subscribers]
 * @property {string} [together]
 * @property {boolean} [text]
 * @property {boolean} [deflate]
 * @property {boolean} [echo]
 * @property {boolean} [browser]
 * @property {boolean} [tls]
 * @property {string} [key] of the servers: `ecdsa` or `rsa`
 * @property {string} [live]
 *
 * @typedef {object} Scenario
 * @property {number} rounds how often each server is measured, unless told
 * @property {(options: Options) => string} title
 * @property {(options: Options, collects: boolean) => string[]} args `collects`: the server collects
 *   its garbage when asked
 * @property {Column[]} columns
 * @property {string} [folder] of `bench/servers/`, where the echo servers are not what it needs
 * @property {(options: Options) => Record<string, string>} [env] of its servers
 * @property {string} [servers] those that are measured unless told, where they are not the usual ones
 * @property {boolean} [secure] whether it is always over TLS
 * @property {Options[]} [variants] its rows, where one option has several defaults; one row if that is given
 */

/** @type {Column[]} */
const CPU = [
  { title: 'CPU µs', value: (report) => report.serverCpu?.micros, digits: 2, ratio: 'CPU', unit: 'µs' },
  { title: 'main µs', value: (report) => report.serverCpu?.mainThreadMicros, digits: 2, unit: 'µs' },
];

/**
 * Shown where the client may be what limits the rate.
 *
 * @type {Column}
 */
const CLIENT = { title: 'client busy', value: (report) => report.clientCpu?.busy, digits: 2 };

/**
 * @param {string} name
 * @returns {Column[]}
 */
const latency = (name) => [
  { title: 'p50 µs', value: (report) => report[name].p50, digits: 1 },
  { title: 'p99 µs', value: (report) => report[name].p99, digits: 1 },
];

/**
 * The options that are there, as arguments.
 *
 * @param {Options} options
 * @param {(keyof Options)[]} names
 * @returns {string[]}
 */
function given(options, names) {
  return names.flatMap((name) => {
    const value = options[name];
    if (value === undefined || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}`, value];
  });
}

/** @type {Record<string, Scenario>} */
const SCENARIOS = {
  echo: {
    rounds: 5,
    title: ({
      deflate,
      size = deflate ? '1024' : '20',
      connections = '100',
      'in-flight': inFlight = '1',
      text,
    }) => {
      const kind = deflate ? 'compressed JSON-like text' : text ? 'text' : 'binary';
      return `echo ${size} B ${kind}, ${connections} connections, ${inFlight} in flight each`;
    },
    env: ({ deflate }) => /** @type {Record<string, string>} */ (deflate ? { DEFLATE: '1' } : {}),
    args: (options) => [
      'echo',
      ...given(options, ['size', 'connections', 'in-flight', 'seconds', 'text', 'deflate']),
    ],
    columns: [
      {
        title: 'messages/s',
        value: (report) => report.messagesPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      ...CPU,
      ...latency('latencyMicros'),
      CLIENT,
    ],
  },

  idle: {
    rounds: 1,
    title: ({ tls, connections = tls ? '5000' : '18000', 'message-bytes': bytes = '65536' }) =>
      `idle, ${connections} connections` +
      (bytes === '0' ? '' : `; and after a message of ${bytes} B on each`) +
      '; resident bytes for each, garbage collected before each reading',
    args: ({ 'message-bytes': bytes = '65536', ...options }, collects) => [
      'idle',
      ...given({ ...(options.tls ? { connections: '5000' } : {}), ...options }, [
        'connections',
        'settle-seconds',
      ]),
      ...(bytes === '0' ? [] : ['--message-bytes', bytes]),
      ...(collects ? ['--collect'] : []),
    ],
    columns: [
      { title: 'bytes each', value: (report) => report.bytesPerConnection, ratio: 'idle', unit: 'bytes' },
      { title: 'each further', value: (report) => report.bytesPerFurtherConnection },
      {
        title: 'after message',
        value: (report) => report.bytesPerConnectionAfterMessage,
        ratio: 'after',
        unit: 'bytes',
      },
      { title: 'MB before', value: (report) => report.residentBytesBefore / 1e6, digits: 1 },
      { title: 'opened/s', value: (report) => report.connectionsPerSecond },
    ],
  },

  rtt: {
    rounds: 5,
    title: ({ size = '20', connections = '1' }) =>
      `round trip of ${size} B, one in flight on one of ${connections} connections`,
    args: (options) => ['rtt', ...given(options, ['size', 'connections', 'seconds'])],
    columns: [
      { title: 'p50 µs', value: (report) => report.latencyMicros.p50, digits: 1, ratio: 'p50', unit: 'µs' },
      { title: 'p90 µs', value: (report) => report.latencyMicros.p90, digits: 1 },
      { title: 'p99 µs', value: (report) => report.latencyMicros.p99, digits: 1 },
      ...CPU,
    ],
  },

  churn: {
    rounds: 5,
    title: ({ concurrency = '16', echo }) =>
      `connect, upgrade, ${echo ? 'one echo, ' : ''}close; ${concurrency} at a time`,
    args: (options) => ['churn', ...given(options, ['concurrency', 'seconds', 'echo', 'size'])],
    columns: [
      {
        title: 'connections/s',
        value: (report) => report.connectionsPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      ...CPU,
      ...latency('wholeMicros'),
      CLIENT,
    ],
  },

  fanout: {
    rounds: 5,
    folder: 'fanout',
    variants: [{ together: '1' }, { together: '16' }],
    title: ({ subscribers = '10000', together = '1' }) =>
      `publish to ${subscribers} subscribers, ${together} message${together === '1' ? '' : 's'} of 20 B in one turn`,
    args: (options) => ['fanout', ...given(options, ['subscribers', 'together', 'seconds'])],
    columns: [
      { title: 'deliveries/s', value: (report) => report.deliveriesPerSecond },
      { title: 'CPU µs', value: (report) => report.serverCpu?.micros, digits: 3, ratio: 'CPU', unit: 'µs' },
      {
        title: 'main µs/publish',
        value: (report) => report.mainThreadMicrosPerPublish,
        digits: 1,
        ratio: 'main',
        unit: 'µs',
      },
      CLIENT,
    ],
  },

  http: {
    rounds: 5,
    folder: 'http',
    servers: 'tidewire,bun,node',
    variants: [{}, { browser: true }],
    title: ({ connections = '100', 'in-flight': inFlight = '1', browser }) =>
      `HTTP hello world, ${connections} connections kept alive, ${inFlight} in flight each, ` +
      (browser ? 'with the header fields of a browser' : 'with no header field but Host'),
    args: (options) => ['http', ...given(options, ['connections', 'in-flight', 'seconds', 'browser'])],
    columns: [
      {
        title: 'requests/s',
        value: (report) => report.requestsPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      ...CPU,
      ...latency('latencyMicros'),
      CLIENT,
    ],
  },

  storm: {
    rounds: 3,
    secure: true,
    variants: [{ key: 'ecdsa' }, { key: 'rsa' }],
    title: ({ connections = '2000', live = '50' }) =>
      `${connections} connections at once; latency of ${live} that talk meanwhile`,
    args: (options) => ['storm', ...given(options, ['connections', 'live', 'size'])],
    columns: [
      { title: 'calm p50 µs', value: (report) => report.calmMicros.p50, digits: 1 },
      { title: 'p99 µs', value: (report) => report.calmMicros.p99, digits: 1 },
      { title: 'storm p50 µs', value: (report) => report.stormMicros.p50, digits: 0 },
      { title: 'p99 µs', value: (report) => report.stormMicros.p99, digits: 0, ratio: 'p99' },
      { title: 'max µs', value: (report) => report.stormMicros.max, digits: 0 },
      {
        title: 'opened/s',
        value: (report) => report.connectionsPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      { title: 'failed', value: (report) => report.failed },
      { title: 'CPU µs each', value: (report) => report.serverCpu?.micros, ratio: 'CPU' },
    ],
  },

  flood: {
    rounds: 5,
    servers: 'tidewire,bun,ws',
    title: ({ connections = '100', live = '100' }) =>
      `latency of ${live} quiet connections: in calm, and while ${connections} others flood`,
    args: (options) => ['flood', ...given(options, ['connections', 'live', 'size', 'seconds'])],
    columns: [
      { title: 'calm p50 µs', value: (report) => report.calmMicros.p50, digits: 0 },
      { title: 'p99 µs', value: (report) => report.calmMicros.p99, digits: 0 },
      { title: 'flood p50 ms', value: (report) => report.floodMicros.p50 / 1e3, digits: 2 },
      {
        title: 'p99 ms',
        value: (report) => report.floodMicros.p99 / 1e3,
        digits: 2,
        ratio: 'p99',
        unit: 'ms',
      },
      { title: 'max ms', value: (report) => report.floodMicros.max / 1e3, digits: 1 },
      { title: 'flood/calm p99', value: (report) => report.p99Ratio, digits: 1, ratio: 'grown' },
      {
        title: 'answers/s',
        value: (report) => report.answersPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      { title: 'most MB', value: (report) => report.residentBytesMax / 1e6, digits: 0, unit: 'MB' },
      { title: 'look p99 µs', value: (report) => report.lookMicros.p99, digits: 0 },
    ],
  },

  swamp: {
    rounds: 5,
    servers: 'tidewire,bun,ws',
    env: () => ({ WORK_MICROS: '20' }),
    title: ({ connections = '100', seconds = '6' }) =>
      `${connections} connections flood a handler that works 20 µs for each message; halves of ${seconds} s`,
    args: (options) => ['swamp', ...given(options, ['connections', 'size', 'seconds'])],
    columns: [
      { title: 'first half/s', value: (report) => report.firstHalfPerSecond, isRate: true },
      {
        title: 'second half/s',
        value: (report) => report.secondHalfPerSecond,
        ratio: 'rate',
        unit: '/s',
        isRate: true,
      },
      { title: 'second/first', value: (report) => report.halves, digits: 2, isRate: true },
      {
        title: 'most MB',
        value: (report) => report.residentBytesMax / 1e6,
        digits: 0,
        ratio: 'MB',
        unit: 'MB',
      },
      { title: 'MB before', value: (report) => report.residentBytesBefore / 1e6, digits: 0 },
      ...CPU,
    ],
  },
};

/** @type {{ scenario: string, options: Options }[]} */
const DEFAULT_SET = [
  { scenario: 'echo', options: { seconds: '3', rounds: '3' } },
  { scenario: 'echo', options: { 'in-flight': '16', seconds: '3', rounds: '3' } },
  { scenario: 'echo', options: { size: '16384', seconds: '3', rounds: '3' } },
  { scenario: 'idle', options: {} },
  { scenario: 'rtt', options: { seconds: '2', rounds: '3' } },
  { scenario: 'churn', options: { seconds: '3', rounds: '3' } },
];

module.exports = { CLIENT, DEFAULT_SET, SCENARIOS };
