'use strict';

/**
 * `npm run packages` makes the packages that a release publishes, as tarballs in `dist/`: tidewire itself, and one for
 * each platform whose addon is in `artifacts/`, as `npm run build -- --target TRIPLE` puts it there; for this platform,
 * that of `npm run build` will do. With `--all`, no platform may be missing. `--addons DIR` and `--out DIR` take other
 * folders.
 *
 * What tidewire's manifest has in the repository for development alone is left out of it, and the packages of the
 * platforms become optional dependencies, in exactly its version.
 */

const { spawnSync } = require('node:child_process');
const { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync } = require('node:fs');
const { rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const platforms = require('../lib/platform');
const { platformOf } = require('./targets');

const ROOT = path.join(__dirname, '..');

/** Largest package of a platform, in bytes, with what it unpacks to: what a project has to download and to keep. */
const PACKED_BYTES = 3_000_000;
const UNPACKED_BYTES = 5_000_000;

/** What npm packs unasked, and the notices, which belong to the addon. */
const LEGAL = ['LICENSE', 'THIRD_PARTY.md'];

const given = options();

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/** What the command line says. */
function options() {
  try {
    const { values } = parseArgs({
      options: {
        all: { type: 'boolean', default: false },
        addons: { type: 'string', default: path.join(ROOT, 'artifacts') },
        out: { type: 'string', default: path.join(ROOT, 'dist') },
      },
    });
    return values;
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    return fail(`${message}\nUsage: npm run packages [-- [--all] [--addons DIR] [--out DIR]]`);
  }
}

/**
 * Runs a program of Node's, and returns what it printed.
 * @param {string} name
 * @param {string} folder
 * @param {string[]} command
 */
function run(name, folder, [program = '', ...values]) {
  const { status, stdout, stderr, error } = spawnSync(program, values, {
    cwd: folder,
    encoding: 'utf8',
    // What Windows calls npm is a script of its shell.
    shell: program === 'npm' && process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) fail(`${name} failed: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}

/** @param {string} folder @param {string[]} values */
function napi(folder, ...values) {
  const manifest = require.resolve('@napi-rs/cli/package.json');
  const script = path.join(path.dirname(manifest), require(manifest).bin.napi);
  run(`napi ${values[0]}`, folder, [process.execPath, script, ...values]);
}

/** @param {string} folder */
function manifestIn(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
}

/** @param {string} folder @param {object} manifest */
function writeManifest(folder, manifest) {
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * The addons that there are, by their targets.
 * @param {string[]} targets
 * @returns {Map<string, string>}
 */
function addonsOf(targets) {
  const addons = new Map();
  for (const target of targets) {
    const platform = platformOf(target);
    const built = path.join(ROOT, platforms.developmentBuild);
    const candidates = [path.join(given.addons, `tidewire.${platform}.node`)];
    if (!given.all && platform === platforms.platform) candidates.push(built);
    const addon = candidates.find((file) => existsSync(file));
    if (addon !== undefined) addons.set(target, addon);
    else if (given.all) fail(`There is no addon for ${target}: ${candidates[0]} is missing.`);
  }
  if (addons.size === 0) fail(`There is no addon in ${given.addons}, and none was built: npm run build`);
  return addons;
}

/**
 * The manifest of the main package as it is published. Provenance asks for the repository's address, which is where
 * this runs if the manifest does not say it.
 * @param {any} manifest
 * @param {string[]} targets
 */
function published({ scripts, devDependencies, ...manifest }, targets) {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env;
  const address = { type: 'git', url: `git+${server}/${repository}.git` };
  return {
    ...(server && repository ? { repository: address } : {}),
    ...manifest,
    // A source build is taken along by an installation from the repository alone.
    files: manifest.files.filter((/** @type {string} */ file) => !file.endsWith('.node')),
    napi: { ...manifest.napi, targets },
  };
}

/**
 * Packs a folder into a tarball, and says how large it is.
 * @param {string} folder
 */
function pack(folder) {
  const values = ['pack', '--json', '--ignore-scripts', '--pack-destination', path.resolve(given.out)];
  const [{ filename, size, unpackedSize }] = JSON.parse(run('npm pack', folder, ['npm', ...values]));
  console.log(`${path.join(given.out, filename)}: ${size} bytes, ${unpackedSize} unpacked`);
  return { filename, size, unpackedSize };
}

const main = manifestIn(ROOT);
const addons = addonsOf(main.napi.targets);
const stage = path.join(given.out, 'stage');
const collected = path.join(stage, 'addons');
const npm = path.join(stage, 'npm');

rmSync(given.out, { recursive: true, force: true });
mkdirSync(collected, { recursive: true });
const manifest = published(main, [...addons.keys()]);
for (const file of new Set([...manifest.files, 'README.md', ...LEGAL])) {
  cpSync(path.join(ROOT, file), path.join(stage, file), { recursive: true });
}
writeManifest(stage, manifest);
for (const [target, addon] of addons) {
  copyFileSync(addon, path.join(collected, `tidewire.${platformOf(target)}.node`));
}

napi(stage, 'create-npm-dirs');
napi(stage, 'artifacts', '--output-dir', collected);
for (const platform of readdirSync(npm)) {
  const folder = path.join(npm, platform);
  for (const file of LEGAL) copyFileSync(path.join(ROOT, file), path.join(folder, file));
  const { files, ...rest } = manifestIn(folder);
  writeManifest(folder, { ...rest, files: [...files, ...LEGAL], publishConfig: main.publishConfig });
}
// It looks at what was made, and writes the optional dependencies; scripts/release.js publishes.
napi(stage, 'pre-publish', '--skip-optional-publish', '--no-gh-release');
const { napi: _, ...final } = manifestIn(stage);
writeManifest(stage, final);

pack(stage);
for (const platform of readdirSync(npm)) {
  const { filename, size, unpackedSize } = pack(path.join(npm, platform));
  if (size > PACKED_BYTES || unpackedSize > UNPACKED_BYTES) {
    fail(`${filename} is larger than ${PACKED_BYTES} bytes, or ${UNPACKED_BYTES} unpacked.`);
  }
}
