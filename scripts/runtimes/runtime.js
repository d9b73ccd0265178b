'use strict';

/**
 * A JavaScript runtime from npm, in a folder of its own below target/: how it is had, and how it runs a file of
 * tests. All of them can write what became of it as JUnit's XML.
 */

const { spawn, spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { testCases } = require('./junit');

const ROOT = path.join(__dirname, '../..');
const CACHE = path.join(ROOT, 'target', 'runtimes');

/** A file that takes longer has failed: the longest take a minute on an idle machine. */
const FILE_MILLISECONDS = 600_000;

/** Of one that has no report, so many characters of what it printed are kept. */
const TAIL_CHARACTERS = 400;

/** A test without a limit of its own may take so long in Bun, whose own limit is 5 s. */
const BUN_TEST_MILLISECONDS = 300_000;

/**
 * Where the package has its program, what runs a file, and what prints the version of Node-API.
 * @type {Record<string, { program: string, test: (report: string, file: string) => string[], print: string[] }>}
 */
const KINDS = {
  node: {
    program: 'node_modules/node/bin/node',
    test: (report, file) => [
      '--test',
      '--test-reporter=junit',
      `--test-reporter-destination=${report}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      file,
    ],
    print: ['-p'],
  },
  bun: {
    program: 'node_modules/bun/bin/bun.exe',
    test: (report, file) => [
      'test',
      `--timeout=${BUN_TEST_MILLISECONDS}`,
      '--reporter=junit',
      `--reporter-outfile=${report}`,
      `./${file}`,
    ],
    print: ['-p'],
  },
  deno: {
    program: 'node_modules/deno/deno',
    test: (report, file) => ['test', '--allow-all', '--no-check', `--junit-path=${report}`, file],
    print: ['eval', '-p'],
  },
};

/**
 * What became of a file.
 * @typedef {object} Outcome
 * @property {number} passed tests
 * @property {string[]} skipped
 * @property {string[]} reasons why these are skipped
 * @property {{ test: string, message: string }[]} failed
 */

class Runtime {
  /** @param {string} specifier as npm has it: `node@18`, `bun` */
  constructor(specifier) {
    this.specifier = specifier;
    this.name = specifier.split('@', 1)[0] ?? '';
    this.folder = path.join(CACHE, specifier.replace('@', '-'));
    const kind = KINDS[this.name];
    if (kind === undefined) {
      throw new Error(`No runtime is called '${specifier}'. There are: ${Object.keys(KINDS).join(', ')}.`);
    }
    this.kind = kind;
    this.program = path.join(this.folder, kind.program);
  }

  /** Installs it, unless it is there. */
  install() {
    if (existsSync(this.program)) return;
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(path.join(this.folder, 'package.json'), '{ "private": true }');
    // Its own script brings the program of this platform.
    const { status, error } = spawnSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts=false', this.specifier],
      { cwd: this.folder, stdio: 'inherit', shell: process.platform === 'win32' },
    );
    if (status !== 0 || !existsSync(this.program)) {
      throw new Error(`npm did not install ${this.specifier}: ${error?.message ?? `status ${status}`}`);
    }
  }

  /**
   * Its version, and that of the Node-API that it has.
   * @returns {{ version: string, napi: string }}
   */
  versions() {
    const code = `process.versions.${this.name} + ' ' + process.versions.napi`;
    const { stdout, stderr } = spawnSync(this.program, [...this.kind.print, code], { encoding: 'utf8' });
    const [version, napi] = stdout.trim().split(' ');
    if (version === undefined || napi === undefined)
      throw new Error(`${this.program} does not run: ${stderr}`);
    return { version, napi };
  }

  /**
   * Runs a file of tests, and ends it with all that it has started when it takes too long.
   * @param {string} file
   * @returns {Promise<Outcome & { output: string }>}
   */
  async test(file) {
    const report = path.join(this.folder, 'report.xml');
    rmSync(report, { force: true });
    const { output, end } = await this.#run(this.kind.test(report, file));
    const text = existsSync(report) ? readFileSync(report, 'utf8') : '';
    return { ...outcomeOf(file, text, end, output), output };
  }

  /**
   * @param {string[]} words
   * @returns {Promise<{ output: string, end: string }>} `end` is '' for status 0
   */
  #run(words) {
    // A group of its own, so that what it has started ends with it.
    const detached = process.platform !== 'win32';
    const child = spawn(this.program, words, {
      cwd: ROOT,
      detached,
      env: { ...process.env, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (piece) => {
        output += piece;
      });
    }
    const kill = () => {
      try {
        process.kill(detached ? -(child.pid ?? 0) : (child.pid ?? 0), 'SIGKILL');
      } catch {
        // All of it has ended.
      }
    };
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        kill();
      }, FILE_MILLISECONDS);
      child.on('error', reject);
      child.on('exit', (status, signal) => {
        clearTimeout(timer);
        kill();
        const how = isLate
          ? `it did not end in ${FILE_MILLISECONDS / 1000} s`
          : (signal ?? `status ${status}`);
        child.on('close', () => resolve({ output, end: status === 0 ? '' : how }));
      });
    });
  }
}

/**
 * @param {string} file
 * @param {string} report '' if there is none
 * @param {string} end how the process ended, '' for status 0
 * @param {string} output
 * @returns {Outcome}
 */
function outcomeOf(file, report, end, output) {
  const cases = testCases(report);
  const named = (/** @type {string} */ name) => `${file.replace(/^__test__\//, '')}: ${name}`;
  const failed = cases
    .filter(({ failure }) => failure !== undefined)
    .map(({ name, failure = '' }) => ({ test: named(name), message: withoutRoot(failure) }));
  const skipped = cases.filter(({ isSkipped }) => isSkipped);
  const reasons = [
    ...skipped.flatMap(({ reason }) => reason ?? []),
    // Of those runtimes whose reports have none: __test__/support/runtime.js prints it.
    ...[...output.matchAll(/^skipped: (.*)$/gm)].flatMap(([, reason]) => reason ?? []),
  ];
  const passed = cases.length - failed.length - skipped.length;
  // It ended badly, and no test has told why: a crash, or no tests at all.
  if (failed.length === 0 && (end !== '' || cases.length === 0)) {
    const message = withoutRoot(`${end || 'no tests'}: ${output.trim().slice(-TAIL_CHARACTERS)}`);
    failed.push({ test: named('the file'), message });
  }
  return { passed, skipped: skipped.map(({ name }) => named(name)), reasons: [...new Set(reasons)], failed };
}

/** What is kept names no folder of this machine. @param {string} text */
function withoutRoot(text) {
  return text.replaceAll(ROOT, '.');
}

module.exports = { ROOT, Runtime, outcomeOf };
