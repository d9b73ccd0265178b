'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

/** As in uWebSockets.js. */
const CONSTANTS = {
  DISABLED: 0,
  SHARED_COMPRESSOR: 1,
  DEDICATED_COMPRESSOR_3KB: 145,
  DEDICATED_COMPRESSOR_4KB: 146,
  DEDICATED_COMPRESSOR_8KB: 163,
  DEDICATED_COMPRESSOR_16KB: 180,
  DEDICATED_COMPRESSOR_32KB: 197,
  DEDICATED_COMPRESSOR_64KB: 214,
  DEDICATED_COMPRESSOR_128KB: 231,
  DEDICATED_COMPRESSOR_256KB: 248,
  DEDICATED_COMPRESSOR: 248,
  SHARED_DECOMPRESSOR: 256,
  DEDICATED_DECOMPRESSOR_512B: 2304,
  DEDICATED_DECOMPRESSOR_1KB: 2560,
  DEDICATED_DECOMPRESSOR_2KB: 2816,
  DEDICATED_DECOMPRESSOR_4KB: 3072,
  DEDICATED_DECOMPRESSOR_8KB: 3328,
  DEDICATED_DECOMPRESSOR_16KB: 3584,
  DEDICATED_DECOMPRESSOR_32KB: 3840,
  DEDICATED_DECOMPRESSOR: 3840,
  LIBUS_LISTEN_DEFAULT: 0,
  LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
};

const FUNCTIONS = [
  'App',
  'SSLApp',
  'DeclarativeResponse',
  'getParts',
  'us_listen_socket_close',
  'us_socket_local_port',
  '_cfg',
];

const NAMES = [...FUNCTIONS, ...Object.keys(CONSTANTS)].sort();

const tidewire = require('tidewire');

test('CommonJS has every name', () => {
  assert.deepEqual(Object.keys(tidewire).sort(), NAMES);
});

test('an ES module has the same things by name and by default', async () => {
  // Deno takes the CommonJS file for it here, and adds a name.
  const { default: fallback, 'module.exports': _, ...named } = await import('tidewire');
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
  const conditions = Object.values(exports['.']).flatMap((condition) => Object.values(condition));
  for (const file of [main, module, types, ...conditions]) {
    assert.ok(readFileSync(path.join(__dirname, '..', file)).length > 0);
  }
});

test('the constants are those of uWebSockets.js', () => {
  const numbers = Object.entries(tidewire).filter(([, value]) => typeof value === 'number');
  assert.deepEqual(Object.fromEntries(numbers), CONSTANTS);
});

test('the typings know the values of the constants', () => {
  const typings = readFileSync(path.join(__dirname, '../index.d.ts'), 'utf8');
  const declared = [...typings.matchAll(/^export const (\w+): (\d+);/gm)];
  assert.deepEqual(Object.fromEntries(declared.map(([, name, value]) => [name, Number(value)])), CONSTANTS);
});
