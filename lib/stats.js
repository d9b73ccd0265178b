'use strict';

/**
 * What `app.stats()` returns: the numbers of each reactor, and their sums for the App. Called when
 * somebody asks; nothing here runs for a message.
 */

/**
 * @typedef {import('../index').ReactorStats} ReactorStats
 * @typedef {import('../index').AppStats} AppStats
 * @typedef {ReactorStats & { outboxMemoryBytes: number, shed: number }} NativeReactor
 * @typedef {object} NativeBudget
 * @property {number} limit
 * @property {number} httpBytes
 * @property {number} httpShed
 * @property {number} readingStops
 * @property {number} acceptingStops
 * @property {number} closings
 */

/**
 * @param {{ reactors: NativeReactor[], gate: AppStats['gate'], budget: NativeBudget }} engine the native side's numbers
 * @param {import('./lane').Lane[]} lanes in the order of the reactors; empty while they do not run
 * @param {import('./topics').Topics} topics
 * @returns {AppStats}
 */
function statsOf({ reactors: natives, gate, budget: native }, lanes, topics) {
  const budget = budgetOf(natives, native);
  const reactors = natives.map(
    ({ outboxMemoryBytes, shed, ...reactor }) => /** @type {ReactorStats} */ (reactor),
  );
  for (const [number, reactor] of reactors.entries()) complete(reactor, lanes[number]);
  const total = sum(reactors);
  total.largestBatch = Math.max(...reactors.map(({ largestBatch }) => largestBatch));
  return { ...total, topics: topics.size, publishes: topics.publishes, budget, reactors, gate };
}

/**
 * The memory budget: what it is, what uses it, and what became of that.
 * @param {NativeReactor[]} reactors
 * @param {NativeBudget} native
 * @returns {AppStats['budget']}
 */
function budgetOf(reactors, native) {
  /** @param {(reactor: NativeReactor) => number} number */
  const total = (number) => reactors.map(number).reduce((one, other) => one + other);
  const byKind = {
    events: total(({ waiting }) => waiting.eventBytes),
    commands: total(({ waiting }) => waiting.commandBytes),
    outboxes: total(({ outboxMemoryBytes }) => outboxMemoryBytes),
    parked: total(({ waiting }) => waiting.parkedBytes),
    assemblies: total(({ waiting }) => waiting.assemblyBytes),
    records: total(({ waiting }) => waiting.recordBytes),
    http: native.httpBytes,
  };
  const used = Object.values(byKind).reduce((one, other) => one + other);
  const { limit, readingStops, acceptingStops, closings, httpShed } = native;
  const closed = total(({ shed }) => shed) + httpShed;
  return { limit, used, byKind, readingStops, acceptingStops, closings, closed };
}

/**
 * Adds what JavaScript's side of a reactor has done and holds.
 * @param {ReactorStats} reactor
 * @param {import('./lane').Lane | undefined} lane
 */
function complete(reactor, lane) {
  // A message that finds too much waiting is mostly dropped on this side already.
  reactor.dropped += lane?.dropped ?? 0;
  reactor.subscriptions = lane?.topics.size ?? 0;
  const { memory, waiting } = reactor;
  const { connections, subscriptions, buffers } = lane?.memory ?? NO_MEMORY;
  memory.connections += connections;
  memory.subscriptions += subscriptions;
  memory.buffers += buffers;
  memory.waiting =
    waiting.eventBytes +
    waiting.commandBytes +
    waiting.outboxBytes +
    waiting.parkedBytes +
    waiting.assemblyBytes +
    waiting.recordBytes;
  memory.total =
    memory.connections + memory.subscriptions + memory.contexts + memory.buffers + memory.waiting;
}

const NO_MEMORY = { connections: 0, subscriptions: 0, buffers: 0 };

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
