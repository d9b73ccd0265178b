'use strict';

// npm run bench -- all: measures the suite, says which bars are met, and writes bench.json, bench.svg and README's table.
// See bench/README.md.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { chart } = require('./all/chart');
const { insert } = require('./all/readme');
const { judgedAnew, merged, part, text } = require('./all/result');
const { SUITE } = require('./all/suite');
const { build } = require('./client');
const { ROOT, bunBinary, version } = require('./launch');
const { machine, sentence, told } = require('./machine');
const { canPin, measure } = require('./measure');

const DOCS = path.join(ROOT, 'docs');

/** Of a row that does not say it. */
const ROUNDS = '5';
const SECONDS = '3';

/**
 * @typedef {object} Plan
 * @property {import('./all/suite').Entry[]} entries
 * @property {import('./scenarios').Options} options for all of them
 * @property {string} out the folder for the results
 * @property {boolean} isPart whether an earlier result is kept where it is not measured anew
 * @property {boolean} isDrawn whether nothing is measured: chart and table are made anew of the earlier result
 */

/**
 * @param {string[]} words
 * @returns {Plan}
 */
function plan(words) {
  const text = /** @type {const} */ ({ type: 'string' });
  const { values } = parseArgs({
    args: words,
    options: { only: text, rounds: text, seconds: text, out: text, draw: { type: 'boolean' } },
  });
  const { only, draw = false, out = DOCS, ...options } = values;
  for (const [name, value] of Object.entries(options)) {
    if (!(Number(value) > 0)) throw new Error(`--${name} is ${value}, but must be a number above 0`);
  }
  const names = only?.split(',').filter(Boolean);
  const unknown = names?.find((name) => !SUITE.some((entry) => entry.name === name));
  if (unknown !== undefined) {
    throw new Error(`the suite has no ${unknown}; it has ${SUITE.map(({ name }) => name).join(', ')}`);
  }
  return {
    entries: SUITE.filter(({ name }) => names?.includes(name) ?? true),
    options,
    out: path.resolve(out),
    isPart: draw || names !== undefined,
    isDrawn: draw,
  };
}

/** @returns {import('./all/result').Result} with nothing measured yet */
function empty() {
  const { cpu, processors, kernel, node } = /** @type {any} */ (machine());
  let bun;
  try {
    bun = version(bunBinary());
  } catch (error) {
    console.log(sentence(error));
  }
  return {
    machine: { cpu, processors, kernel },
    versions: {
      node,
      bun: bun ?? null,
      ws: own('node_modules/ws/package.json').version,
      tidewire: own('package.json').version,
    },
    parts: [],
  };
}

/** @param {string} file of JSON, in the repository */
function own(file) {
  return JSON.parse(fs.readFileSync(path.join(ROOT, file), 'utf8'));
}

/** @param {string} folder */
function earlier(folder) {
  const file = path.join(folder, 'bench.json');
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

/**
 * Writes what was measured so far, so that an interrupted run has something to show.
 *
 * @param {string} out
 * @param {import('./all/result').Result} result
 */
async function write(out, result) {
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(path.join(out, 'bench.json'), text(result));
  fs.writeFileSync(path.join(out, 'bench.svg'), await chart(result));
  if (out === DOCS) insert(path.join(ROOT, 'README.md'), result);
}

/**
 * @param {string[]} words of the command line, behind `all`
 * @returns {Promise<boolean>} whether all was measured; a bar that is not met is a result, too
 */
async function all(words) {
  const asked = plan(words);
  const before = earlier(asked.out);
  if (asked.isDrawn) {
    if (before === undefined) throw new Error(`there is no ${path.join(asked.out, 'bench.json')} to draw`);
    await write(asked.out, judgedAnew(before, SUITE));
    return true;
  }
  const order = SUITE.map(({ name }) => name);
  let result = empty();
  if (asked.isPart) result = merged(before, result, order);
  const programs = build();
  console.log(told(machine()));
  let isWhole = true;
  for (const entry of asked.entries) {
    const options = { seconds: SECONDS, rounds: ROUNDS, ...entry.options, ...asked.options };
    const contestants = entry.contestants.map((each) =>
      typeof each === 'string' ? { name: each, server: each } : each,
    );
    const made = /** @type {{ date: string, revision: string | undefined }} */ (machine());
    const measurement = { scenario: entry.scenario, options, contestants, pin: !entry.isFree && canPin() };
    const found = part(entry, measurement, await measure(measurement, programs), made);
    for (const { title, bars } of found.rows) {
      for (const { bar, value, isMet } of bars) {
        console.log(`${isMet ? 'met' : 'MISSED'}: ${title}: ${bar}, is ${value ?? 'not measured'}`);
      }
    }
    result = merged(result, { ...result, parts: [found] }, order);
    await write(asked.out, result);
    isWhole &&= found.failures.length === 0 && found.contestants.length === contestants.length;
  }
  console.log(`\nwritten: ${path.join(asked.out, 'bench.json')}, bench.svg`);
  return isWhole;
}

module.exports = { all };
