'use strict';

// The result as README has it: a table between two marks.

const fs = require('node:fs');

const marked = require('../../scripts/marked');
const { format, times } = require('../table');
const { LABELS } = require('./suite');

const BEGIN = '<!-- written by `npm run bench -- all` -->';
const END = '<!-- until here -->';

/**
 * @param {import('./result').Result} result
 * @returns {string} what stands between the marks
 */
function section({ machine, versions, parts }) {
  const days = [...new Set(parts.map(({ date }) => date.slice(0, 10)))].sort();
  const revisions = [...new Set(parts.map(({ revision }) => revision))];
  const head = [
    `Measured ${days.length > 1 ? `from ${days[0]} to ${days[days.length - 1]}` : `on ${days[0]}`}`,
    `on ${machine.processors} processors (${machine.cpu}), Linux ${machine.kernel.split('-')[0]}`,
    `Node.js ${versions.node.slice(1)}, tidewire ${versions.tidewire} (${revisions.join(', ')}).`,
  ].join(', ');
  const title = [
    '',
    'tidewire',
    `Bun ${versions.bun ?? ''}`.trim(),
    `ws ${versions.ws}`,
    '÷ Bun',
    '÷ ws',
    'bar',
  ];
  const rows = parts.flatMap(({ rows }) => rows.map(cells));
  const line = (/** @type {string[]} */ row) => `| ${row.join(' | ')} |`.replaceAll('|  |', '| |');
  return [head, '', line(title), line(title.map(() => '---')), ...rows.map(line)].join('\n');
}

/**
 * @param {import('./result').Row} row
 * @returns {string[]}
 */
function cells({ title, unit, digits, value, ratios, bars }) {
  const measure = (/** @type {number} */ number) =>
    `${format(number, digits)}${unit === '/s' ? unit : unit && ` ${unit}`}`;
  const of = (/** @type {string} */ name) => ratios.find(({ against }) => against === name);
  const [bun, ws] = ['bun', 'ws'].map(of);
  // What neither a column nor a bar tells: beside another way of tidewire.
  const others = ratios.filter(
    ({ against }) => against !== 'bun' && against !== 'ws' && !bars.some((bar) => bar.against === against),
  );
  return [
    title,
    value === null
      ? '–'
      : `**${measure(value.median)}** (${format(value.least, digits)}–${format(value.most, digits)})`,
    bun ? measure(bun.value.median) : '–',
    ws ? measure(ws.value.median) : '–',
    bun ? times(bun.ratio) : '–',
    ws ? times(ws.ratio) : '–',
    [
      ...bars.map(verdict),
      ...others.map(({ against, ratio }) => `${times(ratio)} × ${LABELS[against] ?? against}`),
    ].join('; '),
  ];
}

/**
 * @param {import('./result').Verdict} verdict
 * @returns {string} with the value, where no other cell has it
 */
function verdict({ bar, against, value, digits, isMet }) {
  const isElsewhere = against === 'bun' || against === 'ws';
  const shown = value === null ? ': not measured' : isElsewhere ? '' : `: ${format(value, digits)}`;
  return `${bar}${shown} ${isMet ? '✓' : '✗'}`;
}

/**
 * @param {string} readme README's text
 * @param {import('./result').Result} result
 * @returns {string} with the result in it
 */
function inserted(readme, result) {
  return marked.replace(readme, BEGIN, END, section(result));
}

/**
 * @param {string} readme
 * @returns {[before: string, section: string, after: string]}
 */
function split(readme) {
  return marked.split(readme, BEGIN, END);
}

/**
 * Writes the result into README.
 *
 * @param {string} file
 * @param {import('./result').Result} result
 */
function insert(file, result) {
  fs.writeFileSync(file, inserted(fs.readFileSync(file, 'utf8'), result));
}

module.exports = { insert, inserted, section, split };
