'use strict';

/** What npm does when somebody installs the package: it copies files, and runs nothing. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const ROOT = path.join(__dirname, '..');

/** Runs npm without a network, and returns what it printed. */
function npm(folder, ...values) {
  return execFileSync('npm', values, {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
}

/** Packs a package, without what its own scripts would do first. */
function pack(folder, target) {
  const [{ filename }] = JSON.parse(
    npm(folder, 'pack', '--json', '--ignore-scripts', '--pack-destination', target),
  );
  return path.join(target, filename);
}

/** A folder that lasts for as long as the test. */
function scratch(context) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('the package installs into an empty project without running anything', (context) => {
  const folder = scratch(context);
  const project = path.join(folder, 'project');
  const witness = path.join(folder, 'witness');
  for (const name of [project, witness]) mkdirSync(name);
  writeFileSync(path.join(project, 'package.json'), '{"name":"project","private":true}');
  // A package that does run something shows that this would be seen.
  const scripts = { prepare: 'echo never', postinstall: 'echo witness > ran' };
  writeFileSync(
    path.join(witness, 'package.json'),
    JSON.stringify({ name: 'witness', version: '1.0.0', scripts }),
  );

  const packages = [pack(ROOT, folder), pack(witness, folder)];
  const output = npm(
    project,
    ...['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts=false', '--foreground-scripts'],
    ...packages,
  );

  const installed = path.join(project, 'node_modules', 'tidewire');
  assert.ok(existsSync(path.join(project, 'node_modules', 'witness', 'ran')), output);
  assert.match(output, /witness@1\.0\.0 postinstall/);
  assert.doesNotMatch(output, /tidewire@\S+ \w+/, 'npm ran a script of the package');
  for (const file of ['index.js', 'lib/app.js', 'LICENSE', 'THIRD_PARTY.md']) {
    assert.ok(existsSync(path.join(installed, file)), `${file} is not in the package`);
  }
  // npm builds what has this file, with or without a script.
  assert.ok(!existsSync(path.join(installed, 'binding.gyp')));
  const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'));
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
  for (const name of ['preinstall', 'install', 'postinstall', 'preuninstall', 'postuninstall']) {
    assert.ok(!(name in manifest.scripts), `the package has a script '${name}'`);
  }
  const locked = JSON.parse(readFileSync(path.join(project, 'package-lock.json'), 'utf8'));
  assert.notEqual(locked.packages['node_modules/tidewire'].hasInstallScript, true);
  assert.equal(locked.packages['node_modules/witness'].hasInstallScript, true);
});
