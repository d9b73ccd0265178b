'use strict';

/**
 * `npm run scenarios` runs every scenario of `__test__/scenarios`, one file after another, and then the long ones of
 * `__test__/scenarios/long`, which `npm test` leaves out. `npm run scenarios -- NAME…` runs some, `-- --list` names
 * all. Goes on behind one that fails, and ends with status 1 then. What the machine has not got (root, `ip`, Linux)
 * a scenario says itself, as the reason why its tests are skipped; how many those are stands behind its name.
 */

const { spawnSync } = require('node:child_process');
const { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } = require('node:fs');
const os = require('node:os');
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

/**
 * @param {string} file
 * @returns {{ failure?: string, skipped: number }}
 */
function run(file) {
  const report = path.join(reports, 'tap');
  const reporters = { spec: 'stdout', tap: report };
  const flags = Object.entries(reporters).flatMap(([name, destination]) => [
    `--test-reporter=${name}`,
    `--test-reporter-destination=${destination}`,
  ]);
  const { status, signal, error } = spawnSync(process.execPath, ['--test', ...flags, file], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  const [, skipped = 0] = existsSync(report)
    ? (/^# skipped (\d+)$/m.exec(readFileSync(report, 'utf8')) ?? [])
    : [];
  if (status === 0) return { skipped: Number(skipped) };
  return { failure: error?.message ?? signal ?? `status ${status}`, skipped: Number(skipped) };
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

const reports = mkdtempSync(path.join(os.tmpdir(), 'scenarios-'));
process.once('exit', () => rmSync(reports, { recursive: true }));
let failed = 0;
for (const name of words.length > 0 ? words : scenarios.keys()) {
  const started = Date.now();
  console.log(`\n== ${name}`);
  const { failure, skipped } = run(scenarios.get(name) ?? '');
  failed += failure === undefined ? 0 : 1;
  const outcome = failure === undefined ? 'passed' : `FAILED (${failure})`;
  console.log(
    `== ${name}: ${outcome}${skipped > 0 ? `, ${skipped} SKIPPED` : ''}, ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
if (failed > 0) {
  console.error(`\n${failed} failed.`);
  process.exit(1);
}
