'use strict';

// The soak as a figure: connections, memory, descriptors, CPU and messages over one time axis.

const { processor, whole } = require('../svg');
const { duration, megabytes, rate, short, timeline } = require('../timeline');

/**
 * @param {{ meta: Record<string, any>, summary: Record<string, any>, series: Record<string, any[]> }} result
 * @returns {Promise<string>} the SVG
 */
function chart({ meta, summary, series }) {
  return timeline({
    headline: `${duration(summary.seconds)} of coming, going and talking in one Node.js process`,
    note: note(meta, summary),
    description: description(summary),
    seconds: series.second,
    since: 'the first connection',
    mark: { second: meta.minutes * 10, label: 'warm-up is over' },
    panels: panels(summary, series),
  });
}

/**
 * @param {Record<string, any>} summary
 * @param {Record<string, any[]>} series
 * @returns {import('../timeline').Panel[]}
 */
function panels(summary, series) {
  const { second } = series;
  const inMegabytes = (/** @type {string} */ name) => series[name].map((bytes) => bytes / 1e6);
  const cpu = series.cpuUser.map((user, at) => (user + series.cpuSystem[at]) * 100);
  const faults = total(summary.faultsToClient) + total(summary.faultsToServer);
  return [
    {
      title: 'Connections',
      figure: `${whole(summary.opened)} opened, ${whole(total(summary.endings))} ended in five ways`,
      traces: [
        { color: 'blue', values: series.open, shape: 'area', label: 'open' },
        { color: 'brown', values: series.descriptors, shape: 'line', label: 'descriptors of the server' },
      ],
      tick: short,
    },
    {
      title: 'Opened, a second',
      figure: `${summary.connectionsPerSecond}/s`,
      traces: [{ color: 'blue', values: rate(series.opened, second), shape: 'line' }],
      tick: short,
    },
    {
      title: 'Memory of the server, MB',
      figure: `${megabytes(summary.residentBytesMedian)} MB, ${percent(summary.residentSlopePerHour)} an hour`,
      traces: [
        { color: 'green', values: inMegabytes('residentBytes'), shape: 'area', label: 'resident' },
        { color: 'violet', values: inMegabytes('heapUsedBytes'), shape: 'line', label: 'heap of JavaScript' },
        { color: 'amber', values: inMegabytes('engineBytes'), shape: 'line', label: 'engine' },
      ],
      tick: short,
    },
    {
      title: 'CPU of the server, % of one processor',
      figure: `${(summary.cpuMean * 100).toFixed(1)} %, and ${(summary.clientCpuMean * 100).toFixed(1)} % for the client`,
      traces: [
        { color: 'amber', values: cpu, shape: 'area', label: 'in all' },
        {
          color: 'brown',
          values: series.cpuSystem.map((share) => share * 100),
          shape: 'area',
          label: 'in the kernel',
        },
      ],
      tick: (value) => `${short(value)} %`,
    },
    {
      title: 'Messages, a second',
      figure: `${whole(summary.sent)} and ${whole(summary.publications)}, ${whole(faults)} faults`,
      traces: [
        { color: 'violet', values: rate(series.echoes, second), shape: 'line', label: 'echoed' },
        { color: 'blue', values: rate(series.publications, second), shape: 'line', label: 'published' },
        ...(series.faults.every((count) => count === 0)
          ? []
          : [
              {
                color: 'red',
                values: rate(series.faults, second),
                shape: /** @type {const} */ ('marks'),
                label: 'faults',
              },
            ]),
      ],
      tick: short,
    },
  ];
}

/** @type {(meta: Record<string, any>, summary: Record<string, any>) => string} */
function note(meta, summary) {
  return [
    `tidewire ${meta.version}, ${whole(meta.connections)} connections, ${Math.round(summary.connectionsPerSecond)} of them opened anew each second`,
    `Node.js ${String(meta.node).slice(1)}, Linux ${String(meta.kernel).split('-')[0]}, ${meta.processors} × ${processor(meta.cpu)}`,
  ].join(' · ');
}

/** @param {Record<string, any>} summary */
function description(summary) {
  return (
    `${whole(summary.sent)} messages echoed, ${whole(summary.publications)} published ones delivered, ` +
    `${whole(total(summary.faultsToClient) + total(summary.faultsToServer))} faults; ${whole(summary.opened)} connections opened; ` +
    `${megabytes(summary.residentBytesMedian)} MB of resident memory, ${percent(summary.residentSlopePerHour)} an hour.`
  );
}

/** @param {Record<string, number> | null} counts */
function total(counts) {
  return Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);
}

/** @param {number} share */
function percent(share) {
  return `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(2)} %`;
}

module.exports = { chart };
