'use strict';

// The load client (bench/load, Rust): built when stale, run once for each measurement.

const { spawn, spawnSync } = require('node:child_process');

const { ROOT, alive, onCore } = require('./launch');

/** A run that takes longer than its own time and this has hung. */
const GRACE_SECONDS = 240;

/**
 * @typedef {object} Programs the paths of what was built
 * @property {string} load the load client
 * @property {string} raw the raw echo server
 * @property {string} wire the faulty cable of the scenarios
 */

/**
 * Builds the load client and the raw server. Cargo knows whether there is something to do, and where
 * it puts the result.
 *
 * @returns {Programs}
 */
function build() {
  const flags = ['build', '--release', '-p', 'tidewire-load', '--message-format=json-render-diagnostics'];
  const { status, error, stdout } = spawnSync('cargo', flags, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw new Error(`the load client cannot be built: ${error.message}`);
  if (status !== 0) throw new Error('the load client cannot be built: what cargo said is above');
  const artifacts = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  /** @param {string} name */
  const program = (name) =>
    artifacts.find(({ target, executable }) => executable && target.name === name).executable;
  return { load: program('tidewire-load'), raw: program('raw-echo'), wire: program('faulty-wire') };
}

/**
 * Runs the load client against a server.
 *
 * @param {string} program the load client
 * @param {string[]} args the mode and its options
 * @param {import('./launch').Server} server
 * @param {{ core?: number | undefined, seconds: number }} options the processor to stay on, and how long the run
 *   is meant to take
 * @returns {Promise<Record<string, any>>} its report; rejects with its sentence if the server failed
 */
function load(program, args, server, { core, seconds }) {
  const where = ['--port', String(server.port), '--pid', String(server.pid), '--json'];
  const [first, ...rest] = onCore(core, [program, ...args, ...where]);
  return new Promise((resolve, reject) => {
    const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    alive.add(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), (seconds + GRACE_SECONDS) * 1000);
    let report = '';
    let complaint = '';
    child.stdout.on('data', (chunk) => (report += chunk));
    child.stderr.on('data', (chunk) => (complaint += chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      alive.delete(child);
      if (code === 0) resolve(JSON.parse(report));
      else reject(new Error(complaint.trim() || `the load client was ended by ${signal}`));
    });
  });
}

module.exports = { build, load };
