'use strict';

const assert = require('node:assert/strict');
const { cpSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { developmentBuild, platformPackage } = require('../lib/platform');

/** The path of a copy of `lib/binding.js` with nothing beside it, until the test ends. */
function strandedBinding(context) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true }));
  cpSync(path.join(__dirname, '../lib'), path.join(folder, 'lib'), { recursive: true });
  return { folder, binding: path.join(folder, 'lib/binding.js') };
}

test('a missing addon is told by platform, with what to do', (context) => {
  const { binding } = strandedBinding(context);
  assert.throws(
    () => require(binding),
    (error) => {
      assert.equal(error.code, 'TIDEWIRE_NO_BINARY');
      for (const piece of [process.platform, process.arch, platformPackage, 'npm install', 'npm run build']) {
        assert.ok(error.message.includes(piece), `"${error.message}" lacks ${piece}`);
      }
      assert.equal(error.cause.code, 'MODULE_NOT_FOUND');
      return true;
    },
  );
});

test('an addon that does not load is told by its path', (context) => {
  const { folder, binding } = strandedBinding(context);
  const addon = path.join(folder, developmentBuild);
  writeFileSync(addon, 'no library');
  assert.throws(
    () => require(binding),
    (error) => {
      assert.equal(error.code, 'TIDEWIRE_NO_BINARY');
      assert.ok(error.message.includes(addon), error.message);
      return true;
    },
  );
});
