'use strict';

// Medians over rounds, ratios against peers, and the printed table.

/** Servers that the others are compared with, where they took part. */
const PEERS = ['ws', 'bun'];

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
 * The median of each column over a server's rounds; `undefined` where no round has the value.
 *
 * @param {import('./scenarios').Column[]} columns
 * @param {import('./scenarios').Report[]} reports
 * @returns {(number | undefined)[]}
 */
function medians(columns, reports) {
  return columns.map(({ value }) => {
    const values = reports.map(value).filter((number) => Number.isFinite(number));
    return values.length ? median(/** @type {number[]} */ (values)) : undefined;
  });
}

/**
 * @param {import('./scenarios').Column[]} columns
 * @param {Map<string, import('./scenarios').Report[]>} reports each server's rounds
 * @returns {string} the table, servers in the order in which they took part
 */
function table(columns, reports) {
  const rows = [...reports].map(([server, rounds]) => ({ server, values: medians(columns, rounds) }));
  const peers = rows.filter(({ server }) => PEERS.includes(server));
  const head = ['server', ...columns.map(({ title }) => title)];
  for (const { ratio } of columns) {
    if (ratio) head.push(...peers.map(({ server }) => `${ratio}/${server}`));
  }
  const body = rows.map(({ server, values }) => {
    const cells = [server, ...values.map((value, at) => format(value, columns[at].digits ?? 0))];
    columns.forEach(({ ratio }, at) => {
      if (ratio) cells.push(...peers.map((peer) => format(quotient(values[at], peer.values[at]), 2)));
    });
    return cells;
  });
  return align([head, ...body]);
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

module.exports = { medians, table };
