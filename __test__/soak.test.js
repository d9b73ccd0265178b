'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const zlib = require('node:zlib');
const files = require('../bench/files');
const { Ledger } = require('../bench/soak/ledger');
const { HEAD_BYTES, read, slowCrc32, write } = require('../bench/soak/message');
const { slope } = require('../bench/soak/slope');
const { series, summary, verdict } = require('../bench/soak/summary');
const { elements } = require('./support/svg');

const RUNNER = path.join(__dirname, '..', 'bench', 'soak.js');
const FAULTY = path.join(__dirname, 'support', 'soak_faulty.js');
const ON_LINUX = { skip: process.platform !== 'linux' && 'the runner reads /proc', timeout: 300_000 };

/** Small, but with every part and every ending. */
const SMALL = '--connections 200 --pace 200 --rate 400 --churn 12'.split(' ');

/** A folder that is gone when its test ends. */
function folder(context) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'tidewire-soak-'));
  context.after(() => fs.rmSync(made, { recursive: true }));
  return made;
}

const resultIn = (out) => JSON.parse(fs.readFileSync(path.join(out, 'soak.json'), 'utf8'));

test(
  'a small run loses nothing, ends connections in every way, and leaves nothing behind',
  ON_LINUX,
  (context) => {
    const out = folder(context);
    const args = [RUNNER, ...SMALL, '--minutes', '0.25', '--out', out];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);

    const { meta, summary, series } = resultIn(out);
    assert.deepEqual([meta.connections, meta.cutShort, meta.off], [200, false, []]);
    for (const [name, count] of Object.entries(summary.endings)) assert.ok(count > 0, `none was ${name}`);
    const ended = Object.values(summary.endings).reduce((sum, count) => sum + count, 0);
    assert.equal(summary.opened, ended);
    assert.ok(summary.opened > 250 && summary.echoes > 2_000 && summary.publications > 500, stdout);
    assert.ok(summary.received <= summary.sent && summary.received >= summary.echoes, stdout);
    assert.ok(summary.pings >= 5, `${summary.pings} pings answered`);
    assert.equal(summary.descriptorsAfter, summary.descriptorsBefore);

    const rows = series.second.length;
    assert.ok(rows <= 240);
    for (const [name, values] of Object.entries(series)) {
      assert.equal(values.length, rows, name);
      assert.ok(
        values.every((value) => value !== undefined && value !== null),
        name,
      );
    }
    const found = elements(fs.readFileSync(path.join(out, 'soak.svg'), 'utf8'));
    assert.equal(found.filter(({ attributes }) => attributes.includes('class="title"')).length, 5);
    const paths = found.filter(({ name }) => name === 'path');
    assert.ok(paths.length >= 10);
    assert.ok(
      paths.every(({ attributes }) => / d="M[^"]+"/.test(attributes) && !/NaN|null/.test(attributes)),
    );
  },
);

for (const fault of ['lost', 'doubled', 'reordered', 'corrupt']) {
  test(`a server whose messages are ${fault} is noticed`, ON_LINUX, (context) => {
    const out = folder(context);
    const args = [RUNNER, ...SMALL, '--churn', '0.1', '--minutes', '0.1', '--out', out, '--server', FAULTY];
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, FAULT: fault },
    });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^soak: \\d+ ${fault} to the client$`, 'm'));
    assert.match(stderr, /^soak: .*connection \d+: /m);
    const { meta, summary } = resultIn(out);
    assert.ok(summary.faultsToClient[fault] > 0 && meta.off.length > 0);
    assert.deepEqual(Object.values(summary.faultsToServer), [0, 0, 0, 0, 0, 0, 0]);
  });
}

test('an interrupted run closes its connections, and writes what it has', ON_LINUX, async (context) => {
  const out = folder(context);
  const runner = spawn(process.execPath, [RUNNER, ...SMALL, '--minutes', '5', '--out', out], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => runner.kill('SIGKILL'));
  let told = '';
  runner.stdout.on('data', (chunk) => {
    // A second one would not wait for the connections.
    if (!/^soak /m.test(told) && /^soak /m.test(told + chunk)) runner.kill('SIGINT');
    told += chunk;
  });
  const [status] = await once(runner, 'close');
  assert.equal(status, 0, told);
  const { meta, summary } = resultIn(out);
  assert.equal(meta.cutShort, true);
  assert.ok(summary.opened >= 200 && summary.seconds < 120);
});

test('a shorter run does not write over a longer one', (context) => {
  const [first, second] = [folder(context), folder(context)];
  const secondsAt = (seconds) => files.folder(first, second, 'soak', seconds);
  assert.equal(secondsAt(60), first);
  files.write(first, 'soak', { meta: {}, summary: { seconds: 3_604 }, series: { second: [1, 2] } }, '<svg/>');
  assert.deepEqual(resultIn(first).series.second, [1, 2]);
  assert.deepEqual([60, 3_602, 7_200].map(secondsAt), [second, first, first]);
});

test('wrong options are named', () => {
  for (const [args, word] of [
    [['--connections', '1.5'], /must be whole/],
    [['--minutes', 'x'], /--minutes is x/],
    [['--churn', '-1'], /--churn/],
    [['--sise', '3'], /--sise/],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [RUNNER, ...args], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, word);
  }
});

describe('messages of the soak', () => {
  test('are read back, and a changed byte is noticed', () => {
    const message = write('p', 0xdeadbeef, 17, 'ü€');
    assert.deepEqual(read(message), { word: 'p', of: 0xdeadbeef, number: 17 });
    for (let at = 0; at < message.length; at++) {
      const other = Buffer.from(message);
      other[at] ^= 1;
      assert.equal(read(other), undefined, `byte ${at}`);
    }
    assert.equal(read(message.subarray(0, HEAD_BYTES - 1)), undefined);
  });

  test('have the checksum of zlib, with the zlib of Node.js and without', () => {
    const nine = Buffer.from('123456789');
    assert.equal(slowCrc32(nine), 0xcbf43926);
    if (zlib.crc32) assert.equal(zlib.crc32(nine), 0xcbf43926);
  });
});

describe('the ledger of the server', () => {
  const faultsOf = (numbers, finish = () => {}) => {
    const ledger = new Ledger();
    let entry;
    for (const number of numbers) {
      if (number === undefined) ledger.short(entry);
      else entry = ledger.message(entry, 7, number);
    }
    finish(ledger, entry);
    ledger.finish();
    return Object.fromEntries(Object.entries(ledger.faults).filter(([, count]) => count > 0));
  };
  const settled = (number) => (ledger, entry) => {
    ledger.settle(entry, 7, number);
    ledger.closed(entry);
  };
  const noted = (number, all) => (ledger, entry) => {
    ledger.note(7, number, all);
    ledger.closed(entry);
  };

  for (const [name, numbers, finish, faults] of [
    ['in order', [0, 1, undefined, 3], settled(4), {}],
    ['one lost', [0, 2], settled(3), { lost: 1 }],
    ['the last ones lost', [0, 1], settled(4), { lost: 2 }],
    ['one doubled', [0, 1, 1, 2], settled(3), { doubled: 1 }],
    ['one without a head doubled', [0, undefined, undefined, 2], settled(3), { doubled: 1 }],
    ['one without a head doubled at the end', [0, undefined, undefined], settled(2), { doubled: 1 }],
    ['two swapped', [0, 2, 1], settled(3), { reordered: 1 }],
    ['all of a half-closed one', [0, 1], noted(2, true), {}],
    ['not all of a half-closed one', [0], noted(2, true), { lost: 1 }],
    ['not all of one that was reset', [0], noted(2, false), {}],
    ['more than were written', [0, 1], noted(1, false), { doubled: 1 }],
    ['nobody said how it ended', [0], undefined, { unclosed: 1 }],
    ['none of those that were written', [], noted(3, true), { lost: 3 }],
    ['a short one first', [undefined], undefined, { corrupt: 1 }],
  ]) {
    test(name, () => assert.deepEqual(faultsOf(numbers, finish), faults));
  }

  test('forgets a connection when all is said of it, in either order', () => {
    const ledger = new Ledger();
    const [one, other] = [ledger.message(undefined, 1, 0), ledger.message(undefined, 2, 0)];
    ledger.note(1, 1, true);
    ledger.closed(other);
    assert.equal(ledger.size, 2);
    ledger.closed(one);
    ledger.note(2, 1, true);
    assert.equal(ledger.size, 0);
  });
});

describe('the verdict', () => {
  const stats = () => ({
    ...{
      connections: 0,
      subscriptions: 0,
      topics: 0,
      opened: 3,
      waiting: { outboxBytes: 0 },
      gate: { handshakes: 0 },
    },
    closes: { peer: 2, fin: 1, timeout: 0, protocol: 0, backpressure: 0, shutdown: 0 },
  });
  const run = ({ grows = 0, of = stats(), skipped = 5, after = 30 } = {}) => {
    const rows = Array.from({ length: 720 }, (_, at) => ({
      ...{
        second: at * 5,
        phase: 'soak',
        sent: at,
        publications: at,
        opened: at,
        threads: 8,
        cpuUser: 0.1,
        cpuSystem: 0.1,
      },
      ...{ heapUsedBytes: 1, engineBytes: 1, clientCpu: 0 },
      // Every tenth is an outlier.
      residentBytes: 100e6 * (1 + (grows * at) / 720) + (at % 10 === 0 ? 30e6 : 0),
    }));
    const report = { faults: { lost: 0 }, skipped, endings: {}, seconds: 3_600, told: '' };
    const state = { faults: { lost: 0 }, told: [], received: 1, slowDropped: 5, stats: [of] };
    const whole = { rows, report, state, descriptors: { before: 30, after }, kernelDrops: 0, minutes: 60 };
    return verdict(whole, summary(whole));
  };

  test('is good where nothing is off', () => assert.deepEqual(run(), []));
  test('allows for less than 1 % an hour', () => assert.deepEqual(run({ grows: 0.008 }), []));
  for (const [word, options] of [
    [/resident memory grows by 2\.\d\d % an hour/, { grows: 0.022 }],
    [/30 descriptors before, and has 31/, { after: 31 }],
    [/spared 4 publications, and the server says 5/, { skipped: 4 }],
    [/counts 1 subscriptions/, { of: { ...stats(), subscriptions: 1 } }],
    [/waiting\.outboxBytes is 7/, { of: { ...stats(), waiting: { outboxBytes: 7 } } }],
    [
      /1 connections were closed by protocol/,
      { of: { ...stats(), opened: 4, closes: { ...stats().closes, protocol: 1 } } },
    ],
    [/4 connections were opened, and 3 closed/, { of: { ...stats(), opened: 4 } }],
  ]) {
    test(`says ${word.source}`, () => {
      const off = run(options);
      assert.equal(off.length, 1, off.join('; '));
      assert.match(off[0], word);
    });
  }

  test('needs a line that outliers do not bend', () => {
    const seconds = Array.from({ length: 300 }, (_, at) => at * 10);
    const values = seconds.map((second, at) => 1_000 + second + (at % 17 === 0 ? 5_000 : 0));
    assert.ok(Math.abs(slope(seconds, values).perHour - 3_600) < 100);
    assert.equal(slope([1], [5]).perHour, 0);
  });

  test('has no more rows than fit', () => {
    const rows = Array.from({ length: 1_000 }, (_, second) => ({
      second,
      cpuUser: second % 2,
      cpuSystem: 0,
      clientCpu: 0,
    }));
    const { second, cpuUser } = series(rows);
    assert.equal(second.length, 200);
    assert.deepEqual([second[0], second[199]], [4, 999]);
    assert.ok(cpuUser.every((share) => Math.abs(share - 0.5) <= 0.1));
  });
});
