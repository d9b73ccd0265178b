'use strict';

// The whole run in a few numbers, from its rows, one for each second. A row joins what the client
// counted and what the server's process and the kernel took.

/**
 * @typedef {Record<string, any>} Row see `columns` for what it holds
 */

/** What of a row goes into the series, in this order. */
const columns = [
  'second',
  'phase',
  'open',
  'connecting',
  'refused',
  'lost',
  'sent',
  'answers',
  'late',
  'corrupt',
  'withheld',
  'behind',
  'pings',
  'p50Micros',
  'p99Micros',
  'maxMicros',
  'residentBytes',
  'anonymousBytes',
  'fileBytes',
  'cpuUser',
  'cpuSystem',
  'tcpSockets',
  'socketBufferBytes',
  'slabBytes',
  'availableBytes',
  'clientResidentBytes',
];

/**
 * @param {Row[]} rows
 * @returns {Record<string, any[]>} a list for each column
 */
function series(rows) {
  return Object.fromEntries(columns.map((name) => [name, rows.map((row) => row[name])]));
}

/**
 * @param {Row[]} rows at least the one from before the first connection
 * @param {Record<string, any> | undefined} report the client's own at its end
 * @param {number | undefined} exactResidentBytes of the server at the end
 * @returns {Record<string, any>}
 */
function summary(rows, report, exactResidentBytes) {
  const [before] = rows;
  const last = report ?? rows[rows.length - 1];
  const lastRow = rows[rows.length - 1];
  const steady = rows.filter(({ phase }) => phase === 'steady');
  const held = steady.length > 0 ? steady : rows.slice(-1);
  const resident = held.map(({ residentBytes }) => residentBytes);
  const cpu = held.map(({ cpuUser, cpuSystem }) => cpuUser + cpuSystem);
  const open = Math.max(1, held[held.length - 1].open);
  const seconds = held[held.length - 1].second - held[0].second;
  const answered = held[held.length - 1].answers - held[0].answers;
  const messagesPerSecond = seconds > 0 ? answered / seconds : 0;
  return {
    open: last.open,
    refused: last.refused,
    lost: last.lost,
    sent: last.sent,
    answers: last.answers,
    unanswered: last.unanswered,
    late: last.late,
    lateInSteadyState: held[held.length - 1].late - held[0].late,
    corrupt: last.corrupt,
    withheld: last.withheld,
    pings: last.pings,
    rampSeconds: steady.length > 0 ? steady[0].second : lastRow.second,
    steadySeconds: seconds,
    messagesPerSecond: round(messagesPerSecond, 1),
    residentBytesBefore: before.residentBytes,
    residentBytesMax: Math.max(...resident),
    residentBytesMean: Math.round(mean(resident)),
    residentBytesAtTheEnd: exactResidentBytes ?? lastRow.residentBytes,
    residentGrowth: round(growth(resident), 5),
    bytesPerConnection: round((mean(resident) - before.residentBytes) / open, 1),
    bytesPerConnectionWithNode: round(mean(resident) / open, 1),
    kernelBytesPerEnd: Math.round((held[held.length - 1].slabBytes - before.slabBytes) / open / 2),
    clientBytesPerConnection: round(held[held.length - 1].clientResidentBytes / open, 1),
    cpuMean: round(mean(cpu), 4),
    cpuMax: round(Math.max(...cpu), 4),
    cpuMicrosPerMessage: round(messagesPerSecond > 0 ? (mean(cpu) / messagesPerSecond) * 1e6 : 0, 2),
    latencyMicros: report?.steadyLatencyMicros ?? null,
  };
}

/**
 * How much more the last tenth is than the first, as a share of the first.
 *
 * @param {number[]} values
 * @returns {number}
 */
function growth(values) {
  const tenth = Math.max(1, Math.floor(values.length / 10));
  const first = mean(values.slice(0, tenth));
  return first > 0 ? mean(values.slice(-tenth)) / first - 1 : 0;
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** @type {(value: number, digits: number) => number} */
function round(value, digits) {
  return Number(value.toFixed(digits));
}

module.exports = { series, summary };
