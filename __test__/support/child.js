'use strict';

/** A Node process of its own, for what would end or disturb that of the tests. */

const { spawn } = require('node:child_process');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');
const { Queue } = require('./queue');

const ROOT = path.join(__dirname, '../..');

/** Between two questions. */
const LOOK_MILLISECONDS = 50;

const ON_WINDOWS = process.platform === 'win32';

class Child {
  /** Whole lines of its standard output. */
  lines = new Queue();
  errors = '';

  /** @param {import('node:child_process').ChildProcessWithoutNullStreams} child */
  constructor(child) {
    this.process = child;
    let unread = '';
    child.stdout.setEncoding('utf8').on('data', (piece) => {
      const lines = (unread + piece).split('\n');
      unread = lines.pop() ?? '';
      for (const line of lines) this.lines.push(line);
    });
    child.stderr.setEncoding('utf8').on('data', (piece) => {
      this.errors += piece;
    });
    /** @type {Promise<{ code: number | null, signal: string | null }>} */
    this.exited = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** How it ended behind a SIGINT: by itself; on Windows, where nobody else can send it one, it was killed. */
  async ended() {
    const { code, signal } = await this.exited;
    return ON_WINDOWS ? { code: 0, signal: null } : { code, signal };
  }

  /** The next line, as JSON. */
  async value() {
    return JSON.parse(await this.line());
  }

  /** Asks a script that answers each piece of its standard input with a line of JSON. */
  ask() {
    this.process.stdin.write('?');
    return this.value();
  }

  /**
   * Asks until the answer is wanted. The limit of time is the test's.
   * @param {(answer: any) => boolean} wanted
   */
  async askUntil(wanted) {
    for (;;) {
      const answer = await this.ask();
      if (wanted(answer)) return answer;
      await setTimeout(LOOK_MILLISECONDS);
    }
  }

  /**
   * Sends it a signal. Not by its own `kill`, which Deno takes for how the process ended.
   * @param {NodeJS.Signals} name
   */
  signal(name) {
    process.kill(this.process.pid ?? 0, name);
  }

  /** The next line. Fails if the process ends without one. */
  async line() {
    const line = await Promise.race([this.lines.next(), this.exited]);
    if (typeof line === 'string') return line;
    throw new Error(`The process ended with ${line.code ?? line.signal}: ${this.errors}`);
  }
}

/**
 * Runs a function in a process of its own. It sees nothing of the file that it stands in, only
 * `require` and its argument, and tells by printing JSON, a line each.
 * @param {import('node:test').TestContext} context
 * @param {(argument: any) => unknown} script
 * @param {unknown} [argument] as JSON
 * @param {string[]} [flags] of Node
 */
function runScript(context, script, argument = null, flags = []) {
  return start(context, [...flags, '-e', `(${script})(${JSON.stringify(argument)})`]);
}

/**
 * The same, with a limit on the descriptors that the process may have. Not on Windows.
 * @param {import('node:test').TestContext} context
 * @param {number} descriptors
 * @param {(argument: any) => unknown} script
 */
function runLimited(context, descriptors, script) {
  const limited = `ulimit -n ${descriptors}; exec "$0" "$@"`;
  return start(context, ['-c', limited, process.execPath, '-e', `(${script})()`], {}, '/bin/sh');
}

/**
 * The same as `runScript`, by a command that runs another: `['ip', 'netns', 'exec', 'NAME']`.
 * @param {import('node:test').TestContext} context
 * @param {string[]} command
 * @param {(argument: any) => unknown} script
 * @param {unknown} [argument] as JSON
 * @param {string[]} [flags] of Node
 */
function runBehind(context, [program = '', ...words], script, argument = null, flags = []) {
  const code = `(${script})(${JSON.stringify(argument)})`;
  return start(context, [...words, process.execPath, ...flags, '-e', code], {}, program);
}

/**
 * Runs a file of this package, or one that is named by its whole path.
 * @param {import('node:test').TestContext} context
 * @param {string} file
 * @param {NodeJS.ProcessEnv} [env]
 */
function runFile(context, file, env = {}) {
  return start(context, [path.resolve(ROOT, file)], env);
}

function start(context, args, env = {}, program = process.execPath) {
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...env } });
  context.after(() => child.kill('SIGKILL'));
  return new Child(child);
}

module.exports = { Child, ON_WINDOWS, runBehind, runFile, runLimited, runScript };
