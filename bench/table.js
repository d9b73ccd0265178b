'use strict';

// Medians and ranges over rounds, ratios against peers, and the printed table.

/** Servers that the others are compared with, where they took part. */
const PEERS = ['ws', 'bun', 'node'];

/**
 * @typedef {object} Spread of a column, over the rounds of a server
 * @property {number} median
 * @property {number} least
 * @property {number} most
 */

/**
 * @param {number[]} values at least one
 * @returns {number}
 */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Each column over a server's rounds; `undefined` where no round has the value.
 *
 * @param {import('./scenarios').Column[]} columns
 * @param {import('./scenarios').Report[]} reports
 * @returns {(Spread | undefined)[]}
 */
function spreads(columns, reports) {
  return columns.map(({ value }) => spread(reports.map(value)));
}

/**
 * @param {(number | null | undefined)[]} values
 * @returns {Spread | undefined} of those that are numbers
 */
function spread(values) {
  const numbers = /** @type {number[]} */ (values.filter((value) => Number.isFinite(value)));
  if (numbers.length === 0) return undefined;
  return { median: median(numbers), least: Math.min(...numbers), most: Math.max(...numbers) };
}

/**
 * @param {import('./scenarios').Column[]} columns
 * @param {Map<string, import('./scenarios').Report[]>} reports each server's rounds
 * @returns {string} the table, servers in the order in which they took part
 */
function table(columns, reports) {
  const rows = [...reports].map(([server, rounds]) => ({ server, values: spreads(columns, rounds) }));
  const peers = rows.filter(({ server }) => PEERS.includes(server));
  const head = ['server', ...columns.map(({ title }) => title)];
  for (const { ratio } of columns) {
    if (ratio) head.push(...peers.map(({ server }) => `${ratio}/${server}`));
  }
  const body = rows.map(({ server, values }) => {
    const cells = [server, ...values.map((value, at) => cell(value, columns[at]))];
    columns.forEach(({ ratio }, at) => {
      if (!ratio) return;
      const own = values[at]?.median;
      cells.push(...peers.map((peer) => format(quotient(own, peer.values[at]?.median), 2)));
    });
    return cells;
  });
  return align([head, ...body]);
}

/**
 * A median, with its range where the column is compared and there were several rounds.
 *
 * @param {Spread | undefined} value
 * @param {import('./scenarios').Column} column
 */
function cell(value, { digits = 0, ratio }) {
  const text = format(value?.median, digits);
  if (!ratio || value === undefined || value.least === value.most) return text;
  return `${text} (${format(value.least, digits)}–${format(value.most, digits)})`;
}

/**
 * @param {number | undefined} value
 * @param {number | undefined} peer
 * @returns {number | undefined}
 */
function quotient(value, peer) {
  return value === undefined || !peer ? undefined : value / peer;
}

/**
 * @param {number | undefined} value
 * @param {number} digits
 * @returns {string}
 */
function format(value, digits) {
  if (value === undefined) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * @param {number} ratio
 * @returns {string} two digits that tell something, at least
 */
function times(ratio) {
  return Math.abs(ratio) >= 0.1 || ratio === 0 ? ratio.toFixed(2) : String(Number(ratio.toPrecision(2)));
}

/**
 * @param {string[][]} rows
 * @returns {string} names to the left, numbers to the right
 */
function align(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

module.exports = { format, median, quotient, spread, spreads, table, times };
