'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const limits = require('../lib/limits');

const source = readFileSync(path.join(__dirname, '../src/limits.rs'), 'utf8');

/** The value of a constant of `src/limits.rs`: a number, or a product of numbers. */
function valueInRust(name) {
  const [, expression] = source.match(new RegExp(`^pub const ${name}: \\w+ = ([\\d_* ]+);$`, 'm')) ?? [];
  assert.ok(expression, `src/limits.rs has no plain constant ${name}`);
  return expression
    .replaceAll('_', '')
    .split('*')
    .map(Number)
    .reduce((product, factor) => product * factor);
}

for (const [name, value] of Object.entries(limits)) {
  test(`${name} is the same in Rust and in JavaScript`, () => assert.equal(valueInRust(name), value));
}
