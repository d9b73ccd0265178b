'use strict';

// The servers of the bench: which there are, how one is started, and how it ends. Only processes
// that were started here are ever killed.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const ROOT = path.join(__dirname, '..');
const START_MILLISECONDS = 15_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set();

/**
 * @typedef {object} Recipe how a server is started
 * @property {string[]} command the program and its arguments, without the port
 * @property {boolean} collects whether it collects its garbage on SIGUSR2
 *
 * @typedef {object} Server a server that listens
 * @property {number} port
 * @property {number} pid
 * @property {Promise<unknown>} ended resolves when its process is over, for whatever reason
 * @property {() => Promise<void>} stop
 */

/**
 * How to start a server by its name: `raw`, or a file of `bench/servers/`.
 *
 * @param {string} name
 * @param {string} raw the raw server's program
 * @param {string} [folder] of `bench/servers/`, for a scenario that is no echo: it has no `raw`
 * @returns {Recipe} throws an Error that says what is missing
 */
function recipe(name, raw, folder = '') {
  if (name === 'raw' && folder === '') return { command: [raw], collects: false };
  const file = path.join('servers', folder, `${name}.js`);
  if (!fs.existsSync(path.join(__dirname, file))) throw new Error(`there is no bench/${file}`);
  const script = path.join(__dirname, file);
  const command = name === 'bun' ? [bunBinary(), script] : [process.execPath, '--expose-gc', script];
  return { command, collects: true };
}

/**
 * Bun's program: $BUN, the npm package `bun`, or the package of its own for this platform, which is
 * there even when the install script of the first was not allowed to run.
 *
 * @returns {string}
 */
function bunBinary() {
  const modules = path.join(ROOT, 'node_modules');
  const platforms = fs.existsSync(path.join(modules, '@oven'))
    ? fs.readdirSync(path.join(modules, '@oven'))
    : [];
  const candidates = [
    process.env.BUN,
    path.join(modules, '.bin/bun'),
    ...platforms.map((platform) => path.join(modules, '@oven', platform, 'bin/bun')),
    'bun',
  ];
  const found = candidates.find((candidate) => candidate && version(candidate));
  if (!found) throw new Error('Bun is missing: npm install --no-save bun');
  return found;
}

/**
 * @param {string} program
 * @returns {string | undefined} what it answers to --version
 */
function version(program) {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: 'pipe', timeout: 10_000 }).trim();
  } catch {
    return undefined;
  }
}

/**
 * Starts a server on a port of its own choice and waits for its line: `listening PORT`, or `Listening on
 * port PORT`.
 *
 * @param {Recipe} recipe
 * @param {{ core?: number | undefined, env?: Record<string, string> }} options the processor to stay on, if any,
 *   and environment variables to add
 * @returns {Promise<Server>}
 */
async function start({ command }, { core, env } = {}) {
  const [program, ...args] = onCore(core, [...command, '0']);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  alive.add(child);
  const ended = new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', resolve);
  });
  ended.then(() => alive.delete(child));

  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint = (complaint + chunk).slice(0, 4_000);
  });
  try {
    const port = await listeningPort(child, ended, () => complaint);
    return { port, pid: Number(child.pid), ended, stop: () => end(child, ended) };
  } catch (error) {
    await end(child, ended);
    throw error;
  }
}

/**
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable,
 *   import('node:stream').Readable>} child
 * @param {Promise<unknown>} ended
 * @param {() => string} complaint
 * @returns {Promise<number>}
 */
function listeningPort(child, ended, complaint) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`said nothing for ${START_MILLISECONDS / 1000} s`)),
      START_MILLISECONDS,
    );
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      const [, port] = /^listening (?:on port )?(\d+)$/i.exec(line) ?? [];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
    ended.then((reason) => {
      clearTimeout(timer);
      reject(new Error(reason instanceof Error ? reason.message : firstError(complaint())));
    });
  });
}

/**
 * @param {string} complaint what a program wrote before it ended
 * @returns {string} its most telling line
 */
function firstError(complaint) {
  const lines = complaint.split('\n').map((line) => line.trim());
  return lines.find((line) => /error:/i.test(line)) ?? lines.find(Boolean) ?? 'it ended without a word';
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {Promise<unknown>} ended
 */
async function end(child, ended) {
  child.kill('SIGKILL');
  await ended;
}

/**
 * @param {number | undefined} core
 * @param {string[]} command
 * @returns {string[]} the command, kept on that processor
 */
function onCore(core, command) {
  return core === undefined ? command : ['taskset', '-c', String(core), ...command];
}

/** Ends all servers that still live, at once: for signals and errors. */
function stopAll() {
  for (const child of alive) child.kill('SIGKILL');
}

module.exports = { ROOT, alive, bunBinary, onCore, recipe, start, stopAll, version };
