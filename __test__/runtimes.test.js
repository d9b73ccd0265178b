'use strict';

/** What `npm run runtimes` makes of the reports of Node, Bun and Deno, and that README has what was kept of them. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { testCases } = require('../scripts/runtimes/junit');
const { outcomeOf } = require('../scripts/runtimes/runtime');
const { inserted, section, split } = require('../scripts/runtimes/table');

const ROOT = path.join(__dirname, '..');
const FILE = '__test__/a.test.js';

/** One suite with a test that passes, one that fails and one that is skipped, and a skipped test beside it. */
const REPORTS = {
  'Node 18': `<testsuites>
	<testsuite name="a &amp;quot;suite&amp;quot; &lt;x>" tests="3" failures="1" skipped="1">
		<testcase name="good" time="0.0003" classname="test"/>
		<testcase name="bad" time="0.0002" classname="test" failure="it is
bad">
			<failure type="testCodeFailure" message="it is
bad">
[Error [ERR_TEST_FAILURE]: &lt;testcase name="no">]
			</failure>
		</testcase>
		<testcase name="left" time="0" classname="test"><skipped type="skipped" message="no reason"/></testcase>
	</testsuite>
	<testcase name="top" time="0" classname="test"><skipped type="skipped" message="no reason"/></testcase>
</testsuites>`,
  Bun: `<testsuites name="bun test" tests="4" failures="1" skipped="2">
  <testsuite name="a.test.js" file="a.test.js" tests="4">
    <testsuite name="a &quot;suite&quot; &lt;x&gt;" file="a.test.js" line="2" tests="3">
      <testcase name="good" classname="a" time="0.005" file="a.test.js" line="2" assertions="0" />
      <testcase name="bad" classname="a" time="0.0005" file="a.test.js" line="2" assertions="0">
        <failure type="Error" message="it is&#10;bad">Error: it is&#10;bad</failure>
      </testcase>
      <testcase name="left" classname="a" time="0" file="a.test.js" line="2" assertions="0">
        <skipped />
      </testcase>
    </testsuite>
    <testcase name="top" classname="" time="0" file="a.test.js" line="6" assertions="0">
      <skipped />
    </testcase>
  </testsuite>
</testsuites>`,
  Deno: `<testsuites name="deno test" tests="5" failures="2" errors="0" time="1.0">
    <testsuite name="./a.test.js" tests="2" disabled="1" errors="0" failures="1">
        <testcase name="a &quot;suite&quot; &lt;x&gt;" classname="./a.test.js" time="1.0" line="2" col="1">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="top" classname="./a.test.js" time="0.000" line="6" col="1">
            <skipped/>
        </testcase>
    </testsuite>
    <testsuite name="ext:deno_node/testing.ts" tests="3" disabled="1" errors="0" failures="1">
        <testcase name="a &quot;suite&quot; &lt;x&gt; &gt; good" classname="ext" time="0.001" line="1" col="2">
        </testcase>
        <testcase name="a &quot;suite&quot; &lt;x&gt; &gt; bad" classname="ext" time="0.001" line="1" col="2">
            <failure message="it is
bad">Error: it is</failure>
        </testcase>
        <testcase name="a &quot;suite&quot; &lt;x&gt; &gt; left" classname="ext" time="0.000" line="1" col="2">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`,
};

const NAMES = ['a "suite" <x> > good', 'a "suite" <x> > bad', 'a "suite" <x> > left', 'top'];

describe('a report', () => {
  for (const [runtime, report] of Object.entries(REPORTS)) {
    test(`of ${runtime} has every test once, by its whole name`, () => {
      const cases = testCases(report);
      assert.deepEqual(cases.map(({ name }) => name).sort(), [...NAMES].sort());
      assert.deepEqual(
        cases.filter(({ isSkipped }) => isSkipped).map(({ name }) => name),
        runtime === 'Deno' ? [NAMES[3], NAMES[2]] : [NAMES[2], NAMES[3]],
      );
      assert.deepEqual(
        cases.filter(({ failure }) => failure !== undefined).map(({ name, failure }) => [name, failure]),
        [[NAMES[1], 'it is']],
      );
    });

    test(`of ${runtime} is counted`, () => {
      const printed = runtime === 'Node 18' ? '' : 'skipped: no reason\nskipped: no reason\n';
      const { passed, skipped, reasons, failed } = outcomeOf(FILE, report, 'status 1', printed);
      assert.deepEqual([passed, skipped.length, reasons], [1, 2, ['no reason']]);
      assert.deepEqual(failed, [{ test: `a.test.js: ${NAMES[1]}`, message: 'it is' }]);
    });
  }

  test('that is not there, or tells no failure of a process that failed, is a failure', () => {
    const crashed = outcomeOf(FILE, '', 'SIGSEGV', `it crashed at file://${path.resolve(ROOT)}/lib/app.js`);
    const message = 'SIGSEGV: it crashed at file://./lib/app.js';
    assert.deepEqual(crashed.failed, [{ test: 'a.test.js: the file', message }]);
    const empty = outcomeOf(FILE, '<testsuites></testsuites>', '', '');
    assert.deepEqual(empty.failed, [{ test: 'a.test.js: the file', message: 'no tests: ' }]);
    const good = '<testsuites><testcase name="good"/></testsuites>';
    assert.deepEqual(outcomeOf(FILE, good, '', '').failed, []);
    const late = outcomeOf(FILE, good, 'status 1', 'thrown behind the last test');
    assert.deepEqual([late.passed, late.failed.length], [1, 1]);
  });
});

test('a runtime that there is not is named, with those that there are', () => {
  const runner = path.join(ROOT, 'scripts', 'runtimes.js');
  const { status, stderr } = spawnSync(process.execPath, [runner, 'nodejs'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 2);
  assert.match(stderr, /^No runtime is called 'nodejs'\. There are: node, bun, deno\.\n$/);
});

describe('the table in README', () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8').replaceAll('\r\n', '\n');
  const result = JSON.parse(readFileSync(path.join(ROOT, 'docs', 'runtimes.json'), 'utf8'));

  test('is that of docs/runtimes.json', () => {
    assert.equal(split(readme)[1], section(result));
  });

  test('takes another result in its place', () => {
    const other = { ...result, runs: result.runs.slice(0, 1) };
    const changed = inserted(readme, other);
    assert.equal(split(changed)[1], section(other));
    assert.deepEqual([split(changed)[0], split(changed)[2]], [split(readme)[0], split(readme)[2]]);
  });

  test('has Node.js 18, 20, 22, 24 and a newer one, Bun and Deno, each with one addon', () => {
    const told = result.runs.map(({ name, version }) =>
      name === 'node' ? Number.parseInt(version, 10) : name,
    );
    assert.deepEqual(
      told.filter((_, at) => at !== 4),
      [18, 20, 22, 24, 'bun', 'deno'],
    );
    assert.ok(told[4] > 24, `${told[4]}`);
    assert.match(result.addon.sha256, /^[\da-f]{64}$/);
  });
});
