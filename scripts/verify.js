'use strict';

/**
 * `npm run verify -- [PART…]` runs the proofs that are too slow, or ask for too much, to be in `npm test`; without a
 * part, all of them. docs/verification.md says what each shows, and what it does not. Ends with status 1 if one fails,
 * behind the others, and with 2 if none has failed but something was not there to run with.
 */

const { spawn, spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const ROOT = path.join(__dirname, '..');
const TRIPLE = 'x86_64-unknown-linux-gnu';
const NIGHTLY = '+nightly';

/**
 * What Miri runs: the rooms that call nothing but Rust, and files of others that do not either. Each piece is a
 * process of its own, so one that hangs or fails costs none of the others; the long ones come first. Each word is
 * looked for in the names of all tests, which Miri interprets too: some seconds a word.
 */
const MIRI_PIECES = {
  deflate: ['protocol::deflate'],
  streams: ['protocol::tests'],
  http: ['http::'],
  frames: ['protocol::', '--skip', 'protocol::deflate', '--skip', 'protocol::tests'],
  bridge: ['bridge::'],
  reactor: ['slab', 'clock', 'outbox', 'gather', 'tally'].map((file) => `reactor::${file}::`),
  values: [
    'topics::index::',
    'error::',
    'tls::opening::',
    'tls::pem::',
    'gate::conversation::',
    'gate::stock::',
  ],
};

/** Time of one piece: several times what the longest has taken with a processor of its own. */
const PIECE_MINUTES = 60;

/**
 * Cases of each property under Miri, which takes some hundred times as long. Properties with a number of their
 * own have a smaller one under `cfg(miri)`.
 */
const { PROPTEST_CASES = '1' } = process.env;

/** The rooms whose tests have threads, sockets, or C. */
const SANITIZED_ROOMS = ['reactor::', 'gate::', 'bridge::', 'tls::', 'protocol::'];

/** What a part needs, and how it is installed. */
const TOOLS = {
  nightly: {
    test: ['cargo', NIGHTLY, '--version'],
    how: 'rustup toolchain install nightly --component miri,rust-src',
  },
  miri: {
    test: ['cargo', NIGHTLY, 'miri', '--version'],
    how: 'rustup component add miri rust-src --toolchain nightly',
  },
  'cargo-deny': {
    test: ['cargo', 'deny', '--version'],
    how: 'cargo install --locked cargo-deny',
  },
};

/**
 * One command. `without`: if it fails, this is said, and what follows in the part is left out. `pieces`: it is run
 * once with the words of each, as many at once as there are processors.
 * @typedef {{ command: string[], env?: NodeJS.ProcessEnv, without?: string, pieces?: Record<string, string[]> }} Step
 * @type {Record<string, { needs: (keyof typeof TOOLS)[], steps: () => Step[] }>}
 */
const PARTS = {
  loom: {
    needs: [],
    steps: () => [{ command: ['cargo', 'test', '--locked', '--features', 'loom', '--lib', 'model::'] }],
  },
  miri: {
    needs: ['miri'],
    steps: () => {
      // Files are read for the cases that failed once.
      const env = { PROPTEST_CASES, MIRIFLAGS: '-Zmiri-disable-isolation', ...folder('miri') };
      const test = ['cargo', NIGHTLY, 'miri', 'test', '--locked', '--lib'];
      return [
        { command: [...test, '--no-run'], env },
        { command: [...test, '--'], env, pieces: MIRI_PIECES },
      ];
    },
  },
  tsan: {
    needs: ['nightly'],
    steps: () => [
      // With the standard library built for it: its locks would be no locks to the sanitizer otherwise.
      sanitized('thread', ['-Zbuild-std'], {
        TSAN_OPTIONS: `suppressions=${path.join(__dirname, 'tsan.supp')} history_size=4`,
      }),
    ],
  },
  asan: {
    needs: ['nightly'],
    steps: () => [
      sanitized('address', [], { ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1' }),
    ],
  },
  deny: {
    needs: ['cargo-deny'],
    steps: () => [
      { command: ['cargo', 'deny', '--locked', 'check', 'licenses', 'bans', 'sources'] },
      { command: [process.execPath, 'scripts/notices.js', '--check'] },
      {
        command: ['cargo', 'deny', 'fetch', 'db'],
        without: 'the list of known weaknesses is out of reach: they were not looked for',
      },
      { command: ['cargo', 'deny', '--locked', '--offline', 'check', 'advisories'] },
    ],
  },
};

/**
 * Builds of a compiler of their own lie apart, so that those of `npm test` stay.
 * @param {string} part
 */
function folder(part) {
  return { CARGO_TARGET_DIR: path.join(ROOT, 'target', 'verify', part) };
}

/**
 * The unit tests with a sanitizer in them, and in the C code of dependencies.
 * @param {string} sanitizer
 * @param {string[]} flags
 * @param {NodeJS.ProcessEnv} options
 * @returns {Step}
 */
function sanitized(sanitizer, flags, options) {
  return {
    command: [
      ...['cargo', NIGHTLY, 'test', ...flags, '--target', TRIPLE, '--locked', '--lib'],
      ...['--', ...SANITIZED_ROOMS],
    ],
    env: {
      RUSTFLAGS: `-Zsanitizer=${sanitizer}`,
      // What panics on purpose would look for its symbols longer than its test waits for it.
      RUST_BACKTRACE: '0',
      [`CFLAGS_${TRIPLE.replaceAll('-', '_')}`]: `-fsanitize=${sanitizer} -fno-omit-frame-pointer`,
      ...folder(sanitizer),
      ...options,
    },
  };
}

/** @param {string[]} command @param {import('node:child_process').SpawnSyncOptions} [options] */
function run([program = '', ...values], options = {}) {
  return spawnSync(program, values, { cwd: ROOT, stdio: 'inherit', ...options }).status;
}

/**
 * Runs a step's pieces, and says how many have failed.
 * @param {Step} step
 */
async function runPieces({ command, env, pieces = {} }) {
  const waiting = Object.entries(pieces);
  let failures = 0;
  const runner = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, words] = next;
      const passed = await runPiece(name, [...command, ...words], env);
      failures += passed ? 0 : 1;
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, runner));
  return failures;
}

/**
 * Runs one command and shows its lines with a name in front. Whether it ended in time, and well.
 * @param {string} name
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} [env]
 */
async function runPiece(name, [program = '', ...values], env) {
  const started = Date.now();
  // A group of its own, so that what it has started can be ended with it.
  const child = spawn(program, values, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  for (const stream of [child.stdout, child.stderr]) {
    readline.createInterface({ input: stream }).on('line', (line) => console.log(`${name}: ${line}`));
  }
  let late = false;
  const end = () => process.kill(-(/** @type {number} */ (child.pid)), 'SIGKILL');
  const timer = setTimeout(() => {
    late = true;
    end();
  }, PIECE_MINUTES * 60_000);
  process.once('exit', end);
  const status = await new Promise((resolve) => child.once('close', resolve));
  process.removeListener('exit', end);
  clearTimeout(timer);
  const seconds = Math.round((Date.now() - started) / 1000);
  const outcome = late ? `did not end in ${PIECE_MINUTES} minutes` : status === 0 ? 'passed' : 'FAILED';
  console.log(`== ${name}: ${outcome} (${seconds} s)`);
  return status === 0;
}

/** @param {string} name */
async function verify(name) {
  const part = /** @type {NonNullable<typeof PARTS[string]>} */ (PARTS[name]);
  for (const need of part.needs) {
    const { test, how } = TOOLS[need];
    if (run(test, { stdio: 'ignore' }) !== 0) {
      console.error(`== ${name}: cannot run, '${test.join(' ')}' fails. Install it: ${how}`);
      return 2;
    }
  }
  const started = Date.now();
  let worst = 0;
  for (const step of part.steps()) {
    const { command, env, without } = step;
    console.log(`\n== ${name}: ${command.join(' ')}`);
    const failed = step.pieces ? await runPieces(step) : run(command, { env: { ...process.env, ...env } });
    if (failed === 0) continue;
    if (without !== undefined) {
      console.error(`== ${name}: ${without}.`);
      return worst || 2;
    }
    worst = 1;
  }
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`== ${name}: ${worst === 0 ? 'passed' : 'FAILED'} (${seconds} s)`);
  return worst;
}

// So that what runs in a group of its own ends as well.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`No part is called '${unknown}'. There are: ${Object.keys(PARTS).join(', ')}.`);
  process.exit(2);
}

(async () => {
  const results = [];
  for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) results.push(await verify(name));
  process.exit(results.includes(1) ? 1 : Math.max(...results));
})();
