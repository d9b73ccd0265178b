'use strict';

// What the numbers of a run depend on, for its results; and errors as sentences. Used by run.js and million.js.

const { execFileSync } = require('node:child_process');
const os = require('node:os');

/** @returns {Record<string, unknown>} what the numbers depend on */
function machine() {
  const [first] = os.cpus();
  return {
    date: new Date().toISOString(),
    cpu: first?.model,
    processors: os.cpus().length,
    kernel: os.release(),
    node: process.version,
    revision: revision(),
  };
}

/** @returns {string | undefined} the commit that was measured; results that were written since do not make it dirty */
function revision() {
  /** @param {string[]} args */
  const git = (...args) =>
    execFileSync('git', args, { cwd: __dirname, encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const changed = git(
      'status',
      '--porcelain',
      '--untracked-files=no',
      '--',
      ':/',
      ':(top,exclude)docs',
      ':(top,exclude)README.md',
    );
    return git('describe', '--always') + (changed && '-dirty');
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}

module.exports = { machine, sentence };
