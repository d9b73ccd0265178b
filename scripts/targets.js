'use strict';

/**
 * The targets for which a release has an addon, `napi.targets` of package.json, and how cargo builds for each.
 *
 * The Linux ones are built by Zig's linker and C library (cargo-zigbuild), whose glibc is as old as one asks for, from
 * any machine; those of macOS and Windows by the tools of their systems.
 */

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { homedir } = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');

/** @type {{ napi: { targets: string[] } }} */
const { napi } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

/** The oldest glibc that an addon may ask for: that of the oldest Linux for which there is a Node 18. */
const GLIBC = '2.17';

/** Its words for systems and processors, where Node has others. */
const NODE_NAMES = new Map([
  ['x86_64', 'x64'],
  ['aarch64', 'arm64'],
  ['windows', 'win32'],
]);

/**
 * What packages call a target: `x86_64-unknown-linux-gnu` is linux-x64-gnu.
 * @param {string} triple
 */
function platformOf(triple) {
  const [arch = '', , system = '', ...abi] = triple.split('-');
  return [system, arch, ...abi].map((word) => NODE_NAMES.get(word) ?? word).join('-');
}

/**
 * The words behind `cargo` that begin a build for a target.
 * @param {string} triple
 */
function subcommand(triple) {
  if (triple.endsWith('-linux-gnu')) return ['zigbuild', '--target', `${triple}.${GLIBC}`];
  if (triple.endsWith('-linux-musl')) return ['zigbuild', '--target', triple];
  return ['build', '--target', triple];
}

/**
 * The environment for cargo: with what `npm run zig` installed, and what rustc is told for a target. That is that the
 * C library is linked as it has to be for each system, and that no path of this machine shall be in the addon.
 * @param {string} triple
 * @returns {NodeJS.ProcessEnv}
 */
function environment(triple) {
  const flags = process.env.RUSTFLAGS === undefined ? [] : [process.env.RUSTFLAGS];
  // A Node for musl links it dynamically; there must not be a second.
  if (triple.endsWith('-musl')) flags.push('-Ctarget-feature=-crt-static');
  // Else a user needs Microsoft's redistributable.
  if (triple.endsWith('-msvc')) flags.push('-Ctarget-feature=+crt-static');
  const sources = path.join(process.env.CARGO_HOME ?? path.join(homedir(), '.cargo'), 'registry', 'src');
  const registries = existsSync(sources) ? readdirSync(sources) : [];
  flags.push(...registries.map((folder) => `--remap-path-prefix=${path.join(sources, folder)}=crates`));
  const programs = [path.join(ROOT, 'target', 'zig', 'bin'), process.env.PATH].join(path.delimiter);
  return { ...process.env, PATH: programs, RUSTFLAGS: flags.join(' ') };
}

module.exports = { GLIBC, environment, platformOf, subcommand, targets: napi.targets };
