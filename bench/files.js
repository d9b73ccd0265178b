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

module.exports = { write };
