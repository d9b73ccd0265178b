'use strict';

/**
 * What `app.stats()` returns: the numbers of each reactor, and their sums for the App. Called when
 * somebody asks; nothing here runs for a message.
 */

/**
 * @typedef {import('../index').ReactorStats} ReactorStats
 * @typedef {import('../index').AppStats} AppStats
 */

/**
 * @param {{ reactors: ReactorStats[], gate: AppStats['gate'] }} engine the native side's numbers
 * @param {{ dropped: number }[]} lanes in the order of the reactors; empty while they do not run
 * @returns {AppStats}
 */
function statsOf({ reactors, gate }, lanes) {
  // A message that finds too much waiting is mostly dropped on this side already.
  for (const [number, lane] of lanes.entries()) reactors[number].dropped += lane.dropped;
  return { ...reactors.reduce(sum), reactors, gate };
}

/**
 * Adds numbers by name, in objects by name, too.
 * @template {{}} Numbers
 * @param {Numbers} one
 * @param {Numbers} other of the same shape
 * @returns {Numbers}
 */
function sum(one, other) {
  const total = /** @type {any} */ ({});
  for (const [name, value] of Object.entries(one)) {
    const addend = /** @type {any} */ (other)[name];
    total[name] = typeof value === 'number' ? value + addend : sum(value, addend);
  }
  return total;
}

module.exports = { statsOf };
