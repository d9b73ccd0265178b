'use strict';

/**
 * Keys and certificates as applications give them, for `SSLApp()`, `addServerName` and `setCertificate`: as
 * files, which are read here and at once, or as PEM. What is in them is for the engine to judge.
 *
 * No error repeats a value that may be a secret: neither a key nor a passphrase, nor what was given as the name
 * of a file and is none.
 */

const { readFileSync } = require('node:fs');
const { encoded, textGiven } = require('./data');
const errors = require('./errors');
const { Given } = require('./given');

/** The options of TLS, by their names in uWebSockets.js, and those that are tidewire's own. */
const TLS_OPTIONS = [
  'key_file_name',
  'cert_file_name',
  'ca_file_name',
  'passphrase',
  'ssl_ciphers',
  'dh_params_file_name',
  'ssl_prefer_low_memory_usage',
  'key',
  'cert',
  'ca',
];

/** What is in PEM of each kind, and the engine's code for what is none. */
const WANTED = {
  cert: {
    code: 'TIDEWIRE_TLS_CERTIFICATE',
    label: 'CERTIFICATE',
    pattern: /-----BEGIN (?:X509 )?CERTIFICATE-----/,
  },
  key: {
    code: 'TIDEWIRE_TLS_KEY',
    label: 'PRIVATE KEY',
    pattern: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/,
  },
  ca: {
    code: 'TIDEWIRE_TLS_CA',
    label: 'CERTIFICATE',
    pattern: /-----BEGIN (?:X509 )?CERTIFICATE-----/,
  },
};

/** A key without the lines around it, as it stands in a variable of the environment: no file is named so. */
const BASE64_DER = /^M[A-Za-z0-9+/]{60,}={0,2}$/;

/**
 * What the engine takes.
 * @typedef {object} Credentials
 * @property {Uint8Array} cert PEM: the certificate first, then those between it and its root
 * @property {Uint8Array} key PEM
 * @property {string | undefined} passphrase of the key
 * @property {Uint8Array | undefined} ca PEM: who may vouch for clients; undefined: clients are not asked
 * @property {string | undefined} ciphers undefined: all that are served
 */

/** What stays when a certificate is replaced and they are not given again. @typedef {Pick<Credentials, 'ca' | 'ciphers'>} Kept */

/**
 * Validates the options of TLS, and reads the files that they name.
 * @param {string} owner whose options they are, for the sentences
 * @param {unknown} options
 * @param {Partial<Kept>} [kept] what holds where nothing is given
 * @returns {Credentials}
 */
function credentialsOf(owner, options, kept = {}) {
  const given = new GivenTls(owner, options);
  given.checkIneffective();
  const passphrase = given.text('passphrase');
  const ciphers = given.text('ssl_ciphers') ?? kept.ciphers;
  const cert = given.pem('cert');
  const key = given.pem('key');
  const ca = given.pem('ca') ?? kept.ca;
  if (cert === undefined) throw errors.noCredential(owner, 'cert', WANTED.cert.code);
  if (key === undefined) throw errors.noCredential(owner, 'key', WANTED.key.code);
  return { cert, key, passphrase, ca, ciphers };
}

/** Options of TLS as the application gave them. What is empty is not given, as in uWebSockets.js. */
class GivenTls extends Given {
  /**
   * Text, which is never shown.
   * @param {string} name
   * @returns {string | undefined}
   */
  text(name) {
    const value = textGiven(this.options[name]);
    if (value === undefined || value === '') return undefined;
    if (typeof value !== 'string') throw errors.invalidSecret(this.subject(name), 'a string', value);
    return value;
  }

  /**
   * PEM that was given as it is, or as the name of a file.
   * @param {'cert' | 'key' | 'ca'} name
   * @returns {Uint8Array | undefined}
   */
  pem(name) {
    const fileOption = `${name}_file_name`;
    const file = this.text(fileOption);
    const value = this.options[name];
    const isGiven = value !== undefined && value !== '';
    if (file === undefined) return isGiven ? this.#bytes(name, value) : undefined;
    if (isGiven) throw errors.givenTwice(this.owner, name, fileOption);
    // What was taken for the name of a file by mistake may be a key.
    if (file.includes('-----BEGIN') || /\p{Cc}/u.test(file) || BASE64_DER.test(file)) {
      throw errors.noFileName(this.subject(fileOption), name);
    }
    const content = readFileSync(file);
    this.#checkPem(name, fileOption, content);
    return content;
  }

  /** Looks at options that have no effect. */
  checkIneffective() {
    this.boolean('ssl_prefer_low_memory_usage', false);
    if (this.text('dh_params_file_name') === undefined) return;
    this.warnIneffective(['dh_params_file_name'], 'keys are agreed on by elliptic curves alone');
  }

  /**
   * @param {'cert' | 'key' | 'ca'} name
   * @param {unknown} value
   */
  #bytes(name, value) {
    if (typeof value !== 'string' && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
      throw errors.invalidSecret(this.subject(name), 'PEM as a string or a Buffer', value);
    }
    const content = encoded(value);
    this.#checkPem(name, name, content);
    return content;
  }

  /**
   * Looks whether there is a section of the right kind at all: the engine does not know which option it came by.
   * @param {'cert' | 'key' | 'ca'} name
   * @param {string} option that it was given by
   * @param {Uint8Array} content
   */
  #checkPem(name, option, content) {
    const { code, label, pattern } = WANTED[name];
    const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
    if (pattern.test(text)) return;
    throw errors.noPem(this.subject(option), label, text, option === name ? `${name}_file_name` : null, code);
  }
}

module.exports = { TLS_OPTIONS, credentialsOf };
