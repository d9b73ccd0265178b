'use strict';

// What was measured, as docs/bench.json has it: every round, medians and ranges, the ratios of the suite's rows, and
// whether their bars are met.

const { SCENARIOS } = require('../scenarios');
const { quotient, spread } = require('../table');
const { LABELS } = require('./suite');

/** Those that a row is compared with unless it says so. */
const PEERS = ['bun', 'ws', 'node'];

/**
 * @typedef {import('../table').Spread} Spread
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} server
 * @property {Record<string, string>} [env]
 * @property {import('../scenarios').Options} [options]
 * @property {(number | null)[][]} rounds the value of each column; an empty round has failed
 *
 * @typedef {object} Ratio of the row's figure to another contestant's
 * @property {string} against
 * @property {Spread} value of that one
 * @property {number} ratio of the medians
 * @property {number} least of the ratios of single rounds
 * @property {number} most
 *
 * @typedef {object} Verdict on a bar
 * @property {string} bar in words
 * @property {string | null} against whose figure it is a ratio to
 * @property {number} limit
 * @property {number | null} value what was measured: null if nothing
 * @property {number} digits of the value, behind the point
 * @property {boolean} isMet
 *
 * @typedef {object} Row
 * @property {string} title
 * @property {string} of
 * @property {string} column
 * @property {string} unit
 * @property {number} digits
 * @property {boolean} isRate whether more is better
 * @property {Spread | null} value
 * @property {Ratio[]} ratios
 * @property {Verdict[]} bars
 *
 * @typedef {object} Part of the result: an entry of the suite, as it was measured
 * @property {string} name
 * @property {string} title
 * @property {string} date
 * @property {string | undefined} revision
 * @property {boolean} isPinned
 * @property {string} scenario
 * @property {import('../scenarios').Options} options
 * @property {string[]} columns
 * @property {Contestant[]} contestants
 * @property {Row[]} rows
 * @property {string[]} notes
 * @property {string[]} failures
 *
 * @typedef {object} Result
 * @property {{ cpu: string, processors: number, kernel: string }} machine
 * @property {{ node: string, bun: string | null, ws: string, tidewire: string }} versions
 * @property {Part[]} parts
 */

/**
 * @param {import('./suite').Entry} entry
 * @param {import('../measure').Measurement} measurement how it was measured
 * @param {import('../measure').Measured} measured
 * @param {{ date: string, revision: string | undefined }} made when, and of which commit
 * @returns {Part}
 */
function part(entry, { options, contestants, pin }, { title, reports, notes, failures }, { date, revision }) {
  const { columns } = SCENARIOS[entry.scenario];
  const found = contestants.flatMap(({ name, ...how }) => {
    const rounds = reports.get(name);
    if (rounds === undefined) return [];
    const values = Array.from(rounds, (report) =>
      report ? columns.map(({ value }) => short(value(report))) : [],
    );
    return [{ name, ...how, rounds: values }];
  });
  return {
    name: entry.name,
    title,
    date,
    revision,
    isPinned: pin,
    scenario: entry.scenario,
    options,
    columns: columns.map((column) => column.title),
    contestants: found,
    rows: judged(entry, found),
    notes,
    failures,
  };
}

/**
 * @param {import('./suite').Entry} entry
 * @param {Contestant[]} contestants
 * @returns {Row[]}
 */
function judged({ scenario, rows }, contestants) {
  const { columns } = SCENARIOS[scenario];
  return rows.map((row) => judgedRow(row, columns, contestants));
}

/**
 * Holds the rounds of a result against the suite as it is now, whose titles and bars may have changed since.
 *
 * @param {Result} result
 * @param {import('./suite').Entry[]} suite
 * @returns {Result}
 */
function judgedAnew(result, suite) {
  const parts = result.parts.flatMap((part) => {
    const entry = suite.find(({ name }) => name === part.name);
    return entry ? [{ ...part, rows: judged(entry, part.contestants) }] : [];
  });
  return { ...result, parts };
}

/**
 * @param {import('./suite').Row} row
 * @param {import('../scenarios').Column[]} columns
 * @param {Contestant[]} contestants
 * @returns {Row}
 */
function judgedRow({ title, of = 'tidewire', column, beside = PEERS, bars = [] }, columns, contestants) {
  const at = columns.findIndex((candidate) => candidate.title === column);
  const { unit = '', digits = 0, isRate = false } = columns[at];
  const series = (/** @type {string} */ name, /** @type {number} */ index) =>
    contestants.find((contestant) => contestant.name === name)?.rounds.map((round) => round[index]) ?? [];
  const others = new Set([...beside, ...bars.flatMap(({ against }) => against ?? [])]);
  const ratios = [...others].flatMap((against) => ratio(series(of, at), series(against, at), against) ?? []);
  const verdicts = bars.map((bar) => {
    const index = bar.column === undefined ? at : columns.findIndex(({ title }) => title === bar.column);
    const own = spread(series(of, index))?.median;
    const value =
      bar.against === undefined
        ? own
        : ratio(series(of, index), series(bar.against, index), bar.against)?.ratio;
    return {
      bar: words(bar, columns[index]),
      against: bar.against ?? null,
      limit: Number(bar.most ?? bar.least),
      value: value ?? null,
      digits: bar.against === undefined ? (columns[index].digits ?? 0) : 2,
      isMet: value !== undefined && value <= (bar.most ?? value) && value >= (bar.least ?? value),
    };
  });
  return {
    title,
    of,
    column,
    unit,
    digits,
    isRate,
    value: spread(series(of, at)) ?? null,
    ratios,
    bars: verdicts,
  };
}

/**
 * @param {(number | null | undefined)[]} own by round
 * @param {(number | null | undefined)[]} other
 * @param {string} against
 * @returns {Ratio | undefined}
 */
function ratio(own, other, against) {
  const value = spread(other);
  const medians = quotient(spread(own)?.median, value?.median);
  const single = spread(own.map((number, round) => quotient(number ?? undefined, other[round] ?? undefined)));
  if (value === undefined || medians === undefined || single === undefined) return undefined;
  return {
    against,
    value,
    ratio: short(medians) ?? 0,
    least: short(single.least) ?? 0,
    most: short(single.most) ?? 0,
  };
}

/**
 * @param {import('./suite').Bar} bar
 * @param {import('../scenarios').Column} column
 */
function words({ most, least, against, column: other }, { title, unit = '' }) {
  const bound = most === undefined ? `≥ ${least}` : `≤ ${most}`;
  if (against !== undefined) return `${bound} × ${LABELS[against] ?? against}`;
  const what = other === undefined ? '' : `${title.replace(unit && ` ${unit}`, '')} `;
  return `${what}${bound}${unit && ` ${unit}`}`;
}

/**
 * @param {number | undefined} value
 * @returns {number | null} with as many digits as a measurement may have
 */
function short(value) {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(5));
}

/**
 * Puts new parts into an earlier result, in the order of the suite.
 *
 * @param {Result | undefined} earlier
 * @param {Result} now
 * @param {string[]} order names of all parts
 * @returns {Result} throws an Error if the two are of other machines or versions
 */
function merged(earlier, now, order) {
  if (earlier === undefined) return now;
  for (const [group, name] of ROOTS) {
    const [before, after] = [earlier, now].map((result) => /** @type {any} */ (result)[group][name]);
    if (before !== after) {
      throw new Error(
        `${name} was ${before} in the earlier result and is ${after} now: measure all of it anew`,
      );
    }
  }
  const parts = new Map([...earlier.parts, ...now.parts].map((part) => [part.name, part]));
  return { ...now, parts: order.flatMap((name) => parts.get(name) ?? []) };
}

/** What parts must have in common to stand in one result. */
const ROOTS = [
  ['machine', 'cpu'],
  ['machine', 'processors'],
  ['machine', 'kernel'],
  ['versions', 'node'],
  ['versions', 'bun'],
  ['versions', 'ws'],
];

/**
 * @param {Result} result
 * @returns {string} JSON, a round on a line
 */
function text(result) {
  const number = '(?:-?[0-9][0-9.e+-]*|null)';
  const list = new RegExp(`\\[\\n\\s+(${number}(?:,\\n\\s+${number})*)\\n\\s+\\]`, 'g');
  const lines = JSON.stringify(result, undefined, 1).replace(
    list,
    (_, values) => `[${values.replace(/\s+/g, ' ')}]`,
  );
  return `${lines}\n`;
}

module.exports = { judgedAnew, merged, part, text };
