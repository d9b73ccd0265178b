'use strict';

/**
 * `npm run fuzz -- [SECONDS] [TARGET…]` runs each fuzz target for so many seconds (60), one after
 * another; `npm run fuzz -- differential [FRAMES [SEED]]` compares with tungstenite. fuzz/README.md says
 * more. Ends with status 1 if a property was broken; the input's path is printed.
 */

const { spawnSync } = require('node:child_process');
const { mkdirSync, readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const TRIPLE = 'x86_64-unknown-linux-gnu';

/**
 * LLVM's coverage for libFuzzer: counters at each edge, and what is compared. Plain options of code
 * generation, so a stable compiler takes them. Given with `--target`, they do not apply to build scripts.
 */
const COVERAGE = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
];

/** Longest input in bytes, one input's longest time in seconds, and most memory in MiB. */
const LIMITS = ['-max_len=8192', '-timeout=10', '-rss_limit_mb=1024'];

const NO_TOOLS = `Fuzzing needs Rust (https://rustup.rs, stable) and a C++ compiler, which builds libFuzzer
(Debian: apt-get install g++). What failed is above.`;

/** @param {string} message @param {number} status @returns {never} */
function fail(message, status = 1) {
  console.error(message);
  process.exit(status);
}

/** @param {string[]} values @param {NodeJS.ProcessEnv} [env] */
function cargo(values, env = process.env) {
  const { status } = spawnSync('cargo', values, { cwd: ROOT, stdio: 'inherit', env });
  return status;
}

/**
 * Builds the targets, and says where they are. Only these: the other binaries have no libFuzzer to link.
 * @param {string[]} targets
 */
function build(targets) {
  const bins = targets.flatMap((target) => ['--bin', `fuzz-${target}`]);
  const flags = ['build', '-p', 'tidewire-fuzz', '--features', 'libfuzzer', '--profile', 'fuzz', ...bins];
  const folder = path.join(ROOT, 'target');
  const status = cargo([...flags, '--locked', '--target', TRIPLE, '--target-dir', folder], {
    ...process.env,
    RUSTFLAGS: COVERAGE.join(' '),
  });
  if (status !== 0) fail(NO_TOOLS);
  return path.join(folder, TRIPLE, 'fuzz');
}

/** @param {string} folder */
function count(folder) {
  return readdirSync(folder).length;
}

/**
 * Runs one target, and returns the inputs that it failed on.
 * @param {string} target
 * @param {string} programs
 * @param {number} seconds
 */
function fuzz(target, programs, seconds) {
  const found = path.join(ROOT, 'fuzz', 'found', target);
  const [corpus, findings] = [path.join(found, 'corpus'), path.join(found, 'findings')];
  for (const folder of [corpus, findings]) mkdirSync(folder, { recursive: true });
  const seeds = ['corpus', 'regressions'].map((folder) => path.join(ROOT, 'fuzz', folder, target));
  const before = new Set(readdirSync(findings));
  const { status, stderr } = spawnSync(
    path.join(programs, `fuzz-${target}`),
    [
      corpus,
      ...seeds.filter((folder) => readdirOrNone(folder).length > 0),
      `-max_total_time=${seconds}`,
      `-artifact_prefix=${findings}${path.sep}`,
      '-print_final_stats=1',
      ...LIMITS,
    ],
    { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  const [executions] = stderr.match(/(?<=number_of_executed_units: +)\d+/) ?? ['?'];
  const [, edges = '?', features = '?'] = [...stderr.matchAll(/ cov: (\d+) ft: (\d+)/g)].at(-1) ?? [];
  const fresh = readdirSync(findings).filter((file) => !before.has(file));
  console.log(
    `${target}: ${executions} executions, coverage ${edges} edges (${features} features), ` +
      `corpus ${count(corpus)} inputs, ${fresh.length} findings`,
  );
  if (status !== 0 && fresh.length === 0) fail(`${target} ended with ${status}:\n${stderr.slice(-4000)}`);
  if (fresh.length > 0) {
    const lines = stderr.split('\n');
    const panic = lines.findIndex((line) => line.includes('panicked at'));
    console.error(lines.slice(Math.max(panic, 0), Math.max(panic, 0) + 4).join('\n'));
  }
  return fresh.map((file) => path.join(findings, file));
}

/** @param {string} folder */
function readdirOrNone(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** @param {string[]} wanted */
function fuzzAll(wanted) {
  const targets = readdirSync(path.join(ROOT, 'fuzz', 'fuzz_targets')).map((file) =>
    path.basename(file, '.rs'),
  );
  const numbers = wanted.filter((word) => /^[1-9]\d*$/.test(word));
  const names = wanted.filter((word) => !numbers.includes(word));
  const unknown = names.find((name) => !targets.includes(name));
  if (unknown !== undefined || numbers.length > 1) {
    fail(`Usage: npm run fuzz -- [SECONDS] [TARGET…], with targets of: ${targets.join(', ')}.`, 2);
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    fail('The fuzzers run on Linux on x86-64. `cargo test -p tidewire-fuzz` replays their inputs anywhere.');
  }
  const chosen = names.length > 0 ? names : targets;
  const programs = build(chosen);
  const seconds = Number(numbers[0] ?? 60);
  const findings = chosen.flatMap((target) => fuzz(target, programs, seconds));
  if (findings.length > 0) fail(`Broken properties, by these inputs:\n${findings.join('\n')}`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'differential') {
  const status = cargo([
    'run',
    '--release',
    '--locked',
    '-p',
    'tidewire-fuzz',
    '--bin',
    'differential',
    '--',
    ...rest,
  ]);
  process.exit(status ?? 1);
}
fuzzAll(first === undefined ? [] : [first, ...rest]);
