'use strict';

/**
 * `npm run runtimes` runs the JavaScript tests on Node.js 18, 20, 22, 24 and the newest, on Bun and on Deno, all with
 * the one addon that is built, and writes what became of them into docs/runtimes.json and README's table.
 * `npm run runtimes -- node@18 bun` runs some of them, and `npm run runtimes -- bun __test__/tls_wire.test.js` some
 * files, of which nothing is written. The runtimes are npm packages, kept in target/runtimes; remove a folder there to get
 * what is newer. A file in which a test fails is run once more, and the second run counts. Ends with status 1 if a test
 * has failed.
 */

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync, readdirSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { developmentBuild } = require('../lib/platform');
const { ROOT, Runtime } = require('./runtimes/runtime');
const { TITLES, inserted } = require('./runtimes/table');

/** In the order of the table. */
const SPECIFIERS = ['node@18', 'node@20', 'node@22', 'node@24', 'node@latest', 'bun', 'deno'];

const RESULT = path.join(ROOT, 'docs', 'runtimes.json');
const README = path.join(ROOT, 'README.md');

/** Those of the measurements, which are made with one Node alone and take minutes, and that of the table itself. */
const LEFT_OUT = ['bench.test.js', 'million.test.js', 'runtimes.test.js', 'soak.test.js'];

/** Every other test file by its name. */
function testFiles() {
  return readdirSync(path.join(ROOT, '__test__'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.test\.m?js$/.test(file) && !LEFT_OUT.includes(file))
    .sort()
    .map((file) => `__test__/${file.replaceAll(path.sep, '/')}`);
}

/** The addon that all runtimes load. */
function addonOf() {
  const file = path.join(ROOT, developmentBuild);
  if (!existsSync(file)) throw new Error(`There is no ${developmentBuild}: run 'npm run build' first.`);
  return { file: developmentBuild, sha256: createHash('sha256').update(readFileSync(file)).digest('hex') };
}

function revision() {
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  return stdout?.trim() || 'unknown';
}

/**
 * @param {Runtime} runtime
 * @param {string[]} files
 * @returns {Promise<import('./runtimes/table').Run>}
 */
async function run(runtime, files) {
  runtime.install();
  const { version, napi } = runtime.versions();
  console.log(`\n== ${TITLES[runtime.name]} ${version}`);
  /** @type {import('./runtimes/table').Run} */
  const whole = {
    name: runtime.name,
    version,
    napi,
    date: new Date().toISOString(),
    revision: revision(),
    passed: 0,
    skipped: [],
    reasons: [],
    failed: [],
    repeated: [],
  };
  for (const file of files) {
    const started = Date.now();
    let outcome = await runtime.test(file);
    // A busy machine is not the runtime's fault.
    if (outcome.failed.length > 0) {
      console.log(`${file}: once more, since ${outcome.failed.length} failed\n${outcome.output}`);
      whole.repeated.push(file);
      outcome = await runtime.test(file);
    }
    const { passed, skipped, failed, reasons, output } = outcome;
    whole.passed += passed;
    whole.reasons.push(...reasons.filter((reason) => !whole.reasons.includes(reason)));
    whole.skipped.push(...skipped);
    whole.failed.push(...failed);
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(
      `${file}: ${passed} passed, ${skipped.length} skipped, ${failed.length} failed (${seconds} s)`,
    );
    if (failed.length > 0) console.log(output);
  }
  return whole;
}

/** The result as it is kept, without what was run with another addon. @returns {import('./runtimes/table').Result} */
function kept() {
  const addon = addonOf();
  const empty = { addon, platform: `${os.type()} ${process.arch}`, runs: [] };
  if (!existsSync(RESULT)) return empty;
  const result = JSON.parse(readFileSync(RESULT, 'utf8'));
  return result.addon.sha256 === addon.sha256 ? result : empty;
}

/** @param {import('./runtimes/table').Run} run */
function placeOf({ name, version }) {
  const place = SPECIFIERS.indexOf(`${name}@${version.split('.', 1)[0]}`);
  const own = SPECIFIERS.indexOf(name);
  return place >= 0 ? place : own >= 0 ? own : SPECIFIERS.indexOf(`${name}@latest`);
}

/** Keeps a run in place of that of the same row. @param {import('./runtimes/table').Run} run */
function keep(run) {
  const result = kept();
  result.runs = [...result.runs.filter((other) => placeOf(other) !== placeOf(run)), run];
  result.runs.sort((one, other) => placeOf(one) - placeOf(other));
  writeFileSync(RESULT, `${JSON.stringify(result, null, 1)}\n`);
  writeFileSync(README, inserted(readFileSync(README, 'utf8'), result));
}

/** @param {import('./runtimes/table').Run[]} runs */
function print(runs) {
  console.log();
  for (const { name, version, passed, skipped, reasons, failed, repeated } of runs) {
    console.log(
      `${TITLES[name]} ${version}: ${passed} passed, ${skipped.length} skipped, ${failed.length} failed`,
    );
    for (const test of skipped) console.log(`  skipped: ${test}`);
    for (const reason of reasons) console.log(`  because: ${reason}`);
    for (const file of repeated) console.log(`  run twice: ${file}`);
    for (const { test, message } of failed) console.log(`  FAILED: ${test}: ${message}`);
  }
}

async function main() {
  const words = process.argv.slice(2);
  const named = words.filter((word) => /\.test\.m?js$/.test(word));
  const specifiers = words.filter((word) => !named.includes(word));
  const runtimes = (specifiers.length > 0 ? specifiers : SPECIFIERS).map((word) => new Runtime(word));
  addonOf();
  const runs = [];
  for (const runtime of runtimes) {
    const whole = await run(runtime, named.length > 0 ? named : testFiles());
    if (named.length === 0) keep(whole);
    runs.push(whole);
  }
  print(runs);
  if (runs.some(({ failed }) => failed.length > 0)) process.exitCode = 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
