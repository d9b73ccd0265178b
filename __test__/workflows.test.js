'use strict';

/** What the workflows of .github may do, and whether what they run is there. */

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { scripts } = require('tidewire/package.json');
const { targets } = require('../scripts/targets');

const FOLDER = path.join(__dirname, '../.github/workflows');
const workflows = readdirSync(FOLDER).map((name) => [name, readFileSync(path.join(FOLDER, name), 'utf8')]);

describe('a workflow', () => {
  for (const [name, text] of workflows) {
    test(`${name} pins each action to a commit, and says its version`, () => {
      const uses = [...text.matchAll(/^.*\buses: (.*)$/gm)].map(([, action]) => action);
      for (const action of uses) {
        assert.match(
          action,
          /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$|^\.\/\.github\/workflows\/[\w-]+\.yml$/,
        );
      }
    });

    test(`${name} may do nothing unless a job says so, and writes nothing to the repository`, () => {
      assert.match(text, /^permissions: \{\}$/m);
      assert.doesNotMatch(text.replace('id-token: write', ''), /: write/);
      assert.doesNotMatch(text, /pull_request_target/);
    });

    test(`${name} runs scripts that are there`, () => {
      const runs = [...text.matchAll(/npm run ([\w-]+)/g)].map(([, script]) => script);
      for (const script of runs) assert.ok(script in scripts, `there is no script '${script}'`);
      const parts = [...text.matchAll(/npm test -- (\w+)/g)].map(([, part]) => part);
      const steps = readFileSync(path.join(__dirname, '../scripts/test.js'), 'utf8');
      for (const part of parts) assert.ok(steps.includes(`['${part}',`), `npm test has no part '${part}'`);
    });

    test(`${name} puts nothing that comes from outside into a command`, () => {
      const commands = [...text.matchAll(/^ {6}(?:- | {2})run: (.*(?:\n {10,}.*)*)$/gm)];
      assert.equal(commands.length, text.match(/\brun: /g)?.length ?? 0);
      for (const [, command] of commands) {
        for (const [, expression] of command.matchAll(/\$\{\{ *(.*?) *\}\}/g)) {
          assert.match(expression, /^matrix\./);
        }
      }
    });
  }
});

test('each target is built, and no other', () => {
  const [, text] = workflows.find(([name]) => name === 'build.yml') ?? [];
  const built = [...text.matchAll(/\{ target: ([\w-]+),/g)].map(([, target]) => target);
  assert.deepEqual(built.sort(), [...targets].sort());
});

test('packages are installed where no addon was built: the test of that loads none', () => {
  const loads = new Set();
  const look = (file) => {
    if (loads.has(file) || file.includes('node_modules')) return;
    loads.add(file);
    for (const [, name] of readFileSync(file, 'utf8').matchAll(
      /^const .* = require\('((?:\.|tidewire).*)'\);$/gm,
    )) {
      look(require.resolve(name, { paths: [path.dirname(file)] }));
    }
  };
  look(path.join(__dirname, 'install.test.js'));
  assert.ok(loads.has(path.join(__dirname, 'support/packages.js')));
  assert.ok(!loads.has(path.join(__dirname, '../index.js')));
});

test('provenance may be told by the job that publishes alone', () => {
  const may = workflows.flatMap(([name, text]) => [...text.matchAll(/id-token: write/g)].map(() => name));
  assert.deepEqual(may, ['release.yml']);
});
