'use strict';

// What `npm run bench -- all` measures: each entry makes one table, in which its contestants take turns, and has one or
// more rows of the result, with the bars that they are held against.

/**
 * @typedef {object} Bar what a figure shall be: a number, or a ratio to another's where `against` says whose
 * @property {number} [most]
 * @property {number} [least]
 * @property {string} [against] a contestant
 * @property {string} [column] another one than the row's
 *
 * @typedef {object} Row of the result: one figure of one contestant
 * @property {string} title
 * @property {string} column title of the scenario's column
 * @property {string} [of] the contestant: `tidewire` unless told
 * @property {string[]} [beside] those that it is compared with; Bun, ws and Node's own server unless told
 * @property {Bar[]} [bars]
 *
 * @typedef {object} Entry
 * @property {string} name for `--only`
 * @property {string} scenario
 * @property {import('../scenarios').Options} options
 * @property {(string | import('../measure').Contestant)[]} contestants a text is a server as it is
 * @property {boolean} [isFree] whether server and client share all processors, instead of having one each
 * @property {Row[]} rows
 */

/** Names of contestants, where they are not the names themselves. @type {Record<string, string>} */
const LABELS = {
  bun: 'Bun',
  node: '`node:http`',
  nodebuffer: '`nodebuffer`',
  'threads-1': 'one thread',
};

/**
 * @param {string} name
 * @param {Record<string, string>} env
 * @param {import('../scenarios').Options} [options]
 */
const tidewire = (name, env, options = {}) => ({ name, server: 'tidewire', env, options });

const ALL = ['tidewire', 'bun', 'ws'];
const NODEBUFFER = { BINARY_TYPE: 'nodebuffer' };

/** @type {Entry[]} */
const SUITE = [
  {
    name: 'echo',
    scenario: 'echo',
    options: { connections: '1000' },
    contestants: ALL,
    rows: [
      {
        title: 'echo 20 B, 1,000 connections',
        column: 'CPU µs',
        bars: [
          { most: 1.1, against: 'bun' },
          { most: 0.45, against: 'ws' },
        ],
      },
    ],
  },
  {
    name: 'in-flight',
    scenario: 'echo',
    options: { 'in-flight': '16' },
    contestants: [
      tidewire('nodebuffer', NODEBUFFER),
      tidewire('arraybuffer', {}),
      tidewire('strings', { TEXT_TYPE: 'string' }, { text: true }),
      'bun',
      'ws',
    ],
    rows: [
      {
        title: 'echo 20 B, 100 connections, 16 in flight, `nodebuffer`',
        of: 'nodebuffer',
        column: 'CPU µs',
        bars: [{ most: 0.9, against: 'bun' }, { most: 0.8 }, { most: 0.25, column: 'main µs' }],
      },
      {
        title: 'the same, `arraybuffer` (the default)',
        of: 'arraybuffer',
        column: 'CPU µs',
        bars: [{ most: 1.5, against: 'bun' }],
      },
      {
        title: 'the same, text as strings',
        of: 'strings',
        column: 'CPU µs',
        bars: [{ most: 1.2, against: 'nodebuffer' }],
      },
    ],
  },
  {
    name: 'echo-16k',
    scenario: 'echo',
    options: { size: '16384' },
    contestants: ALL,
    rows: [
      { title: 'echo 16 KiB, 100 connections', column: 'CPU µs', bars: [{ most: 0.6, against: 'bun' }] },
    ],
  },
  {
    name: 'echo-256k',
    scenario: 'echo',
    options: { size: '262144' },
    contestants: ALL,
    rows: [
      { title: 'echo 256 KiB, 100 connections', column: 'CPU µs', bars: [{ most: 0.7, against: 'ws' }] },
    ],
  },
  {
    name: 'publish',
    scenario: 'fanout',
    options: { together: '1' },
    contestants: ALL,
    rows: [
      {
        title: 'publish 20 B to 10,000, each delivery',
        column: 'CPU µs',
        bars: [{ most: 0.9, against: 'bun' }],
      },
      { title: 'of it on the JavaScript thread, each publish', column: 'main µs/publish' },
    ],
  },
  {
    name: 'publish-16',
    scenario: 'fanout',
    options: { subscribers: '1000', together: '16' },
    contestants: ALL,
    rows: [
      {
        title: '16 publishes in one turn to 1,000, each delivery',
        column: 'CPU µs',
        bars: [{ most: 0.9, against: 'bun' }],
      },
      { title: 'of it on the JavaScript thread, each publish', column: 'main µs/publish' },
    ],
  },
  {
    name: 'tls',
    scenario: 'echo',
    options: { tls: true },
    contestants: ALL,
    rows: [
      {
        title: 'TLS echo 20 B, 100 connections',
        column: 'CPU µs',
        bars: [{ most: 0.95, against: 'bun' }],
      },
    ],
  },
  {
    name: 'tls-16k',
    scenario: 'echo',
    options: { tls: true, size: '16384' },
    contestants: ALL,
    rows: [{ title: 'TLS echo 16 KiB, 100 connections', column: 'CPU µs' }],
  },
  {
    name: 'deflate',
    scenario: 'echo',
    options: { deflate: true },
    contestants: ALL,
    rows: [
      {
        title: 'deflate echo 1 KiB, shared compressor',
        column: 'CPU µs',
        bars: [{ most: 1, against: 'bun' }],
      },
    ],
  },
  {
    name: 'churn',
    scenario: 'churn',
    options: {},
    contestants: ALL,
    rows: [{ title: 'connect, upgrade, close', column: 'CPU µs', bars: [{ most: 1, against: 'bun' }] }],
  },
  {
    name: 'rtt',
    scenario: 'rtt',
    options: {},
    contestants: ALL,
    rows: [
      {
        title: 'wall time of a round trip on one connection, median',
        column: 'p50 µs',
        bars: [{ most: 2, against: 'ws' }],
      },
    ],
  },
  {
    name: 'throughput',
    scenario: 'echo',
    options: { 'in-flight': '16' },
    isFree: true,
    // With `raw` for the most that this client and a server can reach together.
    contestants: [
      tidewire('nodebuffer', NODEBUFFER),
      tidewire('arraybuffer', {}),
      tidewire('threads-2', { ...NODEBUFFER, THREADS: '2' }),
      'bun',
      'ws',
      'raw',
    ],
    rows: [
      {
        title: 'messages/s on both processors, 16 in flight, `nodebuffer`',
        of: 'nodebuffer',
        column: 'messages/s',
        bars: [{ least: 1.4, against: 'bun' }],
      },
      { title: 'the same, `arraybuffer`', of: 'arraybuffer', column: 'messages/s' },
      {
        title: 'the same, `nodebuffer`, `threads: 2`',
        of: 'threads-2',
        column: 'messages/s',
        beside: ['bun', 'ws', 'nodebuffer'],
      },
      {
        title: 'the same, server CPU',
        of: 'threads-2',
        column: 'CPU µs',
        beside: ['bun', 'ws', 'nodebuffer'],
      },
    ],
  },
  {
    name: 'threads',
    scenario: 'echo',
    options: { deflate: true },
    isFree: true,
    contestants: [tidewire('threads-1', { THREADS: '1' }), tidewire('threads-2', { THREADS: '2' }), 'bun'],
    rows: [
      {
        title: 'messages/s on both processors, deflate 1 KiB, `threads: 2`',
        of: 'threads-2',
        column: 'messages/s',
        beside: ['bun', 'threads-1'],
      },
      { title: 'the same, server CPU', of: 'threads-2', column: 'CPU µs', beside: ['bun', 'threads-1'] },
    ],
  },
  {
    name: 'flood',
    scenario: 'flood',
    options: {},
    contestants: ALL,
    rows: [
      {
        title: 'wall time for 99 % of 100 quiet ones, while 100 flood',
        column: 'p99 ms',
        bars: [{ most: 5, column: 'flood/calm p99' }],
      },
    ],
  },
  {
    name: 'swamp',
    scenario: 'swamp',
    options: { seconds: '6' },
    contestants: ALL,
    rows: [
      {
        title: 'messages/s of a flood that the handler cannot follow',
        column: 'second half/s',
        // The bound: what Node.js begins with, 64 MiB of events, 16 MiB of commands, and JavaScript's garbage.
        bars: [
          { least: 0.9, column: 'second/first' },
          { most: 200, column: 'most MB' },
        ],
      },
    ],
  },
  {
    name: 'idle',
    scenario: 'idle',
    options: { rounds: '2', 'settle-seconds': '4.5' },
    contestants: ALL,
    rows: [
      {
        title: 'resident memory, each of 18,000 idle connections',
        column: 'bytes each',
        bars: [{ most: 200 }],
      },
      { title: 'the same after a message of 64 KiB on each', column: 'after message', bars: [{ most: 200 }] },
    ],
  },
  {
    name: 'idle-tls',
    scenario: 'idle',
    options: { tls: true, rounds: '2', 'settle-seconds': '4.5' },
    contestants: ALL,
    rows: [
      { title: 'resident memory, each of 5,000 idle connections over TLS', column: 'bytes each' },
      { title: 'the same after a message of 64 KiB on each', column: 'after message' },
    ],
  },
];

module.exports = { LABELS, SUITE };
