'use strict';

// The load client in its mode `million`, as a stream of objects: one for each second, and its report.

const { spawn } = require('node:child_process');
const readline = require('node:readline');

const { alive } = require('../launch');

/** What it says on standard error is kept up to here. */
const COMPLAINT_CHARACTERS = 8_000;

/**
 * Runs the load client. Rejects with its sentence if it cannot go on; connections that were lost are
 * no reason for that.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ onSecond: (line: Record<string, any>) => void, signal: AbortSignal }} options what is done with each
 *   second's counters, and what ends the client early
 * @returns {Promise<{ report: Record<string, any> | undefined, complaint: string }>} its report, unless it was
 *   ended early, and what it complained about
 */
function run(program, args, { onSecond, signal }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['million', ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    alive.add(child);
    let complaint = '';
    /** @type {Record<string, any> | undefined} */
    let report;
    const stop = () => child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      if (signal.aborted) return;
      const values = JSON.parse(line);
      if (values.phase === 'report') report = values;
      else onSecond(values);
    });
    child.stderr.on('data', (chunk) => {
      complaint = (complaint + chunk).slice(0, COMPLAINT_CHARACTERS);
    });
    child.once('error', reject);
    child.once('close', () => {
      alive.delete(child);
      signal.removeEventListener('abort', stop);
      if (report || signal.aborted) resolve({ report, complaint: complaint.trim() });
      else reject(new Error(complaint.trim() || 'the load client ended without a word'));
    });
  });
}

module.exports = { run };
