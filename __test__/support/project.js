'use strict';

/**
 * A project of somebody else in a temporary folder, in which `uWebSockets.js` is this package, as npm's
 * `"uWebSockets.js": "npm:tidewire"` makes it.
 */

const { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

/**
 * Makes the folder, and removes it with the test.
 * @param {import('node:test').TestContext} context
 * @param {string} file of `projects/`, which stands in the folder afterwards
 * @param {string[]} libraries that it uses: copies, so that they find what the project has and nothing else
 * @returns {string} the path of the file there
 */
function makeProject(context, file, libraries) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-project-'));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const modules = path.join(folder, 'node_modules');
  mkdirSync(modules);
  symlinkSync(ROOT, path.join(modules, 'uWebSockets.js'), 'junction');
  for (const library of libraries) {
    cpSync(path.join(ROOT, 'node_modules', library), path.join(modules, library), { recursive: true });
  }
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  cpSync(path.join(__dirname, 'projects', file), path.join(folder, file));
  return path.join(folder, file);
}

module.exports = { makeProject };
