'use strict';

// npm run million -- --connections N --minutes M: holds N live WebSockets in examples/WebSocket.js, shows
// how they are, and writes million.json and million.svg. See bench/README.md.

const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { build } = require('./client');
const { write } = require('./files');
const { ROOT, start, stopAll } = require('./launch');
const { machine, sentence } = require('./machine');
const { chart } = require('./million/chart');
const { insist } = require('./million/host');
const load = require('./million/load');
const { line } = require('./million/progress');
const { Sampler } = require('./million/sample');
const { series, summary } = require('./million/summary');
const { positive, whole } = require('./positive');
const { Progress } = require('./progress');

const SERVER = path.join(ROOT, 'examples', 'WebSocket.js');

/**
 * @typedef {object} Plan
 * @property {number} connections
 * @property {number} minutes of steady state, after the ramp
 * @property {number} pace connections begun in a second
 * @property {number} interval seconds between two messages of a connection
 * @property {string} out the folder for the results
 * @property {boolean} force whether to go on where the host seems too small
 * @property {string} server the server's file: it listens on $PORT and says so
 * @property {string | undefined} client the load client, if it shall not be built
 * @property {string | undefined} processes of the client, if the limit of descriptors shall not decide
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
      pace: text,
      interval: text,
      out: text,
      server: text,
      client: text,
      processes: text,
      force: { type: 'boolean' },
    },
  });
  return {
    connections: whole(values, 'connections', 19_000),
    minutes: positive(values, 'minutes', 10),
    pace: positive(values, 'pace', 2_000),
    interval: positive(values, 'interval', 50),
    out: path.resolve(values.out ?? path.join(__dirname, 'results')),
    force: values.force ?? false,
    server: path.resolve(values.server ?? SERVER),
    client: values.client,
    processes: values.processes,
  };
}

/**
 * Runs server and client, a row for each second.
 *
 * @param {Plan} plan
 * @param {AbortSignal} signal what ends the run early
 */
async function measure(plan, signal) {
  const program = plan.client ?? build().load;
  const server = await start(
    { command: [process.execPath, plan.server], collects: false },
    { env: { PORT: '0' } },
  );
  const sampler = new Sampler(server.pid);
  const progress = new Progress(line(plan.connections));
  const over = new AbortController();
  /** @type {import('./million/summary').Row[]} */
  const rows = [{ ...BEFORE, ...sampler.take() }];
  /** @type {string | undefined} */
  let failure;
  const fail = (/** @type {unknown} */ error) => {
    failure ??= sentence(error);
    over.abort();
  };
  server.ended.then(
    () => over.signal.aborted || fail(new Error('the server has ended in the middle of the run')),
  );
  const onLine = (/** @type {Record<string, any>} */ line) => {
    // The last line is no whole second, and the report has the same counters.
    if (line.phase === 'end') return;
    try {
      const { p50: p50Micros, p99: p99Micros, max: maxMicros } = line.latencyMicros;
      const row = { ...line, p50Micros, p99Micros, maxMicros, ...sampler.take() };
      rows.push(row);
      progress.show(row);
    } catch (error) {
      fail(error);
    }
  };
  try {
    signal.addEventListener('abort', () => over.abort(), { once: true });
    const options = { onLine, signal: over.signal };
    const { report, complaint } = await load.run(program, ['million', ...clientArgs(plan, server)], options);
    progress.end();
    if (complaint) console.log(complaint);
    return { rows, summary: summary(rows, report, sampler.exactResidentBytes()), failure };
  } finally {
    over.abort();
    await server.stop();
  }
}

/** What the client's counters are before there is one. */
const BEFORE = {
  second: 0,
  phase: 'before',
  open: 0,
  connecting: 0,
  refused: 0,
  lost: 0,
  sent: 0,
  answers: 0,
  unanswered: 0,
  late: 0,
  corrupt: 0,
  withheld: 0,
  behind: 0,
  pings: 0,
  p50Micros: 0,
  p99Micros: 0,
  maxMicros: 0,
  clientResidentBytes: 0,
};

/**
 * @param {Plan} plan
 * @param {import('./launch').Server} server
 * @returns {string[]}
 */
function clientArgs({ connections, minutes, pace, interval, processes }, { port }) {
  return [
    ['--port', port],
    ['--connections', connections],
    ['--minutes', minutes],
    ['--pace', pace],
    ['--interval-seconds', interval],
    ...(processes === undefined ? [] : [['--processes', processes]]),
  ]
    .flat()
    .map(String);
}

/** @param {Record<string, any>} summary */
function say(summary) {
  const whole = (/** @type {number} */ value) => value.toLocaleString('en-US');
  const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    [
      `${whole(summary.open)} open, ${whole(summary.refused)} refused, ${whole(summary.lost)} lost`,
      `${whole(summary.answers)} of ${whole(summary.sent)} messages answered, ${whole(summary.late)} late, ${whole(summary.corrupt)} corrupt; ${whole(summary.pings)} pings answered`,
      `resident ${megabytes(summary.residentBytesMean)} (most ${megabytes(summary.residentBytesMax)}; ${megabytes(summary.residentBytesBefore)} before): ${summary.bytesPerConnection} bytes for each connection`,
      `CPU ${(summary.cpuMean * 100).toFixed(1)} % of a processor (most ${(summary.cpuMax * 100).toFixed(1)} %) for ${whole(summary.messagesPerSecond)} messages a second`,
      `kernel about ${whole(summary.kernelBytesPerEnd)} bytes for each end; client ${summary.clientBytesPerConnection} bytes for each connection`,
    ].join('\n'),
  );
}

async function main() {
  const asked = plan(process.argv.slice(2));
  insist(asked.connections, asked.force);
  const ends = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ends.abort());
  const { rows, summary, failure } = await measure(asked, ends.signal);
  const meta = {
    ...machine(),
    memoryBytes: os.totalmem(),
    version: require('../package.json').version,
    server: path.relative(ROOT, asked.server),
    connections: asked.connections,
    minutes: asked.minutes,
    pace: asked.pace,
    intervalSeconds: asked.interval,
    idleTimeoutSeconds: Number(process.env.IDLE_TIMEOUT) || null,
    interrupted: ends.signal.aborted,
    failure: failure ?? null,
  };
  say(summary);
  const result = { meta, summary, series: series(rows) };
  for (const file of write(asked.out, 'million', result, await chart(result))) {
    console.log(`written: ${file}`);
  }
  if (failure) throw new Error(failure);
  const isWhole = summary.open === asked.connections && summary.corrupt === 0 && summary.unanswered === 0;
  process.exitCode = isWhole || ends.signal.aborted ? 0 : 1;
}

process.on('exit', stopAll);

main().catch((error) => {
  console.error(`million: ${sentence(error)}`);
  process.exit(1);
});
