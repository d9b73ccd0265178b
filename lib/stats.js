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
 * @param {import('./lane').Lane[]} lanes in the order of the reactors; empty while they do not run
 * @param {import('./topics').Topics} topics
 * @returns {AppStats}
 */
function statsOf({ reactors, gate }, lanes, topics) {
  // A message that finds too much waiting is mostly dropped on this side already.
  for (const [number, reactor] of reactors.entries()) {
    reactor.dropped += lanes[number]?.dropped ?? 0;
    reactor.subscriptions = lanes[number]?.topics.size ?? 0;
  }
  return { ...sum(reactors), topics: topics.size, publishes: topics.publishes, reactors, gate };
}

/**
 * Adds numbers by name, in objects by name, too.
 * @template {{}} Numbers
 * @param {Numbers[]} parts one or more, of the same shape
 * @returns {Numbers}
 */
function sum(parts) {
  const total = /** @type {any} */ ({});
  for (const name of Object.keys(parts[0])) {
    const values = parts.map((part) => /** @type {any} */ (part)[name]);
    total[name] = typeof values[0] === 'number' ? values.reduce((one, other) => one + other) : sum(values);
  }
  return total;
}

module.exports = { statsOf };
