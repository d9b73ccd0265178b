'use strict';

/**
 * What this platform's native addon is called. Used by `lib/binding.js`, which loads it, and by
 * `scripts/build.js`, which puts it there.
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

module.exports = {
  /** The file beside `package.json` that `npm run build` writes. */
  developmentBuild: `tidewire.${platform}-${arch}${musl ? '-musl' : ''}.node`,

  /** The optional package that brings the addon ready-made. */
  platformPackage: `tidewire-${platform}-${arch}${abi}`,
};
