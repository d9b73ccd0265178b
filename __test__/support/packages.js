'use strict';

/**
 * The packages as a release publishes them, and projects of somebody else that install them: offline, with a cache of
 * their own that is empty, and without a compiler.
 */

const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } = require('node:fs');
const { realpathSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { developmentBuild, packaged, platform } = require('../../lib/platform');

const ROOT = path.join(__dirname, '../..');

/** Time limit of one program in milliseconds: it only ends what hangs. */
const PATIENCE = 300_000;

/** A temporary folder that lasts for as long as the test, or the suite of it. */
function scratch(context) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'tidewire-')));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/**
 * The tarballs of all packages by their names. TIDEWIRE_PACKAGES names a folder with those of a release; without it
 * they are made of what was built here, and of files that are no addons for the other platforms.
 * @param {string} folder where they are made
 * @returns {Map<string, string>}
 */
function makePackages(folder) {
  const made = process.env.TIDEWIRE_PACKAGES ?? path.join(folder, 'dist');
  if (process.env.TIDEWIRE_PACKAGES === undefined) {
    const addons = path.join(folder, 'addons');
    mkdirSync(addons);
    for (const each of packaged) {
      const addon = path.join(addons, `tidewire.${each}.node`);
      if (each === platform) copyFileSync(path.join(ROOT, developmentBuild), addon);
      else writeFileSync(addon, 'no addon');
    }
    const values = ['scripts/packages.js', '--all', '--addons', addons, '--out', made];
    execFileSync(process.execPath, values, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
    });
  }
  const tarballs = readdirSync(made).filter((file) => file.endsWith('.tgz'));
  const name = (file) => file.replace(/-\d+\.\d+\.\d+.*\.tgz$/, '');
  return new Map(tarballs.map((file) => [name(file), path.resolve(made, file)]));
}

/**
 * The tarball of tidewire itself, of the source as it is.
 * @param {string} folder where it is made
 */
function packSource(folder) {
  const values = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const output = execFileSync('npm', values, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE,
  });
  return path.join(folder, JSON.parse(output)[0].filename);
}

/** A folder of programs with Node, npm and a shell, and no other: neither cargo nor a C compiler. */
function fewPrograms(folder) {
  const programs = path.join(folder, 'programs');
  mkdirSync(programs);
  for (const name of ['node', 'npm', 'sh']) {
    const file = process.env.PATH?.split(path.delimiter)
      .map((place) => path.join(place, name))
      .find((place) => existsSync(place));
    if (file !== undefined) symlinkSync(realpathSync(file), path.join(programs, name));
  }
  return programs;
}

/** A project of somebody else. */
class Consumer {
  /** @param {import('node:test').TestContext} context */
  constructor(context) {
    const folder = scratch(context);
    this.folder = path.join(folder, 'project');
    mkdirSync(this.folder);
    writeFileSync(path.join(this.folder, 'package.json'), '{"name":"project","private":true}');
    this.environment = {
      ...process.env,
      npm_config_cache: path.join(folder, 'cache'),
      // What asks all the same, in spite of --offline, asks nobody.
      npm_config_registry: 'http://127.0.0.1:9/',
      ...(process.platform === 'win32' ? {} : { PATH: fewPrograms(folder) }),
    };
  }

  /** Runs npm there, and returns what it printed. */
  npm(...values) {
    return execFileSync('npm', values, {
      cwd: this.folder,
      encoding: 'utf8',
      env: this.environment,
      shell: process.platform === 'win32',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
    });
  }

  /** Installs, and returns what npm printed; scripts run, and what they print is seen. */
  install(...tarballs) {
    const flags = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts=false', '--foreground-scripts'];
    return this.npm('install', ...flags, ...tarballs);
  }

  /** The path of something that was installed. */
  installed(...names) {
    return path.join(this.folder, 'node_modules', ...names);
  }

  /** Writes a file of the project, and returns its path. */
  write(name, text) {
    const file = path.join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** The manifest of a package that was installed. */
  manifest(name) {
    return JSON.parse(readFileSync(this.installed(name, 'package.json'), 'utf8'));
  }
}

module.exports = { Consumer, makePackages, packSource, scratch };
