'use strict';

/**
 * `npm run scenarios` runs every scenario of `__test__/scenarios`, one file after another, and then the long ones of
 * `__test__/scenarios/long`, which `npm test` leaves out. `npm run scenarios -- NAME…` runs some, `-- --list` names
 * all. Goes on behind one that fails, and ends with status 1 then. What the machine has not got (root, `ip`, Linux)
 * a scenario says itself, as the reason why its tests are skipped.
 */

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join('__test__', 'scenarios');

/**
 * The scenarios of a folder by their names: the file without its suffix, with its folder in front.
 * @param {string} folder
 * @param {string} suffix
 * @returns {[name: string, file: string][]}
 */
function scenariosIn(folder, suffix) {
  const whole = path.join(ROOT, FOLDER, folder);
  const files = existsSync(whole) ? readdirSync(whole) : [];
  return files
    .filter((file) => file.endsWith(suffix))
    .sort()
    .map((file) => [path.posix.join(folder, file.slice(0, -suffix.length)), path.join(FOLDER, folder, file)]);
}

/** @param {string} file */
function run(file) {
  const { status, signal, error } = spawnSync(process.execPath, ['--test', file], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  return status === 0 ? undefined : (error?.message ?? signal ?? `status ${status}`);
}

const scenarios = new Map([...scenariosIn('', '.test.js'), ...scenariosIn('long', '.scenario.js')]);
const words = process.argv.slice(2);
if (words.includes('--list')) {
  for (const name of scenarios.keys()) console.log(name);
  process.exit(0);
}
const unknown = words.find((word) => !scenarios.has(word));
if (unknown !== undefined) {
  console.error(`No scenario is called '${unknown}'. There are: ${[...scenarios.keys()].join(', ')}.`);
  process.exit(2);
}

let failed = 0;
for (const name of words.length > 0 ? words : scenarios.keys()) {
  const started = Date.now();
  console.log(`\n== ${name}`);
  const failure = run(scenarios.get(name) ?? '');
  failed += failure === undefined ? 0 : 1;
  const outcome = failure === undefined ? 'passed' : `FAILED (${failure})`;
  console.log(`== ${name}: ${outcome}, ${Math.round((Date.now() - started) / 1000)} s`);
}
if (failed > 0) {
  console.error(`\n${failed} failed.`);
  process.exit(1);
}
