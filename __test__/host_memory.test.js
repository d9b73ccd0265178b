'use strict';

const assert = require('node:assert/strict');
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { App } = require('tidewire');
const { hostMemoryBytes } = require('../lib/host_memory');

const HOST = os.totalmem();

/** What is said of a file system with these files. */
function seen(context, files) {
  const root = mkdtempSync(path.join(os.tmpdir(), 'tidewire-groups-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return hostMemoryBytes(root);
}

const cases = [
  ['no groups', {}, HOST],
  ['a group without a limit', { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/memory.max': 'max\n' }, HOST],
  [
    'the smallest limit on the path of version 2',
    {
      'proc/self/cgroup': '0::/a/b\n',
      'sys/fs/cgroup/a/b/memory.max': '300000000\n',
      'sys/fs/cgroup/a/memory.max': '200000000\n',
      'sys/fs/cgroup/other/memory.max': '1000\n',
    },
    200_000_000,
  ],
  [
    'the root of a container that does not see the path',
    { 'proc/self/cgroup': '0::/../../a\n', 'sys/fs/cgroup/memory.max': '100000000\n' },
    100_000_000,
  ],
  [
    'version 1',
    {
      'proc/self/cgroup': '7:cpu,cpuacct:/x\n4:memory:/x/y\n0::/\n',
      'sys/fs/cgroup/memory/x/memory.limit_in_bytes': '50000000\n',
      'sys/fs/cgroup/memory/x/y/memory.limit_in_bytes': '9223372036854771712\n',
    },
    50_000_000,
  ],
  ['more than the host has', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': '9e15\n' }, HOST],
];

for (const [name, files, expected] of cases) {
  test(`the memory of the process: ${name}`, (context) => assert.equal(seen(context, files), expected));
}

test('the memory of the process where there are no control groups', () => {
  assert.equal(hostMemoryBytes(null), HOST);
});

test('a quarter of it is the budget of an App, unless that says another', () => {
  assert.equal(App().stats().budget.limit, Math.floor(hostMemoryBytes() / 4));
  assert.equal(App({ memoryBudget: 5_000_000 }).stats().budget.limit, 5_000_000);
  assert.equal(App({ memoryBudget: 0 }).stats().budget.limit, 0);
});
