'use strict';

/** What npm does when somebody installs the packages: it copies files, and runs nothing; and what works then. */

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { packageOf, packaged, platform } = require('../lib/platform');
const { runFile } = require('./support/child');
const { connect } = require('./support/client');
const { Consumer, makePackages, scratch } = require('./support/packages');

const ROOT = path.join(__dirname, '..');
const OWN = packageOf(platform);

/** Time limit of a test in milliseconds: it only ends what hangs. That of support/server.js would load an addon of this folder. */
const BOUND = { timeout: 30_000 };
/** The same where npm runs. */
const PATIENT = { timeout: 900_000 };

/** What makes packages asks for this Node; those of TIDEWIRE_PACKAGES are made already. */
const [major] = process.versions.node.split('.').map(Number);
const skip =
  major < 20 && process.env.TIDEWIRE_PACKAGES === undefined
    ? 'packages are made by Node 20 or newer'
    : !packaged.includes(platform) && `there is no package for ${platform}`;

/** Each script that npm runs at an installation. */
const SCRIPTS = [
  'preinstall',
  'install',
  'postinstall',
  'preuninstall',
  'uninstall',
  'postuninstall',
  'prepare',
];

/** A server of the project that echoes, and says its port: an ES module. */
const MODULE = `
import tidewire, { App, us_socket_local_port } from 'tidewire';
if (tidewire.App !== App) throw new Error('the default is another');
App()
  .ws('/*', { message: (ws, message, isBinary) => { ws.send(message, isBinary); } })
  .listen(0, (token) => console.log('Listening on port ' + us_socket_local_port(token)));
`;

describe('the packages', { skip }, () => {
  /** @type {Map<string, string>} */
  let tarballs;
  /** A project in which they were installed, and what npm printed. */
  let project;
  let output;
  const leftovers = [];

  before(() => {
    const suite = { after: (end) => leftovers.push(end) };
    tarballs = makePackages(scratch(suite));
    project = new Consumer(suite);
    // A package that does run something shows that this would be seen.
    const witness = path.join(scratch(suite), 'witness');
    mkdirSync(witness);
    writeFileSync(
      path.join(witness, 'package.json'),
      JSON.stringify({ name: 'witness', version: '1.0.0', scripts: { postinstall: 'echo witness > ran' } }),
    );
    const [{ filename }] = JSON.parse(project.npm('pack', '--json', witness));
    const third = path.join(project.folder, filename);
    output = project.install(tarballs.get('tidewire'), tarballs.get(OWN), third);
  }, PATIENT);
  after(() => {
    for (const end of leftovers) end();
  });

  /** Runs a server of the project, and holds it against a real client. */
  async function echoes(context, file) {
    const server = runFile(context, file, { PORT: '0' });
    const [, port] = /^Listening on port (\d+)$/.exec(await server.line()) ?? [];
    assert.ok(port);
    const client = await connect(context, `ws://127.0.0.1:${port}/`);
    client.send('hello', Buffer.from([1, 2, 3]));
    assert.equal(await client.text(), 'hello');
    const [data, isBinary] = await client.messages.next();
    assert.ok(isBinary);
    assert.deepEqual([...data], [1, 2, 3]);
  }

  test('there is one for each platform, all of one version', () => {
    const contents = execFileSync.bind(null, 'tar');
    const manifests = new Map();
    for (const [name, tarball] of tarballs) {
      const text = contents(['-xzOf', path.basename(tarball), 'package/package.json'], {
        cwd: path.dirname(tarball),
      });
      manifests.set(name, JSON.parse(text.toString()));
    }
    assert.deepEqual([...manifests.keys()].sort(), ['tidewire', ...packaged.map(packageOf)].sort());

    const main = manifests.get('tidewire');
    const [, crate] = /^version = "(.*)"$/m.exec(readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8')) ?? [];
    assert.equal(main.version, crate, 'package.json and Cargo.toml have different versions');
    const optional = Object.fromEntries(packaged.map((each) => [packageOf(each), main.version]));
    assert.deepEqual(main.optionalDependencies, optional);
    for (const each of packaged) {
      const manifest = manifests.get(packageOf(each));
      const [system, arch, abi] = each.split('-');
      assert.equal(manifest.version, main.version);
      assert.deepEqual([manifest.os, manifest.cpu], [[system], [arch]]);
      const libc = { gnu: ['glibc'], musl: ['musl'] }[abi];
      assert.deepEqual(manifest.libc, libc);
      assert.equal(manifest.main, `tidewire.${each}.node`);
    }
    for (const [name, manifest] of manifests) {
      assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true }, name);
      assert.ok(!('private' in manifest), `${name} is private`);
      assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
      for (const script of SCRIPTS) assert.ok(!(script in (manifest.scripts ?? {})), `${name} has ${script}`);
    }
  });

  test('they install into an empty project without running anything', () => {
    assert.ok(existsSync(project.installed('witness', 'ran')), output);
    assert.match(output, /witness@1\.0\.0 postinstall/);
    assert.doesNotMatch(output, /tidewire\S*@\S+ \w+/, 'npm ran a script of the package');
    for (const file of ['index.js', 'index.d.mts', 'lib/app.js', 'LICENSE', 'THIRD_PARTY.md']) {
      assert.ok(existsSync(project.installed('tidewire', file)), `${file} is not in the package`);
    }
    for (const file of [`tidewire.${platform}.node`, 'LICENSE', 'THIRD_PARTY.md']) {
      assert.ok(existsSync(project.installed(OWN, file)), `${file} is not in the package of the platform`);
    }
    // Of all platforms there is this one, and tidewire itself brings no addon.
    assert.deepEqual(
      readdirSync(project.installed())
        .filter((name) => name.startsWith('tidewire'))
        .sort(),
      ['tidewire', OWN],
    );
    assert.ok(!readdirSync(project.installed('tidewire')).some((file) => file.endsWith('.node')));
    // npm builds what has this file, with or without a script.
    assert.ok(!existsSync(project.installed('tidewire', 'binding.gyp')));
    const { packages } = JSON.parse(readFileSync(path.join(project.folder, 'package-lock.json'), 'utf8'));
    assert.notEqual(packages['node_modules/tidewire'].hasInstallScript, true);
    assert.equal(packages['node_modules/witness'].hasInstallScript, true);
  });

  test('the example runs in such a project', BOUND, async (context) => {
    const example = readFileSync(path.join(ROOT, 'examples/WebSocket.js'), 'utf8');
    await echoes(context, project.write('server.js', example));
  });

  test('and so does an ES module', BOUND, async (context) => {
    await echoes(context, project.write('server.mjs', MODULE));
  });

  test('without the package of the platform, it is told which to install', PATIENT, (context) => {
    const other = new Consumer(context);
    other.install('--omit=optional', tarballs.get('tidewire'));
    const file = other.write('server.js', "require('tidewire');");
    const { status, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', ...BOUND });
    assert.notEqual(status, 0);
    for (const piece of ['TIDEWIRE_NO_BINARY', `${OWN}@`, 'npm install --include=optional']) {
      assert.ok(stderr.includes(piece), stderr);
    }
  });
});
