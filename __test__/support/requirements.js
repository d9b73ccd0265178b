'use strict';

/** What a scenario needs of the machine: each says why it has to be skipped, or false. */

const { spawnSync } = require('node:child_process');

const ON = {
  linux: () => process.platform !== 'linux' && 'it reads /proc: Linux only',
  root: () => process.getuid?.() !== 0 && 'it makes network namespaces: run it as root',
  ip: () => !runs('ip', '-V') && "there is no 'ip': install iproute2",
  prlimit: () => !runs('prlimit', '--version') && "there is no 'prlimit': install util-linux",
  cargo: () =>
    !runs('cargo', '--version') && 'it builds the load client: install Rust (https://rustup.rs, stable)',
  nginx: () => !runs('nginx', '-v') && "there is no 'nginx': install it",
  haproxy: () => !runs('haproxy', '-v') && "there is no 'haproxy': install it",
  caddy: () => !runs('caddy', 'version') && "there is no 'caddy': install it",
};

/** @param {string} program @param {string} flag */
function runs(program, flag) {
  return spawnSync(program, [flag], { stdio: 'ignore' }).status === 0;
}

/**
 * Why a test that needs all of these cannot run here, or false: its option `skip`.
 * @param {...keyof ON} names
 * @returns {string | false}
 */
function lacking(...names) {
  for (const name of names) {
    const reason = ON[name]();
    if (reason) return reason;
  }
  return false;
}

module.exports = { lacking };
