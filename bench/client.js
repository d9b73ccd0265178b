'use strict';

// The load client (bench/load, Rust): built when stale, run once for each measurement.

const { spawn, spawnSync } = require('node:child_process');
const path = require('node:path');

const { ROOT, alive, onCore } = require('./launch');

const BINARY = path.join(ROOT, 'target/release/tidewire-load');

/** A run that takes longer than its own time and this has hung. */
const GRACE_SECONDS = 240;

/** Builds the load client and the raw server. Cargo knows whether there is something to do. */
function build() {
  const args = ['build', '--release', '--quiet', '-p', 'tidewire-load'];
  const { status, error } = spawnSync('cargo', args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw new Error(`the load client cannot be built: ${error.message}`);
  if (status !== 0) throw new Error('the load client cannot be built: see above');
}

/**
 * Runs the load client against a server.
 *
 * @param {string[]} args the mode and its options
 * @param {import('./launch').Server} server
 * @param {{ core?: number, seconds: number }} options the processor to stay on, and how long the run
 *   is meant to take
 * @returns {Promise<Record<string, any>>} its report; rejects with its sentence if the server failed
 */
function load(args, server, { core, seconds }) {
  const where = ['--port', String(server.port), '--pid', String(server.pid), '--json'];
  const [program, ...rest] = onCore(core, [BINARY, ...args, ...where]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
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
