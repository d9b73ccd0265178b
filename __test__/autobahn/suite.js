'use strict';

/** Which cases are run together, how one such run is made, and what it gives. */

const { spawn } = require('node:child_process');
const { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');

/** Results are written at the end of a run alone, so a run that hangs costs only its own cases. */
const RUN_MINUTES = 60;

/** From good to bad, as the suite names them. A case has two, of its messages and of its close. */
const VERDICTS = [
  'OK',
  'INFORMATIONAL',
  'NON-STRICT',
  'UNIMPLEMENTED',
  'UNCLEAN',
  'WRONG CODE',
  'FAILED BY CLIENT',
  'FAILED',
];

/** All 517 cases, in runs that take about as long. */
const ALL = [
  ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*'],
  ['9.*'],
  ['12.1.*', '12.2.*'],
  ['12.3.*', '12.4.*', '12.5.*'],
  ['13.1.*', '13.2.*'],
  ['13.3.*', '13.4.*'],
  ['13.5.*', '13.6.*', '13.7.*'],
];

/**
 * All but the long ones of compression, which send 1,000 messages each: numbers 1 to 10 of a group have 16
 * bytes to 128 KiB, and 11 to 18 have 8 to 128 KiB in fragments.
 */
const QUICK = [
  ...ALL.slice(0, 2),
  numbered(['12.1', '12.2', '12.3', '12.4', '12.5'], [1, 3, 5, 11]),
  numbered(['13.1', '13.2', '13.3', '13.4', '13.5', '13.6', '13.7'], [1, 3, 5, 11]),
];

/** Over TLS: a sample of each group. The frames are the same; what is tried is how records cut and join them. */
const SECURE = [
  [
    '1.*',
    '2.*',
    '3.*',
    '4.*',
    '5.*',
    '6.1.*',
    '6.2.*',
    '6.3.*',
    '6.4.*',
    '7.1.*',
    '7.3.*',
    '7.5.*',
    '7.7.*',
    '10.*',
  ],
  [
    ...numbered(['9.1', '9.2', '9.3', '9.4'], [1, 4, 6]),
    ...numbered(['9.5', '9.6', '9.7', '9.8'], [1, 4]),
    ...numbered(['12.1', '12.2', '12.3', '12.4', '12.5'], [1, 5, 11]),
    ...numbered(['13.1', '13.2', '13.3', '13.4', '13.5', '13.6', '13.7'], [1, 5]),
  ],
];

/**
 * @param {string[]} groups
 * @param {number[]} numbers
 */
function numbered(groups, numbers) {
  return groups.flatMap((group) => numbers.map((number) => `${group}.${number}`));
}

/**
 * Runs cases against a server.
 * @param {{ home: string, url: string, cases: string[], output: string }} run `output` is a folder of its own
 * @returns {Promise<{ verdicts: Map<string, string>, missing: string[], trouble: string | null }>}
 */
async function runCases({ home, url, cases, output }) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const specification = path.join(output, 'specification.json');
  const servers = [{ agent: 'tidewire', url }];
  writeFileSync(specification, JSON.stringify({ outdir: output, servers, cases, 'exclude-cases': [] }));

  const python = readFileSync(path.join(home, 'python'), 'utf8').trim();
  const script = path.join(__dirname, 'wstest.py');
  const child = spawn(python, [script, path.join(home, 'packages'), specification], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MINUTES * 60_000,
    env: { ...process.env, PYTHONPATH: '', PYTHONDONTWRITEBYTECODE: '1' },
  });
  const log = createWriteStream(path.join(output, 'wstest.log'));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const trouble = await new Promise((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (status, signal) =>
      resolve(status === 0 ? null : `${cases[0]} and others ended with ${signal ?? `status ${status}`}`),
    );
  });
  log.end();

  const verdicts = new Map();
  for (const [id, { behavior, behaviorClose }] of Object.entries(
    readJson(output, 'index.json').tidewire ?? {},
  ))
    verdicts.set(id, worse(behavior, behaviorClose));
  const planned = readJson(output, 'cases.json');
  const missing = (Array.isArray(planned) ? planned : cases).filter((id) => !verdicts.has(id));
  return { verdicts, missing, trouble };
}

/**
 * @param {string} folder
 * @param {string} file
 */
function readJson(folder, file) {
  const name = path.join(folder, file);
  return existsSync(name) ? JSON.parse(readFileSync(name, 'utf8')) : {};
}

/**
 * The worse of two verdicts; one that is not known is the worst.
 * @param {string} one
 * @param {string} other
 */
function worse(one, other) {
  const rank = (/** @type {string} */ verdict) =>
    (VERDICTS.indexOf(verdict) + VERDICTS.length + 1) % (VERDICTS.length + 1);
  return rank(one) > rank(other) ? one : other;
}

module.exports = { ALL, QUICK, SECURE, VERDICTS, runCases };
