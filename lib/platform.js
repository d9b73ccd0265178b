'use strict';

/**
 * What this platform's native addon is called. Used by `lib/binding.js`, which loads it, and by
 * `scripts/build.js` and `scripts/packages.js`, which put it there.
 */

const { platform, arch } = process;

/** Whether this Node was built for musl, as on Alpine Linux; the names of glibc and musl builds differ. */
function isMusl() {
  const { report } = process;
  if (platform !== 'linux' || !report) return false;
  // A report looks up the names of the peers of open sockets unless it is told not to.
  const { excludeNetwork } = /** @type {any} */ (report);
  Object.assign(report, { excludeNetwork: true });
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (report.getReport());
  Object.assign(report, { excludeNetwork });
  return header.glibcVersionRuntime === undefined;
}

const musl = isMusl();

/** The convention of napi-rs: the C library or compiler, where a platform has more than one. */
const abi = platform === 'linux' ? (musl ? '-musl' : '-gnu') : platform === 'win32' ? '-msvc' : '';

/** This platform, as packages and releases name it. */
const name = `${platform}-${arch}${abi}`;

module.exports = {
  platform: name,

  /** The file beside `package.json` that `npm run build` writes. */
  developmentBuild: `tidewire.${platform}-${arch}${musl ? '-musl' : ''}.node`,

  /** The platforms for which there is a package: those of `napi.targets` in package.json. */
  packaged: [
    'darwin-arm64',
    'darwin-x64',
    'linux-arm64-gnu',
    'linux-arm64-musl',
    'linux-x64-gnu',
    'linux-x64-musl',
    'win32-arm64-msvc',
    'win32-x64-msvc',
  ],

  /**
   * The optional package that brings the addon ready-made.
   * @param {string} platform
   */
  packageOf: (platform) => `tidewire-${platform}`,
};
