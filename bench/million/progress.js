'use strict';

// The line that says how the run stands.

const { clock, number } = require('../progress');

/**
 * @param {number} connections how many there shall be
 * @returns {(row: Record<string, any>, last: Record<string, any> | undefined) => string} of a row and the one before
 */
function line(connections) {
  return (row, last = { second: 0, answers: 0 }) => {
    const seconds = Math.max(0.001, row.second - last.second);
    return [
      `${row.phase.padEnd(6)} ${clock(row.second)}`,
      `${number(row.open)}/${number(connections)} open`,
      `${number(row.lost + row.refused)} lost`,
      `${number(row.late)} late`,
      `${number((row.answers - last.answers) / seconds)} msg/s`,
      `${(row.residentBytes / 1e6).toFixed(1)} MB`,
      `${((row.cpuUser + row.cpuSystem) * 100).toFixed(0)} % CPU`,
    ].join('  ');
  };
}

module.exports = { line };
