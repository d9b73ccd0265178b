'use strict';

/**
 * Builds the native addon and puts it beside package.json, where lib/binding.js looks first:
 * `npm run build`, or `npm run build -- --debug` for a build that is quick to make.
 *
 * `npm run build -- --target TRIPLE` makes the addon of a release instead, in `artifacts/`: for one of the targets in
 * package.json, built as scripts/targets.js says. It fails if that asks for a newer system than was promised.
 */

const { spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const { developmentBuild } = require('../lib/platform');
const { faultsOf } = require('./addon_floor');
const { GLIBC, environment, platformOf, subcommand, targets } = require('./targets');

const ROOT = path.join(__dirname, '..');

/** Where addons of a release are put. */
const ARTIFACTS = path.join(ROOT, 'artifacts');

const NO_CARGO = `tidewire is built with Rust, and cargo was not found.
Get Rust from https://rustup.rs (stable), open a new terminal, and run this again.`;

const NO_ZIGBUILD = `Addons for Linux are built by cargo-zigbuild and Zig, which were not found.
Install them: npm run zig (needs Python 3).`;

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/**
 * Runs cargo, and returns the path of the library that it says it made. So a target directory that is
 * set in the environment or in cargo's configuration needs no thought.
 * @param {string[]} command what begins it: `build`
 * @param {string[]} profile
 * @param {NodeJS.ProcessEnv} [env]
 */
function buildLibrary(command, profile, env = process.env) {
  const flags = [...command, '--lib', '--message-format=json-render-diagnostics', ...profile];
  const cargo = spawnSync('cargo', flags, {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (cargo.error) {
    fail('code' in cargo.error && cargo.error.code === 'ENOENT' ? NO_CARGO : `cargo: ${cargo.error.message}`);
  }
  if (cargo.status !== 0)
    fail(`cargo build failed (${cargo.signal ?? cargo.status}); what it said is above.`);

  const library = cargo.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'tidewire')
    .flatMap(({ filenames }) => filenames)
    .find((file) => /\.(so|dylib|dll)$/.test(file));
  return library ?? fail('cargo build made no dynamic library: is "cdylib" a crate-type in Cargo.toml?');
}

/**
 * Replaces the addon by rename: a process that has the old one mapped keeps it whole.
 * @param {string} library
 * @param {string} addon
 */
function install(library, addon) {
  if (existsSync(addon) && readFileSync(addon).equals(readFileSync(library))) return;
  const fresh = `${addon.slice(0, -'.node'.length)}.${process.pid}.node`;
  try {
    copyFileSync(library, fresh);
    renameSync(fresh, addon);
  } catch (error) {
    rmSync(fresh, { force: true });
    // Windows does not replace a library that is in use.
    fail(
      `Cannot write ${addon}: ${error}\nIf a process still runs with it, end the process and build again.`,
    );
  }
}

/**
 * The addon of a release for one target.
 * @param {string} target
 */
function release(target) {
  if (!targets.includes(target)) fail(`No release is made for ${target}. Targets: ${targets.join(', ')}.`);
  const [command = '', ...rest] = subcommand(target);
  // The sources have to be there before their paths can be told.
  const fetched = spawnSync('cargo', ['fetch', '--locked', '--target', target], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (fetched.error) fail(NO_CARGO);
  if (fetched.status !== 0) fail('cargo fetch failed; what it said is above.');
  const env = environment(target);
  if (command === 'zigbuild' && spawnSync('cargo-zigbuild', ['--version'], { env }).status !== 0) {
    fail(NO_ZIGBUILD);
  }
  const library = buildLibrary([command, ...rest], ['--release', '--locked'], env);

  const platform = platformOf(target);
  const [, , abi] = platform.split('-');
  const faults = abi === 'gnu' || abi === 'musl' ? faultsOf(library, abi, GLIBC) : [];
  if (faults.length > 0) fail(`${library} is no addon for ${target}: ${faults.join('; ')}.`);
  mkdirSync(ARTIFACTS, { recursive: true });
  install(library, path.join(ARTIFACTS, `tidewire.${platform}.node`));
}

const [mode = '--release', target, ...surplus] = process.argv.slice(2);
if (mode === '--target' && target !== undefined && surplus.length === 0) {
  release(target);
} else if (['--release', '--debug'].includes(mode) && target === undefined) {
  const profile = mode === '--release' ? ['--release'] : [];
  install(buildLibrary(['build'], profile), path.join(ROOT, developmentBuild));
} else {
  fail('Usage: npm run build -- [--release | --debug | --target TRIPLE]');
}
