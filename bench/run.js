'use strict';

// npm run bench -- [scenario] [options]: measures servers in turn and prints a table for each row;
// npm run bench -- all: the suite, see all.js. See bench/README.md.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { all } = require('./all');
const { KINDS } = require('./certificate');
const { build } = require('./client');
const { stopAll } = require('./launch');
const { machine, sentence, told } = require('./machine');
const { canPin, measure } = require('./measure');
const { DEFAULT_SET, SCENARIOS } = require('./scenarios');
const { spreads } = require('./table');

const SERVERS = 'raw,tidewire,bun,ws';

/** Those that compress, and that speak TLS. */
const CAPABLE = 'tidewire,bun,ws';

/**
 * @typedef {object} Plan what the command line asks for
 * @property {{ scenario: string, options: import('./scenarios').Options }[]} rows
 * @property {string[]} servers
 * @property {boolean} pin
 * @property {boolean} json
 * @property {Record<string, string>} env of the servers, beside what the scenario needs
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
      live: text,
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
    env: binaryType === undefined ? {} : { BINARY_TYPE: binaryType },
  };
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
  if (process.argv[2] === 'all') {
    process.exitCode = (await all(process.argv.slice(3))) ? 0 : 1;
    return;
  }
  const asked = plan(process.argv.slice(2));
  const programs = build();
  const host = machine();
  console.log(told(host));
  console.log(asked.pin ? 'server on processor 0, client on processor 1' : 'processors not assigned');
  const contestants = asked.servers.map((server) => ({ name: server, server, env: asked.env }));
  const results = [];
  let hasFailed = false;
  for (const row of asked.rows) {
    const { columns } = SCENARIOS[row.scenario];
    const { title, reports, failures } = await measure({ ...row, contestants, pin: asked.pin }, programs);
    hasFailed ||= failures.length > 0 || reports.size === 0;
    const servers = [...reports].map(([server, rounds]) => {
      const titles = columns.map(({ title }) => title);
      const values = spreads(columns, rounds);
      return {
        server,
        median: Object.fromEntries(titles.map((title, at) => [title, values[at]?.median])),
        rounds,
      };
    });
    results.push({ ...row, title, servers, failures });
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
