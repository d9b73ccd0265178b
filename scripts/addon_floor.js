'use strict';

/**
 * What an addon for Linux asks of the system that loads it: libraries, and versions of their symbols. Read by `readelf`
 * (GNU binutils), which knows the files of every processor.
 */

const { spawnSync } = require('node:child_process');

/** Libraries that every system of the kind has, by the names that addons know them by. */
const LIBRARIES = {
  gnu: /^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|libgcc_s\.so\.1|ld-linux-[\w-]+\.so\.[12])$/,
  // Its loader takes every name that begins so for the C library that is there.
  musl: /^(libc\.so|libc\.musl-\w+\.so\.1|libgcc_s\.so\.1)$/,
};

/**
 * What is wrong with an addon, in sentences; none if it loads on every system of its kind.
 * @param {string} file
 * @param {'gnu' | 'musl'} kind
 * @param {string} floor the oldest glibc
 * @returns {string[]}
 */
function faultsOf(file, kind, floor) {
  const { status, stdout, stderr, error } = spawnSync(
    'readelf',
    ['--dynamic', '--version-info', '--wide', file],
    {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  if (status !== 0) return [`readelf cannot read ${file}: ${error?.message ?? stderr}`];
  const faults = [];
  const libraries = [...stdout.matchAll(/\(NEEDED\)\s+Shared library: \[(.+?)\]/g)].map(
    ([, name = '']) => name,
  );
  if (libraries.length === 0) faults.push('it names no library: not even the C library');
  for (const name of libraries.filter((each) => !LIBRARIES[kind].test(each))) {
    faults.push(`it needs ${name}, which a system may not have`);
  }
  const needs = stdout.split(/^Version needs section/m)[1] ?? '';
  const versions = new Set(
    [...needs.matchAll(/Name: GLIBC_([\d.]+|\w+)/g)].map(([, version = '']) => version),
  );
  for (const version of versions) {
    if (kind === 'musl') faults.push(`it needs GLIBC_${version}, and is for musl`);
    else if (isNewer(version, floor)) faults.push(`it needs GLIBC_${version}, newer than ${floor}`);
  }
  if (kind === 'gnu' && versions.size === 0) faults.push('it needs no version of glibc: is it for glibc?');
  return faults;
}

/**
 * Whether a version is newer than another; a name such as PRIVATE is, too.
 * @param {string} version
 * @param {string} floor
 */
function isNewer(version, floor) {
  const [a, b] = [version, floor].map((text) => text.split('.').map(Number));
  for (let place = 0; place < Math.max(a?.length ?? 0, b?.length ?? 0); place++) {
    const difference = (a?.[place] ?? 0) - (b?.[place] ?? 0);
    if (difference !== 0) return !(difference < 0);
  }
  return false;
}

module.exports = { faultsOf };
