'use strict';

/**
 * `npm run zig` installs what builds the addons for Linux, cargo-zigbuild and Zig, into `target/zig`, where
 * scripts/build.js finds them. Needs Python 3 with its module `venv`.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'target', 'zig');

/** @param {string} program @param {string[]} values */
function run(program, values) {
  const { status, error } = spawnSync(program, values, { cwd: ROOT, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${program} ${values.join(' ')} failed: ${error?.message ?? 'what it said is above.'}`);
  console.error('Python 3 and its module venv must be there (Debian: apt-get install python3-venv).');
  process.exit(1);
}

const requirements = [
  '--require-hashes',
  '--only-binary=:all:',
  '--requirement',
  'scripts/zig_requirements.txt',
];
run('python3', ['-m', 'venv', FOLDER]);
run(path.join(FOLDER, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...requirements]);
