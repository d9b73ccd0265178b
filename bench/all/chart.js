'use strict';

// The result as a figure: for each row of the suite the ratios to Bun, to ws and to another way of tidewire, over one
// logarithmic axis, each with the range of its rounds and the bar that it is held against. The scale is d3's.

const { escapeXml, processor, svg } = require('../svg');
const { times } = require('../table');

const WIDTH = 960;
const LEFT = 24;
const PLOT = 400;
const PLOT_END = 770;
const COLUMNS = [832, 892, 930];
const HEAD = 118;
const ROW = 25;
const FOOT = 76;

/** What is beyond is shown as an arrow at the edge. */
const LEAST = 0.05;
const MOST = 4;
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 4];

/**
 * Colour and place in the row, by whom tidewire is compared with.
 *
 * @type {Record<string, { color: string, lane: number }>}
 */
const LANES = { bun: { color: 'amber', lane: -5 }, ws: { color: 'blue', lane: 5 } };
const OWN = { color: 'violet', lane: 5 };

/**
 * @param {import('./result').Result} result
 * @returns {Promise<string>} the SVG
 */
async function chart({ machine, versions, parts }) {
  const { scaleLog } = await import('d3-scale');
  const x = scaleLog([LEAST, MOST], [PLOT, PLOT_END]).clamp(true);
  const rows = parts.flatMap((part) => part.rows);
  const bottom = HEAD + rows.length * ROW;
  const days = parts.map(({ date }) => date.slice(0, 10)).sort();
  const figure = {
    width: WIDTH,
    height: bottom + FOOT,
    left: LEFT,
    headline: 'What tidewire takes, beside Bun and ws',
    note: [
      `tidewire ${versions.tidewire}, Bun ${versions.bun ?? '–'}, ws ${versions.ws}, Node.js ${versions.node.slice(1)}`,
      `${machine.processors} × ${processor(machine.cpu)}, Linux ${machine.kernel.split('-')[0]}`,
      days[days.length - 1] ?? '',
    ].join(' · '),
    description: rows.map(told).join('; '),
    style: STYLE,
  };
  return svg(figure, [
    `<rect class="green fill" x="${PLOT}" y="${HEAD - 8}" width="${x(1) - PLOT}" height="${bottom - HEAD + 8}"/>`,
    ...TICKS.map((value) => tick(x(value), bottom, value)),
    legend(),
    ...rows.map((row, at) => line(row, HEAD + at * ROW, x)),
    `<text class="axis middle" x="${(PLOT + PLOT_END) / 2}" y="${bottom + 38}">tidewire ÷ the other: left of 1 tidewire takes less (of a rate, gives more)</text>`,
    `<text class="axis" x="${LEFT}" y="${bottom + 60}">Server CPU of all threads for each message, unless the row says otherwise. Medians; lines reach from the least to the most of single rounds.</text>`,
  ]);
}

/**
 * @param {import('./result').Row} row
 * @param {number} top
 * @param {(value: number) => number} x
 */
function line({ title, isRate, ratios, bars }, top, x) {
  const middle = top + ROW / 2;
  // Of a rate more is better: turned over, so that left is better everywhere.
  const cost = (/** @type {number} */ value) => Math.max(isRate ? 1 / value : value, Number.MIN_VALUE);
  const marks = ratios.map(({ against, ratio, least, most }) => {
    const { color, lane } = LANES[against] ?? OWN;
    const y = middle + lane;
    const bar = bars.find((verdict) => verdict.against === against);
    const [from, to] = [x(cost(least)), x(cost(most))].sort((a, b) => a - b);
    return [
      `<line class="range ${color}" x1="${at(from)}" x2="${at(to)}" y1="${at(y)}" y2="${at(y)}"/>`,
      bar ? limit(x(cost(bar.limit)), y, color) : '',
      point(x(cost(ratio)), y, color, cost(ratio)),
    ].join('');
  });
  const number = (/** @type {string} */ name, /** @type {number} */ right) => {
    const found = ratios.find(({ against }) => against === name);
    return found ? `<text class="end" x="${right}" y="${at(middle + 4)}">${times(found.ratio)}</text>` : '';
  };
  const isMet = bars.every((bar) => bar.isMet);
  return [
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - LEFT}" y1="${top}" y2="${top}"/>`,
    `<text x="${LEFT}" y="${at(middle + 4)}">${escapeXml(title.replaceAll('`', ''))}</text>`,
    ...marks,
    number('bun', COLUMNS[0]),
    number('ws', COLUMNS[1]),
    bars.length === 0
      ? ''
      : `<text class="end ${isMet ? 'met' : 'missed'}" x="${COLUMNS[2]}" y="${at(middle + 4)}">${isMet ? '✓' : '✗'}</text>`,
  ].join('');
}

/** @type {(x: number, y: number, color: string, value: number) => string} a dot, or at the edge an arrow */
function point(x, y, color, value) {
  if (value >= LEAST && value <= MOST) {
    return `<circle class="${color}" cx="${at(x)}" cy="${at(y)}" r="3.8"/>`;
  }
  const away = value < LEAST ? -1 : 1;
  return `<path class="${color}" d="M${at(x + 6 * away)},${at(y)}L${at(x - 2 * away)},${at(y - 4)}V${at(y + 4)}Z"/>`;
}

/** @type {(x: number, y: number, color: string) => string} the bar that a ratio shall stay left of */
function limit(x, y, color) {
  return `<path class="stroke ${color}" d="M${at(x - 3)},${at(y - 6)}H${at(x)}V${at(y + 6)}H${at(x - 3)}"/>`;
}

/** @type {(x: number, bottom: number, value: number) => string} */
function tick(x, bottom, value) {
  return (
    `<line class="${value === 1 ? 'tick' : 'grid'}" x1="${at(x)}" x2="${at(x)}" y1="${HEAD - 8}" y2="${bottom + 5}"/>` +
    `<text class="axis middle" x="${at(x)}" y="${bottom + 19}">${value}</text>`
  );
}

function legend() {
  const y = HEAD - 26;
  const words = [
    [PLOT + 6, 'amber', 'Bun'],
    [PLOT + 62, 'blue', 'ws'],
    [PLOT + 108, 'violet', 'tidewire itself, another way'],
  ];
  return [
    ...words.map(
      ([x, color, word]) =>
        `<circle class="${color}" cx="${x}" cy="${y - 4}" r="4.5"/><text class="axis" x="${Number(x) + 10}" y="${y}">${word}</text>`,
    ),
    `<path class="stroke bar" d="M${PLOT + 292},${y - 12}h4v16h-4"/><text class="axis" x="${PLOT + 302}" y="${y}">the bar</text>`,
    ...['÷ Bun', '÷ ws', 'bar'].map(
      (word, column) => `<text class="axis end" x="${COLUMNS[column]}" y="${y}">${word}</text>`,
    ),
  ].join('');
}

/** @param {import('./result').Row} row */
function told({ title, ratios }) {
  return `${title}: ${ratios.map(({ against, ratio }) => `${times(ratio)} × ${against}`).join(', ')}`;
}

/** @param {number} value */
function at(value) {
  return value.toFixed(1);
}

const STYLE = `
.range { stroke-width: 3; stroke-opacity: 0.45; stroke-linecap: round; }
.range.blue { stroke: #1f6feb; }
.range.amber { stroke: #d9840b; }
.range.violet { stroke: #8250df; }
.stroke.bar { stroke: #8b949e; }
.met { fill: #1a8f4b; font-weight: 700; }
.missed { fill: #d1242f; font-weight: 700; }
@media (prefers-color-scheme: dark) {
  .range.violet { stroke: #a984f0; }
  .met { fill: #3fb96b; }
  .missed { fill: #ff6b6b; }
}
`;

module.exports = { chart };
