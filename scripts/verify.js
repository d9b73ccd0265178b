'use strict';

/**
 * `npm run verify -- [PART…]` runs the proofs that are too slow, or ask for too much, to be in `npm test`; without a
 * part, all of them. docs/verification.md says what each shows, and what it does not. Ends with status 1 if one fails,
 * behind the others, and with 2 if none has failed but something was not there to run with.
 */

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const TRIPLE = 'x86_64-unknown-linux-gnu';
const NIGHTLY = '+nightly';

/** The rooms that Miri runs: those that call nothing but Rust. */
const MIRI_ROOMS = [
  ...['protocol::', 'http::', 'topics::', 'bridge::'],
  ...['reactor::slab', 'reactor::clock', 'reactor::outbox', 'reactor::gather', 'reactor::tally'],
];

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
 * One command. `without`: if it fails, this is said, and what follows in the part is left out.
 * @typedef {{ command: string[], env?: NodeJS.ProcessEnv, without?: string }} Step
 * @type {Record<string, { needs: (keyof typeof TOOLS)[], steps: () => Step[] }>}
 */
const PARTS = {
  loom: {
    needs: [],
    steps: () => [{ command: ['cargo', 'test', '--locked', '--features', 'loom', '--lib', 'model::'] }],
  },
  miri: {
    needs: ['miri'],
    steps: () => [
      {
        command: ['cargo', NIGHTLY, 'miri', 'test', '--locked', '--lib', '--', ...MIRI_ROOMS],
        // Files are read for the cases that failed once.
        env: { PROPTEST_CASES, MIRIFLAGS: '-Zmiri-disable-isolation', ...folder('miri') },
      },
    ],
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

/** @param {string} name */
function verify(name) {
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
  for (const { command, env, without } of part.steps()) {
    console.log(`\n== ${name}: ${command.join(' ')}`);
    if (run(command, { env: { ...process.env, ...env } }) === 0) continue;
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

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`No part is called '${unknown}'. There are: ${Object.keys(PARTS).join(', ')}.`);
  process.exit(2);
}
const results = (wanted.length > 0 ? wanted : Object.keys(PARTS)).map(verify);
process.exit(results.includes(1) ? 1 : Math.max(...results));
