'use strict';

/** Keys and certificates for tests, in PEM, all of one authority that is made when it is needed. */

const { createPrivateKey, generateKeyPairSync } = require('node:crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { certificate } = require('../../examples/support/certificate');

const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1'];

/** What `generateKeyPairSync` is asked for, by kind of key. */
const KINDS = {
  'P-256': ['ec', { namedCurve: 'P-256' }],
  'P-384': ['ec', { namedCurve: 'P-384' }],
  RSA: ['rsa', { modulusLength: 2048 }],
  Ed25519: ['ed25519', {}],
};

/** A new private key. @param {keyof KINDS} [kind] */
function privateKey(kind = 'P-256') {
  return generateKeyPairSync(...KINDS[kind]).privateKey;
}

/** An authority: `ca` is its certificate. */
class Authority {
  #signer;

  /** @param {string} subject */
  constructor(subject) {
    const key = privateKey();
    this.#signer = { key, subject };
    this.ca = certificate({ key, subject, isAuthority: true });
  }

  /**
   * A key with its certificate, as `SSLApp()` takes them.
   * @param {{ names?: string[], subject?: string, kind?: keyof KINDS, days?: number, from?: number }} [options]
   */
  issue({ names = LOCAL_NAMES, subject = names[0], kind, days, from } = {}) {
    const key = privateKey(kind);
    return {
      key: pem(key),
      cert: certificate({
        key,
        subject,
        names,
        issuer: this.#signer,
        ...(days && { days }),
        ...(from && { from }),
      }),
    };
  }
}

/**
 * A key in PEM.
 * @param {import('node:crypto').KeyObject} key
 * @param {'pkcs8' | 'pkcs1' | 'sec1'} [type]
 * @param {object} [encryption]
 */
function pem(key, type = 'pkcs8', encryption = {}) {
  return key.export({ type, format: 'pem', ...encryption }).toString();
}

/** A key in PEM, as `createPrivateKey` reads it, in another form. @param {string} text */
function inForm(text, ...form) {
  return pem(createPrivateKey(text), ...form);
}

let shared;

/** The authority of most tests, and what it has issued for this machine. */
function localhost() {
  shared ??= new Authority('Tests of tidewire');
  shared.own ??= shared.issue();
  return { ...shared.own, ca: shared.ca, authority: shared };
}

/**
 * Files in a folder of their own, until the test ends; returns their paths by name.
 * @param {import('node:test').TestContext} context
 * @param {Record<string, string | Uint8Array>} contents
 */
function filesOf(context, contents) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const named = Object.entries(contents).map(([name, content]) => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return [name, file];
  });
  return Object.fromEntries(named);
}

module.exports = { Authority, KINDS, filesOf, inForm, localhost, pem, privateKey };
