'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { check, readings } = require('../bench/million/host');
const { summary } = require('../bench/million/summary');
const { elements } = require('./support/svg');

const RUNNER = path.join(__dirname, '..', 'bench', 'million.js');
const ON_LINUX = { skip: process.platform !== 'linux' && 'the runner reads /proc', timeout: 300_000 };

/** A host on which a million fits. */
const LARGE = {
  platform: 'linux',
  descriptorLimit: 1_200_000,
  descriptorMaximum: 1_200_000,
  openFiles: 1_000,
  openFilesMaximum: 9_000_000,
  epollWatchesMaximum: 5_000_000,
  ports: 28_232,
  conntracked: 10,
  conntrackMaximum: 2_000_000,
  somaxconn: 4_096,
  tcpPages: 4_000_000,
  availableBytes: 12e9,
};

/** A folder that is gone when its test ends. */
function folder(context) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'tidewire-million-'));
  context.after(() => fs.rmSync(made, { recursive: true }));
  return made;
}

test('a small run holds its connections, and its json and chart are whole', ON_LINUX, (context) => {
  const out = folder(context);
  const args = '--connections 300 --processes 2 --pace 300 --interval 1 --minutes 0.05'.split(' ');
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUNNER, ...args, '--out', out], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /300 open, 0 refused, 0 lost/);

  const { meta, summary, series } = JSON.parse(fs.readFileSync(path.join(out, 'million.json'), 'utf8'));
  assert.equal(meta.connections, 300);
  assert.equal(meta.failure, null);
  assert.deepEqual(
    [summary.open, summary.refused, summary.lost, summary.corrupt, summary.unanswered],
    [300, 0, 0, 0, 0],
  );
  assert.equal(summary.answers, summary.sent);
  assert.ok(summary.sent >= 300, `${summary.sent} sent, less than one for each connection`);

  const rows = series.second.length;
  for (const [name, values] of Object.entries(series)) {
    assert.equal(values.length, rows, name);
    assert.ok(
      values.every((value) => value !== null),
      name,
    );
  }
  assert.ok(series.open.every((open, at) => open + series.connecting[at] <= 300));
  assert.ok(
    series.sent.every((sent, at) => sent >= series.answers[at] && sent >= (series.sent[at - 1] ?? 0)),
  );
  assert.ok(series.residentBytes.every((bytes) => bytes > 10e6));
  assert.equal(series.open[rows - 1], 300);
  assert.ok(series.phase.includes('steady'));

  const found = elements(fs.readFileSync(path.join(out, 'million.svg'), 'utf8'));
  assert.equal(found[0].name, 'svg');
  assert.equal(found.filter(({ attributes }) => attributes.includes('class="title"')).length, 4);
  const paths = found.filter(({ name }) => name === 'path');
  assert.ok(paths.length >= 8);
  assert.ok(paths.every(({ attributes }) => / d="M[^"]+"/.test(attributes) && !/NaN|null/.test(attributes)));
});

test('an interrupted run writes what it has', ON_LINUX, async (context) => {
  const out = folder(context);
  const args = '--connections 50 --pace 200 --interval 1 --minutes 5'.split(' ');
  const runner = spawn(process.execPath, [RUNNER, ...args, '--out', out], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => runner.kill('SIGKILL'));
  runner.stdout.on('data', (chunk) => /steady/.test(chunk) && runner.kill('SIGINT'));
  const [status] = await once(runner, 'close');
  assert.equal(status, 0);
  const { meta, summary } = JSON.parse(fs.readFileSync(path.join(out, 'million.json'), 'utf8'));
  assert.equal(meta.interrupted, true);
  assert.equal(summary.open, 50);
  elements(fs.readFileSync(path.join(out, 'million.svg'), 'utf8'));
});

test('wrong options are named', () => {
  for (const [args, word] of [
    [['--connections', '0'], /--connections is 0/],
    [['--connections', '1.5'], /must be whole/],
    [['--minutes', 'x'], /--minutes is x/],
    [['--sise', '3'], /--sise/],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [RUNNER, ...args], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, word);
  }
});

test('a large host has nothing to be changed', () => {
  assert.deepEqual(check(1_000_000, LARGE), []);
  assert.deepEqual(check(1_000_000, { platform: 'linux' }), []);
});

test('each setting that is too small is named with its command', () => {
  for (const [reading, sentence, command] of [
    [{ descriptorLimit: 20_000 }, /20,000 descriptors.*needs 1,000,100/, /nofile=1200000/],
    [{ openFilesMaximum: 1_000_000 }, /fs\.file-max/, /fs\.file-max=2300000/],
    [{ epollWatchesMaximum: 1_999_999 }, /max_user_watches/, /fs\.epoll\.max_user_watches=2300000/],
    [{ ports: 1_000 }, /1,000 local ports/, /ip_local_port_range/],
    [{ conntrackMaximum: 262_144 }, /262,144 connections/, /nf_conntrack_max=1200000.*NOTRACK/],
    [{ somaxconn: 128 }, /128 connections may wait/, /somaxconn=4096/],
    [{ tcpPages: 383_868 }, /383,868 pages/, /tcp_mem="2200000 4400000 6600000"/],
    [{ availableBytes: 4e9 }, /4\.0 GB of memory.*9\.2 GB are needed/, /--connections 422000/],
  ]) {
    const findings = check(1_000_000, { ...LARGE, ...reading });
    assert.equal(findings.length, 1, JSON.stringify(reading));
    assert.match(findings[0].sentence, sentence);
    assert.match(findings[0].command, command);
    assert.equal(findings[0].fatal, !('somaxconn' in reading || 'tcpPages' in reading));
  }
});

test('a limit that the kernel itself bounds has two commands, in their order', () => {
  const findings = check(1_000_000, { ...LARGE, descriptorLimit: 20_000, descriptorMaximum: 20_000 });
  assert.deepEqual(
    findings.map(({ command }) => /fs\.nr_open|nofile/.exec(command)[0]),
    ['fs.nr_open', 'nofile'],
  );
});

test('19,000 connections fit where a process may hold 20,000 descriptors', () => {
  const readings = { ...LARGE, descriptorLimit: 20_000, descriptorMaximum: 20_000 };
  assert.deepEqual(check(19_000, readings), []);
  assert.equal(check(20_000, readings).length, 2);
});

test('other systems are told that Linux is needed', () => {
  const [finding] = check(10, { platform: 'darwin' });
  assert.match(finding.sentence, /darwin/);
  assert.ok(finding.fatal);
});

test('this host can be read', ON_LINUX, () => {
  const here = readings();
  assert.ok(here.descriptorLimit > 0 && here.ports > 0 && here.somaxconn > 0 && here.availableBytes > 0);
});

test('a summary takes memory and CPU from the steady state, and growth from its ends', () => {
  const row = (second, phase, values) => ({
    ...{
      second,
      phase,
      open: 1_000,
      refused: 0,
      lost: 0,
      late: 0,
      slabBytes: 0,
      clientResidentBytes: 50_000,
    },
    ...{ cpuUser: 0.25, cpuSystem: 0.25, residentBytes: 50e6, sent: 100 * second, answers: 100 * second },
    ...values,
  });
  const found = summary(
    [
      row(0, 'before', { residentBytes: 40e6, open: 0 }),
      row(1, 'ramp', { residentBytes: 90e6, cpuUser: 1 }),
      row(2, 'steady', {}),
      row(3, 'steady', { residentBytes: 51e6, late: 2 }),
      row(4, 'steady', { residentBytes: 51e6, late: 3, slabBytes: 8e6 }),
    ],
    undefined,
    undefined,
  );
  assert.equal(found.residentBytesMax, 51e6);
  assert.equal(found.residentBytesBefore, 40e6);
  assert.equal(found.residentGrowth, 0.02);
  assert.equal(found.messagesPerSecond, 100);
  assert.equal(found.cpuMean, 0.5);
  assert.equal(found.cpuMicrosPerMessage, 5_000);
  assert.equal(found.kernelBytesPerEnd, 4_000);
  assert.equal(found.clientBytesPerConnection, 50);
  assert.equal(found.lateInSteadyState, 3);
});
