'use strict';

/**
 * What `npm test` runs; `npm test -- lint`, `-- rust` and `-- js` run a part of it. Stops at the first
 * step that fails, with its status.
 */

const { spawnSync } = require('node:child_process');
const { readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');

/** Every crate that this platform has a use for: what the bench's load client asks of the system, Windows has not got. */
const CRATES = ['--workspace', ...(process.platform === 'win32' ? ['--exclude', 'tidewire-load'] : [])];

/**
 * Each step: its part, its name, and the command. Cheap steps come first.
 * @type {[part: string, name: string, command: () => string[]][]}
 */
const STEPS = [
  ['lint', 'cargo fmt', () => ['cargo', 'fmt', '--all', '--check']],
  ['lint', 'docs', () => [...tool('typedoc'), '--emit', 'none']],
  ['lint', 'biome', () => [...tool('@biomejs/biome'), 'check', '--error-on-warnings']],
  ['lint', 'types', () => tool('typescript')],
  ['lint', 'clippy', () => cargo('clippy', ...CRATES, '--all-targets', '--locked', '--', '-D', 'warnings')],
  ['rust', 'cargo test', () => cargo('test', ...CRATES, '--locked')],
  ['rust', 'loom models', () => cargo('test', '--locked', '--features', 'loom', '--lib', 'model::')],
  ['js', 'build', () => [process.execPath, 'scripts/build.js']],
  ['js', 'node --test', () => [process.execPath, '--test', ...testFiles()]],
];

/** @param {string[]} values */
function cargo(...values) {
  return ['cargo', ...values];
}

/**
 * A tool of node_modules, run by this Node and not by a shell: the same on Windows.
 * @param {string} name
 */
function tool(name) {
  const manifest = require.resolve(`${name}/package.json`);
  const [script] = Object.values(require(manifest).bin);
  return [process.execPath, path.join(path.dirname(manifest), script)];
}

/** Every test file by its name: what `node --test` makes of a directory differs between versions. */
function testFiles() {
  return readdirSync(path.join(ROOT, '__test__'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.test\.m?js$/.test(file))
    .sort()
    .map((file) => path.join('__test__', file));
}

/**
 * @param {string} name
 * @param {string[]} command
 */
function run(name, [program = '', ...values]) {
  const started = Date.now();
  console.log(`\n== ${name}`);
  const { status, signal, error } = spawnSync(program, values, { cwd: ROOT, stdio: 'inherit' });
  if (status === 0) {
    console.log(`== ${name}: passed (${Math.round((Date.now() - started) / 1000)} s)`);
    return;
  }
  console.error(`== ${name}: FAILED (${error?.message ?? signal ?? `status ${status}`})`);
  process.exit(status || 1);
}

const parts = new Set(STEPS.map(([part]) => part));
const wanted = process.argv.slice(2);
for (const part of wanted) {
  if (parts.has(part)) continue;
  console.error(`No part is called '${part}'. There are: ${[...parts].join(', ')}.`);
  process.exit(2);
}
for (const [part, name, command] of STEPS) {
  if (wanted.length === 0 || wanted.includes(part)) run(name, command());
}
