'use strict';

/** The suite of the bench: its verdicts, and that what it writes is whole. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { chart } = require('../bench/all/chart');
const { inserted, section, split } = require('../bench/all/readme');
const { judgedAnew, merged, part, text } = require('../bench/all/result');
const { SUITE } = require('../bench/all/suite');
const { SCENARIOS } = require('../bench/scenarios');
const { elements } = require('./support/svg');

const RUNNER = path.join(__dirname, '..', 'bench', 'run.js');
const ON_LINUX = { skip: process.platform !== 'linux' && 'the bench reads /proc', timeout: 300_000 };
const MADE = { date: '2030-01-02T03:04:05.000Z', revision: 'abc1234' };

/** Runs the bench, and returns what it said. */
function run(...words) {
  return spawnSync(process.execPath, [RUNNER, ...words], { encoding: 'utf8' });
}

/** A report of an echo. */
const report = (micros, messagesPerSecond = 1e6 / micros) => ({
  messagesPerSecond,
  serverCpu: { micros, mainThreadMicros: micros / 10 },
  latencyMicros: { p50: 1, p99: 2 },
  clientCpu: { busy: 0.5 },
});

/** A part of a result, of these CPU times for each round; undefined is a round that failed. */
function measured(rows, times, name = 'sample') {
  const contestants = Object.keys(times).map((name) => ({ name, server: name }));
  const reports = new Map(
    Object.entries(times).map(([name, rounds]) => [name, rounds.map((micros) => micros && report(micros))]),
  );
  return part(
    { name, scenario: 'echo', options: {}, contestants, rows },
    { scenario: 'echo', options: {}, contestants, pin: true },
    { title: 'a sample', reports, notes: [], failures: [] },
    MADE,
  );
}

/** A result of such parts. */
function resultOf(...parts) {
  return {
    machine: { cpu: 'Some CPU', processors: 2, kernel: '6.1.2-x' },
    versions: { node: 'v20.1.0', bun: '1.4.5', ws: '8.23.0', tidewire: '0.1.0' },
    parts,
  };
}

const CPU_ROW = {
  title: 'echo, `nodebuffer`',
  column: 'CPU µs',
  bars: [
    { most: 1.1, against: 'bun' },
    { most: 0.45, against: 'ws' },
    { most: 0.5, column: 'main µs' },
  ],
};

describe('a row of the suite', () => {
  test('has medians, ranges, ratios of medians, and their range over the rounds', () => {
    const { rows } = measured([CPU_ROW], { tidewire: [4, 6, 5], bun: [5, 5, 4], ws: [10, 30, 20] });
    const [{ value, ratios }] = rows;
    assert.deepEqual(value, { median: 5, least: 4, most: 6 });
    assert.deepEqual(
      ratios.map(({ against, ratio, least, most }) => [against, ratio, least, most]),
      [
        ['bun', 1, 0.8, 1.25],
        ['ws', 0.25, 0.2, 0.4],
      ],
    );
  });

  test('says which of its bars are met', () => {
    const [{ bars }] = measured([CPU_ROW], { tidewire: [6], bun: [5], ws: [20] }).rows;
    assert.deepEqual(
      bars.map(({ bar, value, isMet }) => [bar, value, isMet]),
      [
        ['≤ 1.1 × Bun', 1.2, false],
        ['≤ 0.45 × ws', 0.3, true],
        ['main ≤ 0.5 µs', 0.6, false],
      ],
    );
  });

  test('of a rate is better the more it is', () => {
    const row = { title: 'rate', column: 'messages/s', bars: [{ least: 1.4, against: 'bun' }] };
    const verdict = (times) => measured([row], times).rows[0].bars[0];
    assert.equal(verdict({ tidewire: [1], bun: [1.5] }).isMet, true);
    assert.equal(verdict({ tidewire: [1], bun: [1.3] }).isMet, false);
    assert.equal(verdict({ tidewire: [1], bun: [1.3] }).bar, '≥ 1.4 × Bun');
  });

  test('compares single rounds with those of the same number', () => {
    const { rows, contestants } = measured([CPU_ROW], { tidewire: [4, undefined, 8], bun: [2, 9, 4] });
    const [{ against, ratio, least, most }] = rows[0].ratios;
    assert.deepEqual([against, ratio, least, most], ['bun', 1.5, 2, 2]);
    assert.deepEqual(contestants[0].rounds[1], []);
  });

  test('does not meet a bar against one that was not there', () => {
    const [{ bars, ratios }] = measured([CPU_ROW], { tidewire: [1] }).rows;
    assert.deepEqual(ratios, []);
    assert.deepEqual([bars[0].value, bars[0].isMet], [null, false]);
  });
});

describe('a result', () => {
  const part = (name, micros) => measured([CPU_ROW], { tidewire: [micros], bun: [5], ws: [20] }, name);

  test('takes new parts in the order of the suite', () => {
    const first = resultOf(part('b', 5), part('c', 5));
    const both = merged(first, resultOf(part('c', 6), part('a', 6)), ['a', 'b', 'c']);
    assert.deepEqual(
      both.parts.map(({ name, rows }) => [name, rows[0].value.median]),
      [
        ['a', 6],
        ['b', 5],
        ['c', 6],
      ],
    );
  });

  test('takes none of another machine or other versions', () => {
    const now = resultOf(part('a', 5));
    const other = { ...now, versions: { ...now.versions, bun: '1.5.0' } };
    assert.throws(() => merged(now, other, ['a']), /bun was 1\.4\.5 .* 1\.5\.0/);
  });

  test('can be held against other bars', () => {
    const [first] = SUITE;
    const before = resultOf(measured([CPU_ROW], { tidewire: [5], bun: [5], ws: [20] }, first.name));
    const [{ rows }] = judgedAnew(before, SUITE).parts;
    assert.deepEqual(
      rows.map(({ title }) => title),
      first.rows.map(({ title }) => title),
    );
  });

  test('has a round on each line of its file', () => {
    const result = resultOf(measured([CPU_ROW], { tidewire: [4, 6], bun: [5, undefined] }));
    const file = text(result);
    assert.deepEqual(JSON.parse(file), result);
    assert.equal(file.split('\n').filter((line) => /^\s*\[[\d., ]+\],?$/.test(line)).length, 3);
  });
});

describe('what is shown of a result', () => {
  const result = resultOf(
    measured([CPU_ROW], { tidewire: [4, 6, 5], bun: [5, 5, 5], ws: [5000, 5000, 5000] }),
    measured([{ title: '<a & b>', column: 'messages/s', beside: ['bun'] }], { tidewire: [4], bun: [5] }),
  );

  test('a table in README, between its marks', () => {
    const table = section(result);
    assert.match(table, /2030-01-02/);
    assert.ok(
      table.includes(
        '| echo, `nodebuffer` | **5.00 µs** (4.00–6.00) | 5.00 µs | 5,000.00 µs | 1.00 | 0.001 ' +
          '| ≤ 1.1 × Bun ✓; ≤ 0.45 × ws ✓; main ≤ 0.5 µs: 0.50 ✓ |',
      ),
      table,
    );
    const empty = inserted('a\n<!-- written by `npm run bench -- all` -->\n<!-- until here -->\nz\n', result);
    assert.equal(inserted(empty, result), empty);
    assert.equal(split(empty)[1], table);
    assert.ok(empty.startsWith('a\n') && empty.endsWith('\nz\n'));
    assert.throws(() => inserted('nothing', result), /there is no '<!-- written/);
  });

  test('a chart with a mark for each ratio, an arrow for what is beyond, and each bar', async () => {
    const found = elements(await chart(result));
    const marks = (word) => found.filter(({ attributes }) => attributes.includes(word)).length;
    assert.equal(found[0].name, 'svg');
    // Three of the legend, and two within the axis.
    assert.equal(found.filter(({ name }) => name === 'circle').length, 3 + 2);
    assert.equal(marks('class="blue" d="M'), 1);
    assert.equal(marks('class="range '), 3);
    assert.equal(marks('class="stroke amber"') + marks('class="stroke blue"'), 2);
    for (const { attributes } of found) assert.doesNotMatch(attributes, /NaN|undefined|null|Infinity/);
  });
});

test('every row of the suite names columns and contestants that are there', () => {
  const names = SUITE.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, scenario, contestants, rows } of SUITE) {
    const columns = SCENARIOS[scenario].columns.map(({ title }) => title);
    const parties = contestants.map((contestant) => contestant.name ?? contestant);
    for (const { column, of = 'tidewire', beside = [], bars = [] } of rows) {
      assert.ok(parties.includes(of), `${name}: ${of}`);
      for (const title of [column, ...bars.flatMap((bar) => bar.column ?? [])]) {
        assert.equal(columns.filter((candidate) => candidate === title).length, 1, `${name}: ${title}`);
      }
      for (const against of [...beside, ...bars.flatMap((bar) => bar.against ?? [])]) {
        assert.ok(parties.includes(against), `${name}: ${against}`);
      }
    }
  }
});

test('a part of the suite is measured, and another is added to it', ON_LINUX, (context) => {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'tidewire-bench-'));
  context.after(() => fs.rmSync(out, { recursive: true }));
  for (const only of ['rtt', 'echo']) {
    const { stdout, stderr } = run('all', '--only', only, '--rounds', '2', '--seconds', '0.5', '--out', out);
    assert.match(stdout, /(met|MISSED): /, stderr);
  }
  const result = JSON.parse(fs.readFileSync(path.join(out, 'bench.json'), 'utf8'));
  assert.deepEqual(
    result.parts.map(({ name }) => name),
    ['echo', 'rtt'],
  );
  for (const { contestants, columns, failures } of result.parts) {
    const own = contestants.find((contestant) => contestant.name === 'tidewire');
    assert.equal(own?.rounds.length, 2, failures.join());
    for (const values of own.rounds) assert.equal(values.length, columns.length);
  }
  const svg = fs.readFileSync(path.join(out, 'bench.svg'), 'utf8');
  elements(svg);
  fs.rmSync(path.join(out, 'bench.svg'));
  assert.equal(run('all', '--draw', '--out', out).status, 0);
  assert.equal(fs.readFileSync(path.join(out, 'bench.svg'), 'utf8'), svg);
});

for (const [scenario, column] of [
  ['flood', /flood\/calm p99/],
  ['swamp', /second\/first/],
]) {
  test(`${scenario} measures a server under a flood`, ON_LINUX, () => {
    const args = [scenario, '--servers', 'tidewire', '--rounds', '1', '--seconds', '0.4'];
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, column);
    assert.match(stdout, /^tidewire {2,}[\d,]+ /m);
  });
}

test('wrong options are named', () => {
  for (const [args, word] of [
    [['all', '--only', 'echo,typo'], /the suite has no typo/],
    [['all', '--rounds', '0'], /--rounds is 0/],
    [['all', '--seconds', 'x'], /--seconds is x/],
    [['all', '--draw', '--out', path.join(os.tmpdir(), 'tidewire-nowhere')], /there is no .*bench\.json/],
    [['typo'], /there is no scenario typo/],
  ]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 1);
    assert.match(stderr, word);
  }
});
