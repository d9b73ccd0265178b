'use strict';

// The two files of a run over time: its figures, and its chart. Used by million.js and soak.js.

const fs = require('node:fs');
const path = require('node:path');

/**
 * @param {string} out the folder
 * @param {string} name of the files
 * @param {{ meta: Record<string, any>, summary: Record<string, any>, series: Record<string, any[]> }} result
 * @param {string} svg
 * @returns {string[]} the files
 */
function write(out, name, { meta, summary, series }, svg) {
  fs.mkdirSync(out, { recursive: true });
  const files = [path.join(out, `${name}.json`), path.join(out, `${name}.svg`)];
  // A list for each column, on one line.
  const lists = Object.entries(series).map(
    ([column, values]) => `    "${column}": ${JSON.stringify(values)}`,
  );
  const head = JSON.stringify({ meta, summary }, undefined, 2).slice(0, -2);
  fs.writeFileSync(files[0], `${head},\n  "series": {\n${lists.join(',\n')}\n  }\n}\n`);
  fs.writeFileSync(files[1], svg);
  return files;
}

/** A run that was as long as planned may be so much shorter than another: the closing of all connections takes its time. */
const SLACK_SECONDS = 10;

/**
 * Where a run's files go: a shorter run does not write over a longer one.
 *
 * @param {string} first the folder, unless a longer run is there
 * @param {string} second the folder then
 * @param {string} name of the files
 * @param {number} seconds of the run
 * @returns {string}
 */
function folder(first, second, name, seconds) {
  const earlier = path.join(first, `${name}.json`);
  if (!fs.existsSync(earlier)) return first;
  const { summary } = JSON.parse(fs.readFileSync(earlier, 'utf8'));
  return summary.seconds > seconds + SLACK_SECONDS ? second : first;
}

module.exports = { folder, write };
