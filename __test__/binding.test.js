'use strict';

/** Where the native addon is looked for, and what is said where there is none: lib/ without its package around it. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { developmentBuild, packageOf, packaged, platform } = require('../lib/platform');

/** The package of this platform. */
const NAME = packageOf(platform);

/** Whether there is a package for the platform of these tests. */
const PACKAGED = { skip: packaged.includes(platform) ? false : `there is no package for ${platform}` };

/** A folder with `lib/` as it is installed, and nothing beside it, until the test ends. */
function stranded(context) {
  const root = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(root, { recursive: true }));
  const folder = path.join(root, 'node_modules', 'tidewire');
  cpSync(path.join(__dirname, '../lib'), path.join(folder, 'lib'), { recursive: true });
  writeManifest(folder, { optionalDependencies: { [NAME]: '1.2.3' } });
  return folder;
}

function writeManifest(folder, more) {
  const manifest = { name: 'tidewire', version: '1.2.3', ...more };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
}

/** Puts the package of a platform beside it. */
function neighbour(folder, name, version, addon) {
  const place = path.join(folder, '..', name);
  mkdirSync(place);
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name, version, main: 'addon.node' }));
  writeFileSync(path.join(place, 'addon.node'), addon);
}

/** Loads it, and holds the error against what it has to say. */
function refused(folder, pieces, silent = []) {
  let error;
  assert.throws(
    () => require(path.join(folder, 'lib/binding.js')),
    (thrown) => {
      error = thrown;
      return true;
    },
  );
  assert.equal(error.code, 'TIDEWIRE_NO_BINARY');
  for (const piece of pieces) assert.ok(error.message.includes(piece), `"${error.message}" lacks ${piece}`);
  for (const piece of silent) assert.ok(!error.message.includes(piece), `"${error.message}" has ${piece}`);
  return error;
}

test('a source checkout without an addon is told to build it', (context) => {
  const folder = stranded(context);
  writeFileSync(path.join(folder, 'Cargo.toml'), '');
  refused(
    folder,
    ['not built', platform, path.join(folder, developmentBuild), 'npm run build'],
    ['optional'],
  );
});

test('a package made of the source without an addon is told to be built', PACKAGED, (context) => {
  const folder = stranded(context);
  writeManifest(folder);
  refused(folder, ['from its source', platform, 'cargo', '--ignore-scripts=false'], ['optional']);
});

test('a bundle without a manifest is told what it lacks', PACKAGED, (context) => {
  const folder = stranded(context);
  rmSync(path.join(folder, 'package.json'));
  refused(folder, ['not installed', `${NAME},`, 'bundle']);
});

test('the manifest of a program around a bundle is none of tidewire', PACKAGED, (context) => {
  const folder = stranded(context);
  writeManifest(folder, { name: 'program', version: '7.0.0' });
  refused(folder, ['not installed', `${NAME},`, 'bundle'], ['source']);
});

test('a program around a bundle has whatever version it likes', PACKAGED, (context) => {
  const folder = stranded(context);
  writeManifest(folder, { name: 'program', version: '7.0.0', optionalDependencies: { [NAME]: '1.2.3' } });
  neighbour(folder, NAME, '1.2.3', 'no library');
  refused(folder, ['does not load', NAME], ['same version']);
});

for (const more of [{}, { optionalDependencies: { fsevents: '2.3.3' } }]) {
  const among = JSON.stringify(more);
  test(`a bundle does not take the project around it for itself: ${among}`, PACKAGED, (context) => {
    const project = { name: 'chat', version: '7.0.0', ...more };
    const without = stranded(context);
    writeFileSync(path.join(without, 'Cargo.toml'), '');
    writeManifest(without, project);
    refused(without, ['not installed', `${NAME},`, 'bundle'], ['7.0.0', 'from its source', 'not built']);

    const beside = stranded(context);
    writeManifest(beside, project);
    neighbour(beside, NAME, '1.2.3', 'no library');
    refused(beside, ['does not load', NAME], ['7.0.0', 'from its source']);
  });
}

test('a package that was left out is told by its name and version', PACKAGED, (context) => {
  const folder = stranded(context);
  const error = refused(
    folder,
    ['not installed', platform, `${NAME}@1.2.3`, 'npm install --include=optional', 'package-lock.json'],
    ['another platform', 'Rust'],
  );
  assert.equal(error.cause.code, 'MODULE_NOT_FOUND');
});

test('the package of another platform is told', PACKAGED, (context) => {
  const folder = stranded(context);
  const [other] = packaged.filter((each) => each !== platform);
  neighbour(folder, packageOf(other), '1.2.3', 'of another platform');
  refused(folder, ['not installed', NAME, `There is the one for ${other}:`, 'npm install']);
});

test('a package of another version is told, and not loaded', PACKAGED, (context) => {
  const folder = stranded(context);
  neighbour(folder, NAME, '1.2.2', 'no library');
  refused(folder, ['tidewire 1.2.3', `${NAME} is 1.2.2`, 'npm install']);
});

test('a package that does not load is told with the reason', PACKAGED, (context) => {
  const folder = stranded(context);
  neighbour(folder, NAME, '1.2.3', 'no library');
  const error = refused(
    folder,
    ['does not load', platform, NAME, 'npm install'],
    ['npm run build', 'optional'],
  );
  assert.ok(error.message.includes(error.cause.message.split('\n', 1)[0]));
  assert.equal(error.message.includes('glibc 2.17'), platform.endsWith('-gnu'));
});

test('an addon that was built there and does not load is told by its path', (context) => {
  const folder = stranded(context);
  const addon = path.join(folder, developmentBuild);
  writeFileSync(addon, 'no library');
  refused(folder, ['does not load', addon, 'npm run build'], ['optional', 'glibc']);
});

test('a platform without a package is told which have one', (context) => {
  const folder = stranded(context);
  // As Node says it of such a machine.
  const script = `
    Object.defineProperty(process, 'platform', { value: 'freebsd' });
    try { require('./lib/binding.js'); } catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }
  `;
  const output = execFileSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' });
  const { code, message } = JSON.parse(output);
  assert.equal(code, 'TIDEWIRE_NO_BINARY');
  for (const piece of [`freebsd-${process.arch},`, ...packaged, 'Rust', 'npm run build']) {
    assert.ok(message.includes(piece), `"${message}" lacks ${piece}`);
  }
});
