'use strict';

// npm run soak: an hour in which connections come, go and talk in every way, and each message is verified. Writes
// soak.json and soak.svg, and fails if anything is off. See bench/README.md.

const os = require('node:os');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { certificate } = require('./certificate');
const { build } = require('./client');
const { folder, write } = require('./files');
const { ROOT, start, stopAll } = require('./launch');
const { machine, sentence } = require('./machine');
const { insist } = require('./million/host');
const load = require('./million/load');
const { positive, whole } = require('./positive');
const { Progress, clock, number } = require('./progress');
const { chart } = require('./soak/chart');
const { Samples, descriptors, kernelDrops, state } = require('./soak/sample');
const { series, summary, verdict } = require('./soak/summary');

const SERVER = path.join(__dirname, 'soak', 'server.js');
const DOCS = path.join(ROOT, 'docs');
const RESULTS = path.join(__dirname, 'results');

/** Connections that one topic has. */
const SUBSCRIBERS = 50;

/** Deliveries of publications for each message. */
const DELIVERIES = 0.5;

/** A line of the client, and with it a sample: so often that a run has some hundred of them. */
const LINE_SECONDS = { least: 1, most: 5 };
const LINES = 720;

/** V8's young generation has from the start the size that it would grow to at some time: that is no leak. */
const FLAGS = ['--min-semi-space-size=16'];

/** How long the server may take to forget the last connection. */
const SETTLE_MILLISECONDS = 30_000;

/**
 * @typedef {object} Plan
 * @property {number} connections
 * @property {number} minutes from the first connection on
 * @property {number} rate messages that the clients send in a second
 * @property {number} churn connections that end in a second
 * @property {number} pace connections begun in a second at the start
 * @property {string | undefined} out the folder for the results, if it shall not be chosen
 * @property {boolean} force whether to go on where the host seems too small
 * @property {string} server the server's file
 * @property {string | undefined} client the load client, if it shall not be built
 */

/**
 * @param {string[]} words
 * @returns {Plan}
 */
function plan(words) {
  const text = /** @type {const} */ ({ type: 'string' });
  const { values } = parseArgs({
    args: words,
    options: {
      connections: text,
      minutes: text,
      rate: text,
      churn: text,
      pace: text,
      out: text,
      server: text,
      client: text,
      force: { type: 'boolean' },
    },
  });
  return {
    connections: whole(values, 'connections', 10_000),
    minutes: positive(values, 'minutes', 60),
    rate: positive(values, 'rate', 2_000),
    churn: positive(values, 'churn', 75),
    pace: positive(values, 'pace', 500),
    out: values.out === undefined ? undefined : path.resolve(values.out),
    force: values.force ?? false,
    server: path.resolve(values.server ?? SERVER),
    client: values.client,
  };
}

/**
 * Runs server and client, a row for each line of the client.
 *
 * @param {Plan} plan
 * @param {AbortSignal} signal what ends the run early
 * @returns {Promise<import('./soak/summary').Run & { failure: string | undefined }>}
 */
async function measure(plan, signal) {
  const program = plan.client ?? build().load;
  const files = certificate('ecdsa');
  const topics = Math.max(2, Math.round(plan.connections / SUBSCRIBERS));
  const env = {
    TOPICS: String(topics),
    PUBLICATIONS: String((plan.rate * DELIVERIES * topics) / plan.connections),
    TLS_KEY: files.key,
    TLS_CERT: files.cert,
  };
  const command = [process.execPath, ...FLAGS, plan.server];
  const server = await start({ command, collects: false }, { env });
  const over = new AbortController();
  signal.addEventListener('abort', () => over.abort(), { once: true });
  /** @type {string | undefined} */
  let failure;
  const fail = (/** @type {unknown} */ error) => {
    failure ??= sentence(error);
    over.abort();
  };
  try {
    const { tlsPort } = await state(server.port);
    const samples = new Samples(server);
    const rows = [{ ...BEFORE, ...(await samples.take()) }];
    const before = descriptors(server.pid);
    const drops = kernelDrops();
    const progress = new Progress(line(plan.connections));
    let isOver = false;
    server.ended.then(() => isOver || fail(new Error('the server has ended in the middle of the run')));

    let sampled = Promise.resolve();
    const onLine = (/** @type {Record<string, any>} */ counts) => {
      sampled = sampled
        .then(async () => {
          const row = { ...flat(counts), ...(await samples.take()) };
          row.faults += row.serverFaults;
          rows.push(row);
          progress.show(row);
        })
        // The client's last line may come when its process is over, and that is none of the soak's.
        .catch((error) => counts.phase === 'end' || fail(error));
    };
    const args = ['soak', ...clientArgs(plan, server.port, tlsPort, files.cert)];
    const onStart = (/** @type {number} */ pid) => samples.watch(pid);
    const { report, complaint } = await load
      .run(program, args, { onLine, onStart, finishes: true, signal: over.signal })
      .catch((error) => ({ report: undefined, complaint: sentence(error) }));
    await sampled;
    progress.end();
    if (complaint) console.log(complaint);
    const last = await settle(server, before).catch(() => undefined);
    isOver = true;
    const after = last?.descriptors ?? 0;
    return {
      rows,
      report,
      state: last?.state,
      descriptors: { before, after },
      kernelDrops: kernelDrops() - drops,
      minutes: plan.minutes,
      failure,
    };
  } finally {
    await server.stop();
  }
}

/**
 * Waits until the server has no connection and no more descriptors than before, but not for ever.
 *
 * @param {import('./launch').Server} server
 * @param {number} before descriptors
 */
async function settle({ port, pid }, before) {
  const until = Date.now() + SETTLE_MILLISECONDS;
  for (;;) {
    const { stats, entries } = await state(port);
    const isEmpty = entries === 0 && stats.every((/** @type {any} */ of) => of.connections === 0);
    if ((isEmpty && descriptors(pid) <= before) || Date.now() > until) break;
    await pause(200);
  }
  return { descriptors: descriptors(pid), state: await state(port, true) };
}

/** @type {(plan: Plan, port: number, tlsPort: number, cert: string) => string[]} */
function clientArgs({ connections, minutes, rate, churn, pace }, port, tlsPort, cert) {
  const { least, most } = LINE_SECONDS;
  const lineSeconds = Math.min(most, Math.max(least, (minutes * 60) / LINES));
  return [
    ['--port', port],
    ['--tls-port', tlsPort],
    ['--certificate', cert],
    ['--connections', connections],
    ['--minutes', minutes],
    ['--rate', rate],
    ['--churn', churn],
    ['--pace', pace],
    ['--line-seconds', lineSeconds],
    ['--tethered'],
  ]
    .flat()
    .map(String);
}

/** What the client's counters are before there is one. */
const BEFORE = {
  second: 0,
  phase: 'before',
  ...{ open: 0, opening: 0, opened: 0, sent: 0, echoes: 0, publications: 0, skipped: 0, pings: 0, behind: 0 },
  ...{ faults: 0, p50Micros: 0, p99Micros: 0, maxMicros: 0 },
};

/**
 * @param {Record<string, any>} counts a line of the client
 * @returns {Record<string, any>}
 */
function flat({ faults, latencyMicros: { p50, p99, max }, ...counts }) {
  const sum = Object.values(faults).reduce((total, count) => total + count, 0);
  return { ...counts, clientFaults: faults, faults: sum, p50Micros: p50, p99Micros: p99, maxMicros: max };
}

/**
 * @param {number} connections how many there shall be
 * @returns {(row: Record<string, any>, last: Record<string, any> | undefined) => string} of a row and the one before
 */
function line(connections) {
  return (row, last = BEFORE) => {
    const seconds = Math.max(0.001, row.second - last.second);
    const perSecond = (/** @type {string} */ name) => number((row[name] - last[name]) / seconds);
    return [
      `${row.phase.padEnd(4)} ${clock(row.second)}`,
      `${number(row.open)}/${number(connections)} open, ${perSecond('opened')}/s new`,
      `${perSecond('echoes')} + ${perSecond('publications')} msg/s`,
      `${number(row.faults)} faults`,
      `${(row.residentBytes / 1e6).toFixed(1)} MB`,
      `${number(row.descriptors)} fd`,
      `${((row.cpuUser + row.cpuSystem) * 100).toFixed(0)} + ${(row.clientCpu * 100).toFixed(0)} % CPU`,
    ].join('  ');
  };
}

/** @param {Record<string, any>} summary */
function say(summary) {
  const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const percent = (/** @type {number} */ share) => `${(share * 100).toFixed(2)} %`;
  const endings = Object.entries(summary.endings ?? {}).map(([name, count]) => `${number(count)} ${name}`);
  console.log(
    [
      `${number(summary.sent)} messages written, ${number(summary.echoes)} came back; ${number(summary.publications)} publications came`,
      `${number(summary.opened)} connections opened: ${endings.join(', ')}; ${number(summary.pings)} pings answered`,
      `slow readers were spared ${number(summary.skipped)} publications`,
      `resident ${megabytes(summary.residentBytesMedian)} (most ${megabytes(summary.residentBytesMax)}), ${percent(summary.residentSlopePerHour)} an hour${summary.isSlopeJudged ? '' : ' (too short to be judged)'}`,
      `descriptors ${summary.descriptorsBefore} before, ${summary.descriptorsAfter} after; ${summary.threads} threads`,
      `CPU ${percent(summary.cpuMean)} of a processor, client ${percent(summary.clientCpuMean)}`,
    ].join('\n'),
  );
}

async function main() {
  const asked = plan(process.argv.slice(2));
  insist(asked.connections, asked.force);
  const ends = new AbortController();
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.on(signal, () => {
      // The second one does not wait for the connections to close.
      if (ends.signal.aborted) process.exit(1);
      ends.abort();
    });
  }
  const run = await measure(asked, ends.signal);
  const found = summary(run);
  const off = verdict(run, found);
  if (run.failure) off.unshift(run.failure);
  const meta = {
    ...machine(),
    memoryBytes: os.totalmem(),
    version: require('../package.json').version,
    connections: asked.connections,
    minutes: asked.minutes,
    messagesPerSecond: asked.rate,
    endingsPerSecond: asked.churn,
    cutShort: ends.signal.aborted,
    off,
  };
  say(found);
  const rows = { meta, summary: found, series: series(run.rows) };
  const out = asked.out ?? folder(DOCS, RESULTS, 'soak', found.seconds);
  for (const file of write(out, 'soak', rows, await chart(rows))) {
    console.log(`written: ${file}`);
  }
  if (out === RESULTS) console.log('docs/soak.json is of a longer run and stays; --out docs writes over it');
  if (ends.signal.aborted) console.log('cut short');
  for (const thing of off) console.error(`soak: ${thing}`);
  process.exitCode = off.length > 0 ? 1 : 0;
}

process.on('exit', stopAll);

main().catch((error) => {
  console.error(`soak: ${sentence(error)}`);
  process.exit(1);
});
