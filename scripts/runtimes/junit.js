'use strict';

/** The test cases of a report in JUnit's XML, as Node, Bun and Deno write it. */

/**
 * @typedef {object} TestCase
 * @property {string} name with those of the suites that it is in
 * @property {boolean} isSkipped
 * @property {string} [reason] why it is skipped
 * @property {string} [failure] the first line of the message
 */

const TAG = /<(?<close>\/?)(?<name>[\w:]+)(?<attributes>(?:\s+[\w:]+="[^"]*")*)\s*(?<empty>\/?)>/g;
const ATTRIBUTE = /([\w:]+)="([^"]*)"/g;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** How Deno joins the names of a suite and of what is in it. */
const JOINED = ' > ';

/**
 * @param {string} report
 * @returns {TestCase[]}
 */
function testCases(report) {
  /** @type {TestCase[]} */
  const cases = [];
  /** @type {string[]} of the elements around */
  const suites = [];
  /** @type {TestCase | null} */
  let current = null;
  for (const { groups = {} } of report.matchAll(TAG)) {
    const attributes = attributesOf(groups.attributes ?? '');
    if (groups.name === 'testsuite') {
      if (groups.close) suites.pop();
      else if (!groups.empty) suites.push(attributes.name ?? '');
    } else if (groups.name === 'testcase') {
      if (groups.close) current = null;
      else {
        current = { name: [...suites.filter(isSuite), attributes.name ?? ''].join(JOINED), isSkipped: false };
        cases.push(current);
        if (groups.empty) current = null;
      }
    } else if (current !== null && groups.name === 'skipped') {
      current.isSkipped = true;
      if (attributes.message !== undefined) current.reason = attributes.message;
    } else if (current !== null && (groups.name === 'failure' || groups.name === 'error') && !groups.close) {
      current.failure = (attributes.message ?? '').split('\n', 1)[0] ?? '';
    }
  }
  return leaves(cases);
}

/** Whether it is a suite of tests, and not a file of them. @param {string} name */
function isSuite(name) {
  return !/\.[jt]s$/.test(name);
}

/**
 * Those that are not suites: Deno reports a suite as a test, too.
 * @param {TestCase[]} cases
 */
function leaves(cases) {
  const suites = new Set();
  for (const { name } of cases) {
    for (let at = name.indexOf(JOINED); at >= 0; at = name.indexOf(JOINED, at + 1))
      suites.add(name.slice(0, at));
  }
  return cases.filter(({ name }) => !suites.has(name));
}

/**
 * @param {string} text
 * @returns {Record<string, string | undefined>}
 */
function attributesOf(text) {
  return Object.fromEntries(
    [...text.matchAll(ATTRIBUTE)].map(([, name, value]) => [name, decoded(value ?? '')]),
  );
}

/** Node 18 and 20 escape twice what is in a name of a suite. @param {string} text */
function decoded(text) {
  const once = (/** @type {string} */ escaped) =>
    escaped.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (entity, decimal, hexadecimal, name) => {
      if (name !== undefined) return ENTITIES[/** @type {keyof typeof ENTITIES} */ (name)] ?? entity;
      return String.fromCodePoint(decimal === undefined ? Number.parseInt(hexadecimal, 16) : Number(decimal));
    });
  return once(once(text));
}

module.exports = { testCases };
