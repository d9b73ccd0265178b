'use strict';

// What the numbers of a run depend on, for its results; and errors as sentences. Used by run.js, all.js and million.js.

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

/** @param {Record<string, unknown>} host */
function told({ cpu, processors, kernel, node }) {
  return `${cpu}, ${processors} processors, Linux ${kernel}, Node ${node}`;
}

/** @returns {string | undefined} the commit that was measured, and whether more than documents and tests has changed since */
function revision() {
  /** @param {string[]} args */
  const git = (...args) =>
    execFileSync('git', args, { cwd: __dirname, encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const others = ['docs', '__test__', '*.md'].map((path) => `:(top,exclude)${path}`);
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', ':/', ...others);
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

module.exports = { machine, sentence, told };
