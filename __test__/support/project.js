'use strict';

/**
 * A project of somebody else in a temporary folder, in which `uWebSockets.js` is this package, as npm's
 * `"uWebSockets.js": "npm:tidewire"` makes it.
 */

const { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } = require('node:fs');
const { rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

class Project {
  /**
   * @param {string} name of a file in `projects/`
   * @param {string[]} libraries that it uses, with what they depend on: copies, so that they find what the project
   *     has and nothing else
   */
  constructor(name, libraries) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'tidewire-project-'));
    const modules = path.join(this.folder, 'node_modules');
    mkdirSync(modules);
    symlinkSync(ROOT, path.join(modules, 'uWebSockets.js'), 'junction');
    for (const library of withDependencies(libraries)) {
      cpSync(path.join(ROOT, 'node_modules', library), path.join(modules, library), { recursive: true });
    }
    writeFileSync(path.join(this.folder, 'package.json'), '{ "private": true }');
    /** The file, as it stands in the project. */
    this.file = path.join(this.folder, name);
    cpSync(path.join(__dirname, 'projects', name), this.file);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Libraries, and those that they need, as far as these are installed beside them and not inside of them.
 * @param {string[]} libraries
 */
function withDependencies(libraries) {
  const names = new Set(libraries);
  // A set goes on with what is added to it meanwhile.
  for (const name of names) {
    const folder = path.join(ROOT, 'node_modules', name);
    const { dependencies = {} } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    for (const needed of Object.keys(dependencies)) {
      if (!existsSync(path.join(folder, 'node_modules', needed))) names.add(needed);
    }
  }
  return names;
}

module.exports = { Project };
