'use strict';

/** What a release's addon may ask of a system: held against a program that asks for more, Node itself. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { platform, packaged } = require('../lib/platform');
const { faultsOf } = require('../scripts/addon_floor');
const { platformOf, targets } = require('../scripts/targets');

const ROOT = path.join(__dirname, '..');

const readelf = platform.endsWith('-gnu') && spawnSync('readelf', ['--version']).status === 0;
const HAS_READELF = { skip: !readelf && 'needs readelf, and glibc' };

/** Of the versions of glibc that a program needs, the newest. */
function newest(faults) {
  const versions = faults.flatMap((fault) => /GLIBC_(\d+)\.(\d+)/.exec(fault)?.slice(1).join('.') ?? []);
  return versions.sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1])).at(-1);
}

test('a program that needs a newer glibc is found out', HAS_READELF, () => {
  const faults = faultsOf(process.execPath, 'gnu', '2.0');
  const version = newest(faults);
  assert.ok(version, faults.join('\n'));
  const [major, minor] = version.split('.').map(Number);
  const needs = (floor) => faultsOf(process.execPath, 'gnu', floor).some((fault) => fault.includes('GLIBC_'));
  assert.ok(!needs(version));
  assert.ok(needs(`${major}.${minor - 1}`));
  assert.ok(!needs(`${major + 1}.0`));
});

test('a library that not every system has is found out', HAS_READELF, () => {
  const faults = faultsOf(process.execPath, 'musl', '2.17');
  assert.ok(
    faults.some((fault) => fault.includes('libc.so.6')),
    faults.join('\n'),
  );
});

test('what is no program is found out', HAS_READELF, () => {
  assert.match(faultsOf(__filename, 'gnu', '2.17')[0], /cannot read|no library/);
});

test('the targets are the platforms that lib/ looks for', () => {
  assert.deepEqual(targets.map(platformOf).sort(), packaged);
});

test('the dependencies are looked at for each target', () => {
  const [, list = ''] =
    /^targets = \[(.*?)^\]/ms.exec(readFileSync(path.join(ROOT, 'deny.toml'), 'utf8')) ?? [];
  const judged = [...list.matchAll(/"([\w-]+)"/g)].map(([, target]) => target);
  assert.deepEqual(judged.sort(), [...targets].sort());
});
