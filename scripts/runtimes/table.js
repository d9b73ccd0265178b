'use strict';

/** docs/runtimes.json as README has it: a table between two marks. */

const marked = require('../marked');

const BEGIN = '<!-- written by `npm run runtimes` -->';
const END = '<!-- until here: runtimes -->';

/** @type {Record<string, string>} */
const TITLES = { node: 'Node.js', bun: 'Bun', deno: 'Deno' };

/**
 * @typedef {object} Run of all tests
 * @property {string} name of the runtime
 * @property {string} version
 * @property {string} napi the version of its Node-API
 * @property {string} date
 * @property {string} revision of this repository
 * @property {number} passed tests
 * @property {string[]} skipped
 * @property {string[]} reasons why these are skipped
 * @property {{ test: string, message: string }[]} failed
 * @property {string[]} repeated files that were run twice, since a test had failed
 *
 * @typedef {object} Result
 * @property {{ file: string, sha256: string }} addon that all of them loaded
 * @property {string} platform
 * @property {Run[]} runs
 */

/**
 * @param {Result} result
 * @returns {string} what stands between the marks
 */
function section({ addon, platform, runs }) {
  const days = [...new Set(runs.map(({ date }) => date.slice(0, 10)))].sort();
  const when = days.length > 1 ? `from ${days[0]} to ${days[days.length - 1]}` : `on ${days[0]}`;
  const rows = runs.map(({ name, version, napi, passed, skipped, reasons, failed }) => [
    `${TITLES[name] ?? name} ${version}`,
    napi,
    passed.toLocaleString('en'),
    [skipped.length, ...reasons].join('; '),
    [failed.length, ...failed.map(({ test }) => test)].join('; '),
  ]);
  const line = (/** @type {string[]} */ row) => `| ${row.join(' | ')} |`;
  return [
    `Run ${when} on ${platform}, all with one \`${addon.file}\` (SHA-256 \`${addon.sha256.slice(0, 16)}…\`).`,
    '',
    line(['runtime', 'Node-API', 'passed', 'skipped', 'failed']),
    line(['---', '---', '---', '---', '---']),
    ...rows.map(line),
  ].join('\n');
}

/**
 * @param {string} readme README's text
 * @returns {[before: string, section: string, after: string]}
 */
function split(readme) {
  return marked.split(readme, BEGIN, END);
}

/**
 * @param {string} readme
 * @param {Result} result
 * @returns {string} with the result in it
 */
function inserted(readme, result) {
  return marked.replace(readme, BEGIN, END, section(result));
}

module.exports = { TITLES, inserted, section, split };
