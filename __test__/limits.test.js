'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const limits = require('../lib/limits');

const source = readFileSync(path.join(__dirname, '../src/limits.rs'), 'utf8');

/** The value of a constant of `src/limits.rs`: a number, a product of numbers, or a shifted one. */
function valueInRust(name) {
  const [, expression] = source.match(new RegExp(`^pub const ${name}: \\w+ = ([\\d_*< ]+);$`, 'm')) ?? [];
  assert.ok(expression, `src/limits.rs has no plain constant ${name}`);
  const [base, shift = 0] = expression.replaceAll('_', '').split('<<');
  const factors = String(base).split('*').map(Number);
  return factors.reduce((product, factor) => product * factor) * 2 ** Number(shift);
}

for (const [name, value] of Object.entries(limits)) {
  test(`${name} is the same in Rust and in JavaScript`, () => assert.equal(valueInRust(name), value));
}

/** What stands in a table of SECURITY.md, in the unit of the constant: bytes, seconds or pieces. */
function valueInWords(words) {
  const [, number, unit = ''] = words.match(/^([\d,]+)(?: (KiB|MiB|bytes|s))?$/) ?? [];
  assert.ok(number, `SECURITY.md says '${words}': no number with a unit that is known`);
  const factor = { KiB: 1024, MiB: 1024 * 1024 }[unit] ?? 1;
  return Number(number.replaceAll(',', '')) * factor;
}

const security = readFileSync(path.join(__dirname, '../SECURITY.md'), 'utf8');
const promised = [...security.matchAll(/^\| .* \| ([^|]+) \| `([A-Z_]+)` \|$/gm)];

test('SECURITY.md names its bounds', () => assert.ok(promised.length >= 14, `${promised.length} rows`));

for (const [, words, name] of promised) {
  test(`SECURITY.md says of ${name} what is so`, () => {
    if (name.endsWith('_SECONDS')) assert.match(words, / s$/);
    if (name.endsWith('_BYTES')) assert.match(words, /(iB|bytes)$/);
    assert.equal(valueInWords(words), valueInRust(name));
  });
}
