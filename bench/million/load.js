'use strict';

// The load client in a mode that tells how it goes, as a stream of objects: one for each interval, and its report. Used by
// million.js and soak.js.

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
 * @param {string[]} args the mode and its options
 * @param {object} options
 * @param {(line: Record<string, any>) => void} options.onLine what is done with each interval's counters
 * @param {AbortSignal} options.signal what ends the client early
 * @param {(pid: number) => void} [options.onStart]
 * @param {boolean} [options.finishes] whether the client is told so by the end of its standard input, and then does
 *   what is left to do and reports; otherwise it is gone at once, and so are its last lines
 * @returns {Promise<{ report: Record<string, any> | undefined, complaint: string }>} its report, unless it was
 *   ended early, and what it complained about
 */
function run(program, args, { onLine, signal, onStart, finishes = false }) {
  return new Promise((resolve, reject) => {
    // In a group of its own it does not hear a terminal's Ctrl-C.
    const child = spawn(program, [...args, '--json'], { stdio: 'pipe', detached: finishes });
    if (!finishes) child.stdin.end();
    if (child.pid !== undefined) onStart?.(child.pid);
    alive.add(child);
    let complaint = '';
    /** @type {Record<string, any> | undefined} */
    let report;
    const stop = () => (finishes ? child.stdin.end() : child.kill('SIGTERM'));
    signal.addEventListener('abort', stop, { once: true });
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      if (signal.aborted && !finishes) return;
      const values = JSON.parse(line);
      if (values.phase === 'report') report = values;
      else onLine(values);
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
