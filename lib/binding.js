'use strict';

/**
 * The native addon. It is looked for beside `package.json` first, where a source checkout builds it,
 * then in the optional package of this platform. Loading fails with `TIDEWIRE_NO_BINARY`.
 */

const { existsSync } = require('node:fs');
const path = require('node:path');
const errors = require('./addon_errors');
const { developmentBuild, packageOf, packaged, platform } = require('./platform');

const ROOT = path.join(__dirname, '..');

/** The file or package where the addon is. */
function place() {
  const own = ownManifest();
  const built = path.join(ROOT, developmentBuild);
  if (existsSync(built)) return built;
  if (own !== undefined && existsSync(path.join(ROOT, 'Cargo.toml'))) throw errors.notBuilt(platform, built);
  if (!packaged.includes(platform)) throw errors.noPackage(platform, packaged);

  const name = packageOf(platform);
  if (own !== undefined && own.optionalDependencies === undefined) throw errors.notPacked(platform);
  try {
    require.resolve(name);
  } catch (cause) {
    const others = packaged.filter((other) => manifestIn(packageOf(other)) !== undefined);
    throw errors.packageMissing(platform, name, own?.version, others, cause);
  }
  const found = manifestIn(name)?.version;
  // The two sides of the crossing have no meaning for each other across versions.
  if (own !== undefined && found !== own.version) throw errors.packageOutdated(name, found, own.version);
  return name;
}

/** tidewire's manifest. A bundle has none, but may stand in a project that has one for itself. */
function ownManifest() {
  const manifest = manifestIn(ROOT);
  return manifest?.name === 'tidewire' ? manifest : undefined;
}

/**
 * What a package says of itself, unless it is not there.
 * @param {string} folder or a package's name
 * @returns {{ name: string, version: string, optionalDependencies?: object } | undefined}
 */
function manifestIn(folder) {
  try {
    return require(`${folder}/package.json`);
  } catch {
    return undefined;
  }
}

function load() {
  const specifier = place();
  try {
    return require(specifier);
  } catch (cause) {
    throw errors.notLoaded(platform, specifier, path.isAbsolute(specifier), cause);
  }
}

module.exports = load();
