'use strict';

// The soak in a few numbers, and what is off in it.

const { slope } = require('./slope');

/** This share of the time is warm-up: memory is not judged in it. */
const WARM_UP = 1 / 6;

/** Resident memory may grow by this share in an hour. */
const SLOPE_PER_HOUR = 0.01;

/** Memory is judged when it was watched for so long behind the warm-up: garbage collection alone bends a shorter line. */
const JUDGED_SECONDS = 20 * 60;

/** So many rows go into the result. */
const ROWS = 240;

/** What counts live connections and messages in `app.stats()`: at the end, nothing. */
const LIVE = ['connections', 'subscriptions', 'topics'];

/** Causes of closes for which the client has done nothing. */
const CAUSELESS = ['timeout', 'protocol', 'backpressure', 'shutdown'];

/**
 * @typedef {object} Run what is known at the end
 * @property {Record<string, any>[]} rows the first one from before the first connection
 * @property {Record<string, any> | undefined} report the client's
 * @property {Record<string, any> | undefined} state the server's last
 * @property {{ before: number, after: number }} descriptors of the server
 * @property {number} kernelDrops see sample.js
 * @property {number} minutes that were asked for
 */

/**
 * @param {Run} run
 * @returns {Record<string, any>}
 */
function summary({ rows, report, state, descriptors, kernelDrops, minutes }) {
  const [before] = rows;
  const last = rows[rows.length - 1];
  const warm = rows.filter(({ phase, second }) => phase === 'soak' && second >= minutes * 60 * WARM_UP);
  const held = warm.length > 0 ? warm : [last];
  const of = (/** @type {string} */ name) => held.map((row) => row[name]);
  const seconds = of('second');
  const watched = seconds[seconds.length - 1] - seconds[0];
  const resident = slope(seconds, of('residentBytes'));
  const client = report ?? last;
  const rate = (/** @type {string} */ name) =>
    watched > 0 ? round((held[held.length - 1][name] - held[0][name]) / watched, 1) : 0;
  return {
    seconds: round(report?.seconds ?? last.second, 1),
    sent: client.sent,
    echoes: client.echoes,
    publications: client.publications,
    received: state?.received ?? null,
    sentBytes: client.sentBytes,
    heardBytes: client.heardBytes,
    skipped: client.skipped,
    slowDropped: state?.slowDropped ?? null,
    pings: client.pings,
    opened: client.opened,
    endings: client.endings,
    faultsToClient: report?.faults ?? last.clientFaults ?? null,
    faultsToServer: state?.faults ?? null,
    told: [client.told, ...(state?.told ?? [])].filter(Boolean),
    messagesPerSecond: rate('sent'),
    publicationsPerSecond: rate('publications'),
    connectionsPerSecond: rate('opened'),
    watchedSeconds: round(watched, 1),
    residentBytesBefore: before.residentBytes,
    residentBytesMedian: Math.round(resident.median),
    residentBytesMax: Math.max(...of('residentBytes')),
    residentBytesPerHour: Math.round(resident.perHour),
    residentSlopePerHour: round(resident.perHour / Math.max(1, resident.median), 5),
    isSlopeJudged: watched >= JUDGED_SECONDS,
    heapBytesPerHour: Math.round(slope(seconds, of('heapUsedBytes')).perHour),
    engineBytesPerHour: Math.round(slope(seconds, of('engineBytes')).perHour),
    engineBytesMedian: Math.round(slope(seconds, of('engineBytes')).median),
    descriptorsBefore: descriptors.before,
    descriptorsAfter: descriptors.after,
    kernelDrops,
    threads: Math.max(...of('threads')),
    cpuMean: round(mean(of('cpuUser')) + mean(of('cpuSystem')), 4),
    clientCpuMean: round(mean(of('clientCpu')), 4),
    latencyMicros: report?.wholeLatencyMicros ?? null,
    closes: state ? total(state.stats, ({ closes }) => closes) : null,
    dropped: state ? total(state.stats, ({ dropped }) => ({ dropped })).dropped : null,
  };
}

/**
 * @param {Run} run
 * @param {Record<string, any>} found its summary
 * @returns {string[]} a sentence for each thing that is off
 */
function verdict({ report, state, descriptors }, found) {
  const off = [];
  for (const [side, faults] of [
    ['to the client', found.faultsToClient],
    ['to the server', found.faultsToServer],
  ]) {
    for (const [name, count] of Object.entries(faults ?? {}))
      if (count > 0) off.push(`${count} ${name} ${side}`);
  }
  if (off.length > 0) off.push(...found.told);
  if (off.length > 0 && found.kernelDrops > 0) {
    off.push(
      `the kernel has dropped ${found.kernelDrops} packets of its own loopback meanwhile, which delays others`,
    );
  }
  if (!report) off.push('the client has not reported: it is not known whether all messages came');
  if (found.isSlopeJudged && found.residentSlopePerHour >= SLOPE_PER_HOUR) {
    off.push(
      `resident memory grows by ${(found.residentSlopePerHour * 100).toFixed(2)} % an hour, and ${SLOPE_PER_HOUR * 100} % are allowed`,
    );
  }
  if (descriptors.after > descriptors.before) {
    off.push(
      `the server had ${descriptors.before} descriptors before, and has ${descriptors.after} at the end`,
    );
  }
  if (!state) return [...off, 'the server does not say what it has counted'];
  off.push(...live(state.stats));
  if (report && state.slowDropped !== report.skipped) {
    off.push(
      `slow readers were spared ${report.skipped} publications, and the server says ${state.slowDropped}`,
    );
  }
  return off;
}

/**
 * @param {Record<string, any>[]} stats of each App, when all connections have ended
 * @returns {string[]}
 */
function live(stats) {
  const off = [];
  for (const of of stats) {
    for (const name of LIVE)
      if (of[name] !== 0) off.push(`app.stats() counts ${of[name]} ${name} at the end`);
    for (const [name, value] of Object.entries(of.waiting)) {
      if (value !== 0) off.push(`app.stats().waiting.${name} is ${value} at the end`);
    }
    if (of.gate.handshakes !== 0) off.push(`app.stats() counts ${of.gate.handshakes} handshakes at the end`);
    for (const cause of CAUSELESS) {
      if (of.closes[cause] > 0) off.push(`${of.closes[cause]} connections were closed by ${cause}`);
    }
    const closed = Object.values(of.closes).reduce((sum, count) => sum + count, 0);
    if (of.opened !== closed) off.push(`${of.opened} connections were opened, and ${closed} closed`);
  }
  return off;
}

/**
 * Fewer rows: of several in a row the last, and of shares of a processor the mean.
 *
 * @param {Record<string, any>[]} rows
 * @returns {Record<string, any[]>} a list for each column
 */
function series(rows) {
  const each = Math.max(1, Math.ceil(rows.length / ROWS));
  const thinned = [];
  for (let from = 0; from < rows.length; from += each) {
    const part = rows.slice(from, from + each);
    const shares = ['cpuUser', 'cpuSystem', 'clientCpu'].map((name) => [
      name,
      round(mean(part.map((row) => row[name])), 4),
    ]);
    thinned.push({ ...part[part.length - 1], ...Object.fromEntries(shares) });
  }
  return Object.fromEntries(COLUMNS.map((name) => [name, thinned.map((row) => row[name])]));
}

/** What of a row goes into the result, in this order. */
const COLUMNS = [
  'second',
  'phase',
  'open',
  'opening',
  'opened',
  'sent',
  'echoes',
  'publications',
  'skipped',
  'pings',
  'behind',
  'faults',
  'p50Micros',
  'p99Micros',
  'maxMicros',
  'residentBytes',
  'anonymousBytes',
  'heapUsedBytes',
  'heapTotalBytes',
  'externalBytes',
  'engineBytes',
  'contextBytes',
  'waitingBytes',
  'descriptors',
  'threads',
  'connections',
  'entries',
  'messagesIn',
  'messagesOut',
  'cpuUser',
  'cpuSystem',
  'slabBytes',
  'clientResidentBytes',
  'clientCpu',
];

/**
 * @param {Record<string, any>[]} stats
 * @param {(of: any) => Record<string, number>} pick
 * @returns {Record<string, number>} the sums over the Apps
 */
function total(stats, pick) {
  /** @type {Record<string, number>} */
  const sums = {};
  for (const of of stats) {
    for (const [name, count] of Object.entries(pick(of))) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** @type {(value: number, digits: number) => number} */
function round(value, digits) {
  return Number(value.toFixed(digits));
}

module.exports = { live, series, summary, verdict };
