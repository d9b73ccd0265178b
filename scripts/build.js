'use strict';

/**
 * Builds the native addon and puts it beside package.json, where lib/binding.js looks first:
 * `npm run build`, or `npm run build -- --debug` for a build that is quick to make.
 */

const { spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, readFileSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const { developmentBuild } = require('../lib/platform');

const ROOT = path.join(__dirname, '..');

const NO_CARGO = `tidewire is built with Rust, and cargo was not found.
Get Rust from https://rustup.rs (stable), open a new terminal, and run this again.`;

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/**
 * Runs cargo, and returns the path of the library that it says it made. So a target directory that is
 * set in the environment or in cargo's configuration needs no thought.
 * @param {string[]} profile
 */
function buildLibrary(profile) {
  const flags = ['build', '--lib', '--message-format=json-render-diagnostics', ...profile];
  const cargo = spawnSync('cargo', flags, {
    cwd: ROOT,
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

const [mode = '--release', ...surplus] = process.argv.slice(2);
if (!['--release', '--debug'].includes(mode) || surplus.length > 0) {
  fail('Usage: npm run build -- [--release | --debug]');
}
install(buildLibrary(mode === '--release' ? ['--release'] : []), path.join(ROOT, developmentBuild));
