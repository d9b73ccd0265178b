'use strict';

/**
 * `npm run release` publishes the packages in `dist/`, which `npm run packages -- --all` made: those of the platforms
 * first, then tidewire, which asks for them. What is published already is left out, so a release that broke off can be
 * run again. Words behind `--` go to `npm publish`: `npm run release -- --dry-run`.
 *
 * Who publishes is known to the registry by the workflow that runs (trusted publishing), or by NPM_TOKEN. In a workflow
 * for a tag, the tag must be `v` and the version.
 */

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { packageOf, packaged } = require('../lib/platform');

const ROOT = path.join(__dirname, '..');
const DIST = path.join(ROOT, 'dist');

const { name, version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/**
 * @param {string[]} values
 * @param {NodeJS.ProcessEnv} [env]
 * @param {import('node:child_process').StdioOptions} [stdio]
 */
function npm(values, env = process.env, stdio = ['ignore', 'pipe', 'pipe']) {
  const shell = process.platform === 'win32';
  return spawnSync('npm', values, { cwd: ROOT, encoding: 'utf8', env, shell, stdio });
}

/** The environment in which npm may publish. A token is for the registry alone that npm uses. */
function authorized() {
  const { NPM_TOKEN, ...env } = process.env;
  if (NPM_TOKEN === undefined || NPM_TOKEN === '') return env;
  const registry = npm(['config', 'get', 'registry']).stdout.trim();
  return { ...env, [`npm_config_${registry.replace(/^https?:/, '')}:_authToken`]: NPM_TOKEN };
}

/**
 * Whether a package is published already. That it is another file than this one ends the release: the two sides of
 * the crossing have to be of one build.
 * @param {string} each
 * @param {string} tarball
 * @param {NodeJS.ProcessEnv} env
 */
function isPublished(each, tarball, env) {
  const { status, stdout, stderr } = npm(['view', `${each}@${version}`, 'dist.integrity', '--json'], env);
  if (status !== 0 && !`${stdout}${stderr}`.includes('E404')) fail(`npm view ${each} failed: ${stderr}`);
  // A package without this version is answered by nothing, one that is not there by E404.
  if (status !== 0 || stdout.trim() === '') return false;
  const digest = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (JSON.parse(stdout) === `sha512-${digest}`) return true;
  fail(
    `${each}@${version} is published, of another build than ${tarball}. Run the failed job of that release again, which has its packages, or give this one another version.`,
  );
}

/** @param {string[]} flags */
function release(flags) {
  const { GITHUB_REF_TYPE: type, GITHUB_REF_NAME: tag } = process.env;
  if (type === 'tag' && tag !== `v${version}`)
    fail(`The tag ${tag} is not v${version}, as package.json says.`);
  const names = [...packaged.map(packageOf), name];
  const tarballs = names.map((each) => path.join(DIST, `${each}-${version}.tgz`));
  const missing = tarballs.filter((file) => !existsSync(file));
  if (missing.length > 0) fail(`Not there: ${missing.join(', ')}. Make them: npm run packages -- --all`);

  const env = authorized();
  for (const [index, each] of names.entries()) {
    const tarball = tarballs[index] ?? '';
    if (isPublished(each, tarball, env)) {
      console.log(`${each}@${version} is published already`);
      continue;
    }
    // Whoever asks for no version gets no preview.
    const label = version.includes('-') ? 'next' : 'latest';
    const { status } = npm(['publish', tarball, '--tag', label, ...flags], env, 'inherit');
    if (status !== 0) fail(`npm publish ${each} failed; what it said is above.`);
  }
}

const flags = process.argv.slice(2);
if (flags[0] === '--refuse') {
  fail(
    'This folder is no package to publish: npm run packages -- --all makes them, and npm run release publishes them.',
  );
}
release(flags);
