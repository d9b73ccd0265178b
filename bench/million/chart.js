'use strict';

// The run as a figure: connections, memory, CPU and messages over one time axis.

const { processor, whole } = require('../svg');
const { duration, megabytes, rate, short, timeline } = require('../timeline');

/**
 * @param {{ meta: Record<string, any>, summary: Record<string, any>, series: Record<string, any[]> }} result
 * @returns {Promise<string>} the SVG
 */
function chart({ meta, summary, series }) {
  const steadyFrom = series.second[series.phase.indexOf('steady')];
  return timeline({
    headline: headline(summary),
    note: subtitle(meta, summary),
    description: description(summary),
    seconds: series.second,
    since: 'the first connection',
    mark: steadyFrom === undefined ? undefined : { second: steadyFrom, label: 'steady state' },
    panels: describe(summary, series),
  });
}

/**
 * @param {Record<string, any>} summary
 * @param {Record<string, any[]>} series
 * @returns {import('../timeline').Panel[]}
 */
function describe(summary, series) {
  const sum = series.cpuUser.map((user, at) => (user + series.cpuSystem[at]) * 100);
  const system = series.cpuSystem.map((share) => share * 100);
  const lost = series.lost.map((value, at) => value + series.refused[at]);
  const late = rate(series.late, series.second);
  const none = (/** @type {number[]} */ values) => values.every((value) => value === 0);
  return [
    {
      title: 'Connections',
      figure: `${whole(summary.open)} open, ${whole(summary.lost + summary.refused)} lost`,
      traces: [
        { color: 'blue', values: series.open, shape: 'area', label: 'open' },
        ...(none(lost)
          ? []
          : [{ color: 'red', values: lost, shape: /** @type {const} */ ('line'), label: 'lost' }]),
      ],
      tick: short,
    },
    {
      title: 'Memory of the server, MB resident',
      figure: memoryFigure(summary),
      traces: [{ color: 'green', values: series.residentBytes.map((bytes) => bytes / 1e6), shape: 'area' }],
      tick: short,
    },
    {
      title: 'CPU of the server, % of one processor',
      figure: `${(summary.cpuMean * 100).toFixed(1)} % in steady state`,
      traces: [
        { color: 'amber', values: sum, shape: 'area', label: 'in all' },
        { color: 'brown', values: system, shape: 'area', label: 'in the kernel' },
      ],
      tick: (value) => `${short(value)} %`,
    },
    {
      title: 'Messages each way, a second',
      figure: `${whole(Math.round(summary.messagesPerSecond))}/s, ${whole(summary.answers)} in all, ${whole(summary.late)} late`,
      traces: [
        { color: 'violet', values: rate(series.answers, series.second), shape: 'line', label: 'answered' },
        ...(none(late)
          ? []
          : [{ color: 'red', values: late, shape: /** @type {const} */ ('marks'), label: 'late' }]),
      ],
      tick: short,
    },
  ];
}

/** Fewer connections are outweighed by what Node.js itself grows by, so their share says nothing. */
const SHARED_FROM = 100_000;

/** @param {Record<string, any>} summary */
function memoryFigure({ open, residentBytesMax, residentBytesBefore, bytesPerConnection }) {
  const most = `${megabytes(residentBytesMax)} MB`;
  if (open < SHARED_FROM) return `${most}; ${megabytes(residentBytesBefore)} MB before the first connection`;
  return `${most}, ${whole(Math.round(bytesPerConnection))} bytes for each connection`;
}

/** @param {Record<string, any>} summary */
function headline({ open }) {
  return `${whole(open)} live WebSockets in one Node.js process`;
}

/** @type {(meta: Record<string, any>, summary: Record<string, any>) => string} */
function subtitle(meta, summary) {
  const interval = meta.intervalSeconds === 1 ? 'second' : `${meta.intervalSeconds} s`;
  return [
    `tidewire ${meta.version}, a message and its answer on each connection every ${interval}`,
    `held for ${duration(summary.steadySeconds)}`,
    `Node.js ${String(meta.node).slice(1)}, Linux ${String(meta.kernel).split('-')[0]}, ${meta.processors} × ${processor(meta.cpu)}`,
  ].join(' · ');
}

/** @param {Record<string, any>} summary */
function description(summary) {
  return (
    `${whole(summary.open)} connections open, ${whole(summary.lost + summary.refused)} lost; ` +
    `${megabytes(summary.residentBytesMax)} MB of resident memory; ` +
    `${(summary.cpuMean * 100).toFixed(1)} % of a processor; ${whole(summary.answers)} messages answered.`
  );
}

module.exports = { chart };
