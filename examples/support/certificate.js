'use strict';

/**
 * Certificates without a certification authority (X.509, RFC 5280), for a server that is tried out: nobody trusts
 * them unless told to. What a server in the world needs comes from an authority such as Let's Encrypt.
 */

const { createPublicKey, generateKeyPairSync, randomBytes, sign } = require('node:crypto');
const { isIP } = require('node:net');

const DAY_MILLISECONDS = 24 * 60 * 60 * 1_000;

/**
 * One value of DER (X.690): its tag, its length, and what is in it.
 * @param {number} tag
 * @param {...Uint8Array} parts
 */
function der(tag, ...parts) {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...(length < 0x80 ? [length] : long)]), content]);
}

const sequence = (/** @type {Uint8Array[]} */ ...parts) => der(0x30, ...parts);
const integer = (/** @type {number[]} */ ...bytes) => der(0x02, Buffer.from(bytes));
const octets = (/** @type {Uint8Array} */ content) => der(0x04, content);
const text = (/** @type {string} */ value) => der(0x0c, Buffer.from(value));
const oid = (/** @type {string} */ hex) => der(0x06, Buffer.from(hex, 'hex'));
const bits = (/** @type {Uint8Array} */ content) => der(0x03, Buffer.from([0]), content);
const YES = der(0x01, Buffer.from([0xff]));
const NULL = der(0x05);

/** @type {Record<string, { algorithm: Buffer, hash: string | null }>} How a key of each kind signs. */
const SIGNATURES = {
  ec: { algorithm: sequence(oid('2a8648ce3d040302')), hash: 'sha256' },
  rsa: { algorithm: sequence(oid('2a864886f70d01010b'), NULL), hash: 'sha256' },
  ed25519: { algorithm: sequence(oid('2b6570')), hash: null },
};

/** A common name, the one part of it. @param {string} name */
const nameOf = (name) => sequence(der(0x31, sequence(oid('550403'), text(name))));

/** Until 2049. @param {number} time */
const utcTime = (time) =>
  der(
    0x17,
    Buffer.from(
      `${new Date(time)
        .toISOString()
        .replaceAll(/[-:T]|\.\d+/g, '')
        .slice(2)}`,
    ),
  );

/**
 * The bytes of an address: four, or sixteen where `::` stands for as many zeros as are missing.
 * @param {string} address
 */
function addressBytes(address) {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter(Boolean));
  const groups = [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** @param {string} name a host name or an address */
function alternativeName(name) {
  return isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name));
}

/**
 * @param {string} id
 * @param {Uint8Array} value
 */
const extension = (id, value) => sequence(oid(id), YES, octets(value));

/**
 * Makes a certificate in PEM.
 * @param {object} options
 * @param {import('node:crypto').KeyObject} options.key the private key of whom it is for
 * @param {string} options.subject
 * @param {string[]} [options.names] host names and addresses; none for an authority or a client
 * @param {{ key: import('node:crypto').KeyObject, subject: string }} [options.issuer] who signs it; by default itself
 * @param {boolean} [options.isAuthority] whether it may sign others
 * @param {number} [options.days] how long it is valid
 * @param {number} [options.from] since when: milliseconds since 1970
 */
function certificate({ key, subject, names = [], issuer, isAuthority = false, days = 30, from }) {
  const signer = issuer ?? { key, subject };
  const kind = signer.key.asymmetricKeyType ?? '';
  const { algorithm, hash } = SIGNATURES[kind] ?? unknownKind(kind);
  const start = from ?? Date.now() - DAY_MILLISECONDS;
  const extensions = [extension('551d13', isAuthority ? sequence(YES) : sequence())];
  if (names.length > 0) {
    const alternatives = names.map(alternativeName);
    extensions.push(sequence(oid('551d11'), octets(sequence(...alternatives))));
  }
  const statement = sequence(
    der(0xa0, integer(2)),
    // Positive, and never with a zero in front.
    integer(0x40, ...randomBytes(15)),
    algorithm,
    nameOf(signer.subject),
    sequence(utcTime(start), utcTime(start + days * DAY_MILLISECONDS)),
    nameOf(subject),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signed = sequence(statement, algorithm, bits(sign(hash, statement, signer.key)));
  const lines = signed.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** @param {string} kind @returns {never} */
function unknownKind(kind) {
  throw new TypeError(`Keys of the kind ${kind} sign no certificate here: take ec, rsa or ed25519`);
}

/**
 * A key and a certificate of its own for this machine, in PEM.
 * @param {string[]} [names]
 */
function selfSigned(names = ['localhost', '127.0.0.1', '::1']) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: certificate({ key: privateKey, subject: names[0] ?? '', names }),
  };
}

module.exports = { certificate, selfSigned };
