'use strict';

/**
 * Why there is no native addon, and what to do about it: each has the code `TIDEWIRE_NO_BINARY`. The functions make
 * an error, `lib/binding.js` throws it.
 */

const { shown, withCode } = require('./errors');

/** How the addon is built, for those who have to. */
const BUILD = 'npm run build (needs Rust: https://rustup.rs)';

/**
 * A source checkout in which the addon was not built.
 * @param {string} platform 'linux-x64-gnu'
 * @param {string} file that is not there
 */
function notBuilt(platform, file) {
  const message = `The native addon of tidewire is not built for ${platform}: there is no ${file}. Build it: ${BUILD}`;
  return noBinary(message);
}

/**
 * A package that was made of the source, and not released: it brings the addon itself, if it was built.
 * @param {string} platform
 */
function notPacked(platform) {
  const message = [
    `tidewire was installed from its source without a native addon for ${platform}. Where cargo is (https://rustup.rs),`,
    'npm builds it while it installs, unless scripts are off: npm install --ignore-scripts=false.',
    'A release needs neither: npm install tidewire.',
  ].join(' ');
  return noBinary(message);
}

/**
 * A platform for which no package with an addon is made.
 * @param {string} platform
 * @param {string[]} packaged those for which one is
 */
function noPackage(platform, packaged) {
  const message = [
    `tidewire has no ready-made native addon for ${platform}, but for ${packaged.join(', ')}.`,
    `Build it on this machine, in a clone of its repository: npm install && ${BUILD};`,
    'then install the clone by its path: npm install PATH.',
  ].join(' ');
  return noBinary(message);
}

/**
 * A package with an addon that should be there, and was left out of the installation.
 * @param {string} platform
 * @param {string} name
 * @param {string | undefined} version
 * @param {string[]} others platforms whose packages are there
 * @param {unknown} cause
 */
function packageMissing(platform, name, version, others, cause) {
  const message = [
    `The native addon of tidewire for ${platform} is not installed: it is in the optional package`,
    `${name}${version === undefined ? '' : `@${version}`}, which is not there.`,
    ...(others.length > 0
      ? [`There is the one for ${others.join(', ')}: node_modules is of another platform.`]
      : []),
    'Install optional dependencies, on the platform where it will run: npm install --include=optional.',
    'If that brings none, the lock file was made without it: delete node_modules and package-lock.json first.',
    'A bundler has to leave tidewire out of its bundle (of esbuild: --external:tidewire).',
  ].join(' ');
  return noBinary(message, cause);
}

/**
 * A package with the addon of another version.
 * @param {string} name
 * @param {string | undefined} found
 * @param {string} wanted
 */
function packageOutdated(name, found, wanted) {
  const message = [
    `The native addon of tidewire ${wanted} must be of the same version: ${name} is ${found}.`,
    'Install both anew: delete node_modules and package-lock.json, then npm install.',
  ].join(' ');
  return noBinary(message);
}

/**
 * An addon that is there, and that the system does not load.
 * @param {string} platform
 * @param {string} specifier the file or package
 * @param {boolean} built whether it was built here, and did not come in a package
 * @param {unknown} cause
 */
function notLoaded(platform, specifier, built, cause) {
  // What Windows says ends with a full stop.
  const reason = cause instanceof Error ? cause.message.split(/\.?\r?\n|\.$/, 1)[0] : shown(cause);
  const advice = built
    ? `It was built on another system, or not to its end. Build it here: ${BUILD}`
    : 'The file is broken, or of another system: delete node_modules, then npm install where it will run';
  const floor = platform.endsWith('-gnu') && !built ? ' It needs glibc 2.17 or newer.' : '';
  const message = `The native addon of tidewire does not load on ${platform}: ${specifier}: ${reason}.${floor} ${advice}`;
  return noBinary(message, cause);
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 */
function noBinary(message, cause) {
  const options = cause === undefined ? {} : { cause };
  return withCode(new Error(message, options), 'TIDEWIRE_NO_BINARY');
}

module.exports = { notBuilt, notPacked, noPackage, packageMissing, packageOutdated, notLoaded };
