'use strict';

/**
 * A project of somebody else in a temporary folder, in which `uWebSockets.js` is this package, as npm's
 * `"uWebSockets.js": "npm:tidewire"` makes it.
 */

const { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

class Project {
  /**
   * @param {string} name of a file in `projects/`
   * @param {string[]} libraries that it uses: copies, so that they find what the project has and nothing else
   */
  constructor(name, libraries) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'tidewire-project-'));
    const modules = path.join(this.folder, 'node_modules');
    mkdirSync(modules);
    symlinkSync(ROOT, path.join(modules, 'uWebSockets.js'), 'junction');
    for (const library of libraries) {
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

module.exports = { Project };
