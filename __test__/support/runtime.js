'use strict';

/** Which JavaScript runtime this is, for tests of what its own clients cannot do. */

const name = process.versions.bun ? 'bun' : process.versions.deno ? 'deno' : 'node';

/**
 * Why a test cannot run here, or false: its option `skip`.
 * @param {{ bun?: string, deno?: string }} reasons
 * @returns {string | false}
 */
function unfit(reasons) {
  const reason = /** @type {Record<string, string | undefined>} */ (reasons)[name];
  if (reason === undefined) return false;
  // Neither of them prints the reason of a skipped test.
  console.log(`skipped: ${reason}`);
  return reason;
}

module.exports = { unfit };
