'use strict';

/** The package as other tools see it: their resolution of modules, and what publint and attw look for. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { packSource, scratch } = require('./support/packages');

const ROOT = path.join(__dirname, '..');
const PROJECTS = path.join(__dirname, 'support/projects');

/** Time limit of a test in which tools run, in milliseconds: it only ends what hangs. */
const PATIENT = { timeout: 900_000 };

const skip = Number(process.versions.node.split('.', 1)[0]) < 20 && 'the tools are for Node 20 or newer';

/** How TypeScript is asked, and the files of `projects/` that it then has to understand. */
const RESOLUTIONS = {
  node10: [
    [
      '--module',
      'commonjs',
      '--moduleResolution',
      'node10',
      '--esModuleInterop',
      '--ignoreDeprecations',
      '6.0',
    ],
    ['either.ts', 'commonjs.cts'],
  ],
  node16: [
    ['--module', 'node16', '--moduleResolution', 'node16'],
    ['either.ts', 'module.mts', 'commonjs.cts'],
  ],
  nodenext: [
    ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
    ['either.ts', 'module.mts', 'commonjs.cts'],
  ],
  bundler: [
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ['either.ts', 'module.mts'],
  ],
};

/** Runs a tool of node_modules; what it says is the reason of a failure. */
function tool(folder, script, ...values) {
  const file = path.join(ROOT, 'node_modules', script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...values], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

describe('the package', { skip }, () => {
  let folder;
  let tarball;
  const leftovers = [];

  before(() => {
    folder = scratch({ after: (end) => leftovers.push(end) });
    tarball = packSource(folder);
    const modules = path.join(folder, 'node_modules');
    mkdirSync(path.join(modules, 'tidewire'), { recursive: true });
    const values = ['-xzf', path.basename(tarball), '-C', 'node_modules/tidewire', '--strip-components', '1'];
    const { status, stderr } = spawnSync('tar', values, { cwd: folder, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    symlinkSync(path.join(ROOT, 'node_modules/@types'), path.join(modules, '@types'), 'junction');
    writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
    for (const file of new Set(Object.values(RESOLUTIONS).flatMap(([, files]) => files))) {
      copyFileSync(path.join(PROJECTS, file), path.join(folder, file));
    }
  }, PATIENT);
  after(() => {
    for (const end of leftovers) end();
  });

  for (const [name, [flags, files]] of Object.entries(RESOLUTIONS)) {
    test(`its typings are found as TypeScript resolves for ${name}`, PATIENT, () => {
      const common = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck'];
      common.push('--target', 'es2022', '--types', 'node');
      tool(folder, 'typescript/bin/tsc', ...common, ...flags, ...files);
    });
  }

  test('attw finds nothing wrong with its typings', PATIENT, () => {
    tool(folder, '@arethetypeswrong/cli/dist/index.js', '--no-color', tarball);
  });

  test('publint finds nothing wrong with its manifest', PATIENT, async () => {
    const { publint } = await import('publint');
    const { formatMessage } = await import('publint/utils');
    const { buffer, byteOffset, byteLength } = readFileSync(tarball);
    const pack = { tarball: buffer.slice(byteOffset, byteOffset + byteLength) };
    const { messages, pkg } = await publint({ pack, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
  });
});
