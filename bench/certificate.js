'use strict';

// Keys and certificates of a run over TLS: made for it, in a folder that goes with the process.

const { generateKeyPairSync } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { certificate: sign } = require('../examples/support/certificate');

/**
 * @typedef {object} Files paths of PEM files
 * @property {string} key
 * @property {string} cert
 */

/** The kinds of keys, and how one is made. */
const KINDS = {
  ecdsa: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

/** @type {Map<string, Files>} by kind */
const made = new Map();

/**
 * A self-signed certificate for localhost; of a kind there is one in a run.
 *
 * @param {string} kind of the key: `ecdsa` (on P-256) or `rsa` (2,048 bits)
 * @returns {Files}
 */
function certificate(kind) {
  const known = made.get(kind);
  if (known) return known;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tidewire-bench-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const files = { key: path.join(folder, 'key.pem'), cert: path.join(folder, 'cert.pem') };
  const { privateKey } = KINDS[/** @type {keyof typeof KINDS} */ (kind)]();
  fs.writeFileSync(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  fs.writeFileSync(files.cert, sign({ key: privateKey, subject: 'localhost', names: ['localhost'] }));
  made.set(kind, files);
  return files;
}

module.exports = { KINDS: Object.keys(KINDS), certificate };
