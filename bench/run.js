'use strict';

// npm run bench -- [scenario] [options]: measures servers in turn and prints a table for each row.
// See bench/README.md.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { KINDS, certificate } = require('./certificate');
const { build, load } = require('./client');
const { recipe, start, stopAll, version } = require('./launch');
const { machine, sentence } = require('./machine');
const { CLIENT, DEFAULT_SET, SCENARIOS } = require('./scenarios');
const { medians, table } = require('./table');

const SERVERS = 'raw,tidewire,bun,ws';

/** Those that compress, and that speak TLS. */
const CAPABLE = 'tidewire,bun,ws';

/** Above this share of its processor the client, not the server, may be what was measured. */
const CLIENT_BUSY = 0.95;

/** Above as many processors, what else runs on the machine spoils rates and latencies. */
const OTHER_WORK = 0.1;

/**
 * @typedef {object} Plan what the command line asks for
 * @property {{ scenario: string, options: import('./scenarios').Options }[]} rows
 * @property {string[]} servers
 * @property {boolean} pin
 * @property {boolean} json
 * @property {Record<string, string>} env of the servers
 *
 * @typedef {object} Means what a row is measured with
 * @property {Record<string, string>} env of the servers
 * @property {string[]} args of the load client, besides those of the scenario
 */

/**
 * @param {string[]} words
 * @returns {Plan}
 */
function plan(words) {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean' });
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      size: text,
      connections: text,
      'in-flight': text,
      seconds: text,
      rounds: text,
      concurrency: text,
      'message-bytes': text,
      'settle-seconds': text,
      subscribers: text,
      together: text,
      text: flag,
      echo: flag,
      browser: flag,
      deflate: flag,
      tls: flag,
      key: text,
      servers: text,
      'binary-type': text,
      pin: flag,
      'no-pin': flag,
      json: flag,
    },
  });
  const { servers, 'binary-type': binaryType, pin, 'no-pin': noPin, json, ...options } = values;
  const [scenario, surplus] = positionals;
  if (surplus !== undefined) throw new Error(`one scenario at a time: ${scenario} or ${surplus}?`);
  if (scenario !== undefined && !Object.hasOwn(SCENARIOS, scenario)) {
    throw new Error(`there is no scenario ${scenario}; there are ${Object.keys(SCENARIOS).join(', ')}`);
  }
  if (options.rounds !== undefined && !(Number(options.rounds) >= 1)) {
    throw new Error(`--rounds is ${options.rounds}, but must be 1 or more`);
  }
  if (options.key !== undefined && !KINDS.includes(options.key)) {
    throw new Error(`--key is ${options.key}, but there are ${KINDS.join(' and ')}`);
  }
  const { variants = [{}], secure, servers: usual } = scenario === undefined ? {} : SCENARIOS[scenario];
  if (secure) options.tls = true;
  else if (options.key !== undefined) options.tls = true;
  const capable = options.deflate || options.tls ? CAPABLE : SERVERS;
  const set = DEFAULT_SET.map((row) => ({ ...row, options: { ...row.options, ...options } }));
  const asked = variants.map((variant) => ({
    scenario: String(scenario),
    options: { ...variant, ...options },
  }));
  const varied = /** @type {(keyof typeof options)[]} */ (variants.flatMap(Object.keys));
  const isChosen = varied.some((name) => options[name] !== undefined);
  return {
    rows: scenario === undefined ? set : isChosen ? asked.slice(0, 1) : asked,
    servers: (servers ?? usual ?? capable).split(',').filter(Boolean),
    pin: !noPin && (pin || canPin()),
    json: json ?? false,
    env: {
      ...(binaryType === undefined ? {} : { BINARY_TYPE: binaryType }),
      ...(options.deflate ? { DEFLATE: '1' } : {}),
    },
  };
}

/** @returns {boolean} whether server and client can have a processor each */
function canPin() {
  return process.platform === 'linux' && os.cpus().length >= 2 && version('taskset') !== undefined;
}

/**
 * @param {import('./scenarios').Options} options of a row
 * @param {Plan} plan
 * @returns {Means}
 */
function means({ tls, key = 'ecdsa' }, { env }) {
  if (!tls) return { env, args: [] };
  const files = certificate(key);
  return { env: { ...env, TLS_KEY: files.key, TLS_CERT: files.cert }, args: ['--tls', files.cert] };
}

/**
 * The servers that can be started; a line for each that cannot.
 *
 * @param {Plan} plan
 * @param {import('./client').Programs} programs
 * @param {string | undefined} folder of `bench/servers/`
 * @param {Means} means
 * @returns {Promise<Map<string, import('./launch').Recipe>>}
 */
async function available({ servers }, programs, folder, { env, args }) {
  const found = new Map();
  for (const name of servers) {
    try {
      if (name === 'raw' && args.length > 0) throw new Error('it speaks no TLS');
      const way = recipe(name, programs.raw, folder);
      await (await start(way, { env })).stop();
      found.set(name, way);
    } catch (error) {
      console.log(`skipped: ${name} (${sentence(error)})`);
    }
  }
  return found;
}

/**
 * Measures all servers of one row: A B C, A B C, each time a fresh process.
 *
 * @param {Plan['rows'][number]} row
 * @param {Map<string, import('./launch').Recipe>} recipes
 * @param {import('./client').Programs} programs
 * @param {boolean} pin
 * @param {Means} means
 * @returns {Promise<{ reports: Map<string, import('./scenarios').Report[]>, failures: string[] }>}
 */
async function measure({ scenario, options }, recipes, programs, pin, { env, args: further }) {
  const { args, rounds } = SCENARIOS[scenario];
  /** @type {Map<string, import('./scenarios').Report[]>} */
  const reports = new Map();
  const failures = [];
  for (let round = 1; round <= Number(options.rounds ?? rounds); round++) {
    for (const [name, way] of recipes) {
      const server = await start(way, { core: pin ? 0 : undefined, env });
      try {
        const seconds = Number(options.seconds ?? 5);
        const report = await load(programs.load, [...args(options, way.collects), ...further], server, {
          core: pin ? 1 : undefined,
          seconds,
        });
        reports.set(name, [...(reports.get(name) ?? []), report]);
      } catch (error) {
        failures.push(`${name}, round ${round}: ${sentence(error)}`);
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
 * @param {Map<string, import('./scenarios').Report[]>} reports
 * @returns {string[]}
 */
function notes(columns, reports) {
  return [...reports].flatMap(([name, rounds]) => {
    const said = [];
    const isHeldBack = rounds.some(
      ({ clientCpu, serverCpu }) => clientCpu?.busy > CLIENT_BUSY && serverCpu?.busy < clientCpu.busy,
    );
    if (isHeldBack && columns.includes(CLIENT)) {
      said.push(`note: with ${name}, the client was as busy as can be: its rate is a lower bound`);
    }
    const otherWork = Math.max(...rounds.map((report) => report.otherWork ?? 0));
    if (otherWork > OTHER_WORK) {
      said.push(
        `note: with ${name}, other work took up to ${otherWork.toFixed(2)} processors: trust no rate or latency`,
      );
    }
    return said;
  });
}

/**
 * @param {unknown} results
 * @returns {string} the file's path
 */
function write(results) {
  const folder = path.join(__dirname, 'results');
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  return file;
}

async function main() {
  const asked = plan(process.argv.slice(2));
  const programs = build();
  const host = machine();
  console.log(`${host.cpu}, ${host.processors} processors, Linux ${host.kernel}, Node ${host.node}`);
  console.log(asked.pin ? 'server on processor 0, client on processor 1' : 'processors not assigned');
  /** @type {Map<string | undefined, Map<string, import('./launch').Recipe>>} by folder */
  const found = new Map();
  const results = [];
  let hasFailed = false;
  for (const row of asked.rows) {
    const { title, columns, rounds, folder } = SCENARIOS[row.scenario];
    const way = means(row.options, asked);
    const recipes = found.get(folder) ?? (await available(asked, programs, folder, way));
    found.set(folder, recipes);
    hasFailed ||= recipes.size === 0;
    const over = row.options.tls ? `, over TLS (${row.options.key ?? 'ecdsa'} key)` : '';
    console.log(`\n${title(row.options)}${over} (median of ${row.options.rounds ?? rounds})`);
    const { reports, failures } = await measure(row, recipes, programs, asked.pin, way);
    if (reports.size > 0) console.log(table(columns, reports));
    for (const note of notes(columns, reports)) console.log(note);
    for (const failure of failures) console.log(`failed: ${failure}`);
    hasFailed ||= failures.length > 0;
    const servers = [...reports].map(([server, rounds]) => {
      const titles = columns.map(({ title }) => title);
      const values = medians(columns, rounds);
      return { server, median: Object.fromEntries(titles.map((title, at) => [title, values[at]])), rounds };
    });
    results.push({ ...row, title: title(row.options), servers, failures });
  }
  if (asked.json) console.log(`\nwritten: ${write({ machine: host, pin: asked.pin, results })}`);
  process.exitCode = hasFailed ? 1 : 0;
}

process.on('exit', stopAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

main().catch((error) => {
  console.error(`bench: ${sentence(error)}`);
  process.exit(1);
});
