'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const NAMES = [
  'App',
  'DISABLED',
  'LIBUS_LISTEN_DEFAULT',
  'LIBUS_LISTEN_EXCLUSIVE_PORT',
  'us_listen_socket_close',
  'us_socket_local_port',
];

const tidewire = require('tidewire');

test('CommonJS has every name', () => {
  assert.deepEqual(Object.keys(tidewire).sort(), NAMES);
});

test('an ES module has the same things by name and by default', async () => {
  const { default: fallback, ...named } = await import('tidewire');
  assert.equal(fallback, tidewire);
  assert.deepEqual({ ...named }, tidewire);
});

test('an ES module finds the names of the CommonJS file, too', async () => {
  const { App } = await import('../index.js');
  assert.equal(App, tidewire.App);
});

test('the typings declare every name, and no other', () => {
  const typings = readFileSync(path.join(__dirname, '../index.d.ts'), 'utf8');
  const declared = [...typings.matchAll(/^export (?:const|function|class) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), NAMES);
});

test('the package has the files that its manifest names', () => {
  const { main, module, types, exports } = require('tidewire/package.json');
  for (const file of [main, module, types, ...Object.values(exports['.'])]) {
    assert.ok(readFileSync(path.join(__dirname, '..', file)).length > 0);
  }
});

test('the constants are those of uWebSockets.js', () => {
  const { DISABLED, LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT } = tidewire;
  assert.deepEqual(
    { DISABLED, LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT },
    {
      DISABLED: 0,
      LIBUS_LISTEN_DEFAULT: 0,
      LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
    },
  );
});
