'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');

const RUNNER = path.join(__dirname, '..', 'scripts', 'scenarios.js');

/** What the runner says to these words. */
function runner(...words) {
  return spawnSync(process.execPath, [RUNNER, ...words], { encoding: 'utf8', timeout: 60_000 });
}

test('the runner of scenarios lists the short and the long ones', () => {
  const { status, stdout } = runner('--list');
  const names = stdout.trim().split('\n');
  assert.equal(status, 0);
  assert.ok(names.includes('floods') && names.includes('slow_reader'), stdout);
  assert.equal(new Set(names).size, names.length);
});

test('a scenario that there is not is named, with those that there are', () => {
  const { status, stdout, stderr } = runner('floods', 'no such thing');
  assert.equal(status, 2);
  assert.equal(stdout, '', 'one was run all the same');
  assert.match(stderr, /^No scenario is called 'no such thing'\. There are: .*\bfloods\b.*\.\n$/);
});
