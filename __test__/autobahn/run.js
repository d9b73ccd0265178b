'use strict';

/**
 * The Autobahn testsuite against an echo server: `npm run autobahn`, `npm run autobahn -- --quick`, or with
 * cases: `npm run autobahn -- '7.*' 10.1.1`. `--shared` takes the route whose compressors keep no context,
 * `--secure` goes over TLS and takes a sample of each group, or the cases that are named.
 * Installs the suite at the first run into AUTOBAHN_HOME, by
 * default node_modules/.cache/autobahn. Ends with 0 if all results are those of expected.json, with 1 if one
 * is not, better or worse, and with 2 if the suite could not be run.
 */

const { fork, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const expected = require('./expected.json');
const { ALL, QUICK, SECURE, VERDICTS, runCases } = require('./suite');

const HOME = path.resolve(
  process.env.AUTOBAHN_HOME ?? path.join(__dirname, '../../node_modules/.cache/autobahn'),
);
const REPORTS = path.join(HOME, 'reports');

const FLAGS = ['--quick', '--shared', '--secure'];

/** Runs at once: the suite works on one core, and the server on another. */
const RUNS_AT_ONCE = 2;

/** @param {string} message @returns {never} */
function giveUp(message) {
  console.error(message);
  process.exit(2);
}

function install() {
  const script = path.join(__dirname, 'install.sh');
  const { status, error } = spawnSync('bash', [script, HOME], { stdio: 'inherit' });
  if (status === 0) return;
  giveUp(`The Autobahn testsuite is NOT run: ${error?.message ?? 'it could not be installed, see above'}.`);
}

/**
 * The server, and where it listens.
 * @param {boolean | undefined} secure
 * @returns {Promise<{ server: import('node:child_process').ChildProcess, url: string }>}
 */
async function startServer(secure) {
  const server = fork(path.join(__dirname, 'server.js'), secure ? ['--secure'] : []);
  const [port] = await Promise.race([once(server, 'message'), once(server, 'exit').then(() => [0])]);
  if (port) return { server, url: `${secure ? 'wss' : 'ws'}://127.0.0.1:${port}` };
  return giveUp('The Autobahn testsuite is NOT run: the echo server does not start (npm run build).');
}

/**
 * Runs lists of cases, some at once, and puts what they give together.
 * @param {string[][]} lists
 * @param {string} url
 */
async function runAll(lists, url) {
  /** @type {Map<string, string>} */
  const verdicts = new Map();
  /** @type {string[]} */
  const faults = [];
  const waiting = [...lists.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [number, cases] = next;
      const output = path.join(REPORTS, String(number));
      const run = await runCases({ home: HOME, url, cases, output });
      for (const [id, verdict] of run.verdicts) verdicts.set(id, verdict);
      console.log(`  ${run.verdicts.size} cases of ${cases.join(' ')} are done`);
      if (run.trouble) faults.push(`${run.trouble}: ${output}/wstest.log`);
      if (run.missing.length > 0) faults.push(`no result: ${run.missing.join(' ')}`);
    }
  };
  await Promise.all(Array.from({ length: RUNS_AT_ONCE }, lane));
  return { verdicts, faults };
}

/** Whether a case is one of a pattern: '7.1.6' or '12.*'. */
function matches(/** @type {string} */ pattern, /** @type {string} */ id) {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : id === pattern;
}

/** Prints the results, and returns what is not as expected. */
function judge(/** @type {Map<string, string>} */ verdicts) {
  const ids = [...verdicts.keys()].sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  const counts = VERDICTS.map((verdict) => [
    verdict,
    ids.filter((id) => verdicts.get(id) === verdict).length,
  ]);
  const shown = counts.filter(
    ([verdict, count]) => count || ['OK', 'NON-STRICT', 'FAILED'].includes(String(verdict)),
  );
  console.log(`${ids.length} cases: ${shown.map(([verdict, count]) => `${count} ${verdict}`).join(', ')}`);

  for (const { cases, verdict, reason } of expected.notOk) {
    const those = ids.filter((id) => matches(cases, id) && verdicts.get(id) === verdict);
    if (those.length > 0) console.log(`  ${cases} ${verdict} (${those.length}), as expected: ${reason}`);
  }
  return ids.flatMap((id) => {
    const wanted = expected.notOk.find(({ cases }) => matches(cases, id))?.verdict ?? 'OK';
    const verdict = verdicts.get(id);
    return verdict === wanted ? [] : [`${id} is ${verdict}, expected ${wanted}`];
  });
}

/**
 * What is wrong with the number of cases that a whole run had.
 * @param {Map<string, string>} verdicts
 * @param {Record<string, number>} cases
 */
function judgeCounts(verdicts, cases) {
  return Object.entries(cases).flatMap(([group, count]) => {
    const ran = [...verdicts.keys()].filter((id) => id.startsWith(`${group}.`)).length;
    return ran === count ? [] : [`${ran} cases of ${group}, expected ${count}`];
  });
}

async function main() {
  const wanted = process.argv.slice(2);
  const [quick, shared, secure] = FLAGS.map((flag) => wanted.includes(flag));
  const patterns = wanted.filter((word) => !FLAGS.includes(word));
  if (patterns.some((pattern) => !/^\d[\d.]*\*?$/.test(pattern)))
    giveUp(
      "Usage: npm run autobahn [-- [--quick] [--shared] [--secure] [CASES...]], where cases are like 7.1.6 or '7.*'",
    );

  install();
  const { server, url } = await startServer(secure);
  const started = Date.now();
  const lists = patterns.length > 0 ? [patterns] : secure ? SECURE : quick ? QUICK : ALL;
  const { verdicts, faults } = await runAll(lists, shared ? `${url}/shared` : url);
  const differences = judge(verdicts);
  if (lists === ALL) faults.push(...judgeCounts(verdicts, expected.cases));
  if (lists === SECURE) faults.push(...judgeCounts(verdicts, expected.secureCases));
  if (server.exitCode !== null || server.signalCode !== null)
    faults.push(`the echo server ended with ${server.signalCode ?? server.exitCode}`);
  server.disconnect();

  for (const line of [...faults, ...differences]) console.error(`  ${line}`);
  console.log(`Reports: ${REPORTS}/*/index.html (${Math.round((Date.now() - started) / 1000)} s)`);
  const differs = faults.length + differences.length > 0 || verdicts.size === 0;
  console.log(differs ? 'Autobahn: NOT as in __test__/autobahn/expected.json' : 'Autobahn: as expected');
  process.exitCode = differs ? 1 : 0;
}

main().catch((error) => giveUp(String(error.stack)));
