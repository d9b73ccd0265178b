'use strict';

// One table: which servers there are, rounds in which they take turns, what is printed of them. Used by run.js and all.js.

const os = require('node:os');

const { certificate } = require('./certificate');
const { load } = require('./client');
const { recipe, start, version } = require('./launch');
const { sentence } = require('./machine');
const { CLIENT, SCENARIOS } = require('./scenarios');
const { table } = require('./table');

/** Above this share of its processor the client, not the server, may be what was measured. */
const CLIENT_BUSY = 0.95;

/** Above as many processors, what else runs on the machine spoils rates and latencies. */
const OTHER_WORK = 0.1;

/**
 * @typedef {import('./scenarios').Options} Options
 * @typedef {import('./scenarios').Report} Report
 *
 * @typedef {object} Contestant who takes part in a table
 * @property {string} name its row
 * @property {string} server `raw`, or a file of `bench/servers/`
 * @property {Record<string, string>} [env] of the server
 * @property {Options} [options] of the client, beside those of the table
 *
 * @typedef {object} Measurement what makes a table
 * @property {string} scenario
 * @property {Options} options
 * @property {Contestant[]} contestants
 * @property {boolean} pin whether server and client get a processor each
 *
 * @typedef {object} Measured
 * @property {string} title
 * @property {Map<string, Report[]>} reports of each contestant, by the number of the round; a hole where one failed
 * @property {string[]} notes what a reader should know
 * @property {string[]} failures
 */

/** @returns {boolean} whether server and client can have a processor each */
function canPin() {
  return process.platform === 'linux' && os.cpus().length >= 2 && version('taskset') !== undefined;
}

/** @type {Map<string, import('./launch').Recipe | undefined>} by folder and name; undefined: it cannot be started */
const known = new Map();

/**
 * How to start a server, if it can be: it is tried once, and a line says why not.
 *
 * @param {string} name
 * @param {string} folder of `bench/servers/`
 * @param {boolean} isSecure whether it shall speak TLS
 * @param {import('./client').Programs} programs
 */
async function tried(name, folder, isSecure, programs) {
  const key = `${folder}/${name}${isSecure ? ' over TLS' : ''}`;
  if (known.has(key)) return known.get(key);
  try {
    if (name === 'raw' && isSecure) throw new Error('it speaks no TLS');
    const way = recipe(name, programs.raw, folder);
    await (await start(way)).stop();
    known.set(key, way);
  } catch (error) {
    known.set(key, undefined);
    console.log(`skipped: ${name} (${sentence(error)})`);
  }
  return known.get(key);
}

/**
 * What a server's environment and the client's arguments have besides.
 *
 * @param {string} scenario
 * @param {Options} options
 * @returns {{ env: Record<string, string>, args: string[] }}
 */
function means(scenario, options) {
  const env = SCENARIOS[scenario].env?.(options) ?? {};
  if (!options.tls) return { env, args: [] };
  const files = certificate(options.key ?? 'ecdsa');
  return { env: { ...env, TLS_KEY: files.key, TLS_CERT: files.cert }, args: ['--tls', files.cert] };
}

/**
 * Measures all contestants: A B C, A B C, each time a fresh process.
 *
 * @param {Measurement} measurement
 * @param {import('./client').Programs} programs
 * @returns {Promise<Pick<Measured, 'reports' | 'failures'>>}
 */
async function rounds({ scenario, options, contestants, pin }, programs) {
  const { args, rounds, folder = '' } = SCENARIOS[scenario];
  /** @type {Map<string, Report[]>} */
  const reports = new Map();
  const failures = [];
  for (let round = 0; round < Number(options.rounds ?? rounds); round++) {
    for (const { name, server: program, env, options: own } of contestants) {
      const way = await tried(program, folder, options.tls ?? false, programs);
      if (way === undefined) continue;
      const all = { ...options, ...own };
      const further = means(scenario, all);
      const server = await start(way, { core: pin ? 0 : undefined, env: { ...further.env, ...env } });
      try {
        const words = [...args(all, way.collects), ...further.args];
        const seconds = Number(options.seconds ?? 5);
        const report = await load(programs.load, words, server, { core: pin ? 1 : undefined, seconds });
        const sofar = reports.get(name) ?? [];
        sofar[round] = report;
        reports.set(name, sofar);
      } catch (error) {
        failures.push(`${name}, round ${round + 1}: ${sentence(error)}`);
      } finally {
        await server.stop();
      }
    }
  }
  return { reports, failures };
}

/**
 * What a reader of a table should know of its rounds.
 *
 * @param {import('./scenarios').Column[]} columns
 * @param {Map<string, Report[]>} reports
 * @returns {string[]}
 */
function notes(columns, reports) {
  return [...reports].flatMap(([name, rounds]) => {
    const said = [];
    const isHeldBack = rounds.some(
      ({ clientCpu, serverCpu }) => clientCpu?.busy > CLIENT_BUSY && serverCpu?.busy < clientCpu.busy,
    );
    if (isHeldBack && columns.includes(CLIENT)) {
      said.push(`with ${name}, the client was as busy as can be: its rate is a lower bound`);
    }
    const compressedPart = rounds.reduce((least, report) => Math.min(least, report.compressedPart ?? 1), 1);
    if (compressedPart < 1) {
      const percent = (100 * (1 - compressedPart)).toFixed(1);
      said.push(
        `with ${name}, ${percent} % of the answers came as they are: compare no rate with who compresses`,
      );
    }
    const otherWork = rounds.reduce((most, report) => Math.max(most, report.otherWork ?? 0), 0);
    if (otherWork > OTHER_WORK) {
      said.push(
        `with ${name}, other work took up to ${otherWork.toFixed(2)} processors: trust no rate or latency`,
      );
    }
    return said;
  });
}

/**
 * Measures, and prints the table and what is to be said of it.
 *
 * @param {Measurement} measurement
 * @param {import('./client').Programs} programs
 * @returns {Promise<Measured>}
 */
async function measure(measurement, programs) {
  const { options, pin } = measurement;
  const scenario = SCENARIOS[measurement.scenario];
  const title =
    scenario.title(options) +
    (options.tls ? `, over TLS (${options.key ?? 'ecdsa'} key)` : '') +
    (pin ? '' : ', no processors assigned');
  console.log(`\n${title} (median of ${options.rounds ?? scenario.rounds})`);
  const { reports, failures } = await rounds(measurement, programs);
  const said = notes(scenario.columns, reports);
  if (reports.size > 0) console.log(table(scenario.columns, reports));
  for (const note of said) console.log(`note: ${note}`);
  for (const failure of failures) console.log(`failed: ${failure}`);
  return { title, reports, notes: said, failures };
}

module.exports = { canPin, measure };
