'use strict';

/** Keys and certificates as they are given to SSLApp, and what is said of those that are none. */

const assert = require('node:assert/strict');
const { X509Certificate, createPrivateKey, createPublicKey } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { describe, test } = require('node:test');
const { inspect } = require('node:util');
const { App, SSLApp } = require('tidewire');
const { Authority, KINDS, filesOf, inForm, localhost } = require('./support/certificates');
const { runScript } = require('./support/child');
const { BOUND } = require('./support/server');
const { CHOOSY, askTls, certified, serveTls } = require('./support/tls');

const PASSPHRASE = 'correct horse battery staple';
const ENCRYPTED = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE };

/** The error of a call that must fail. */
function thrownBy(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  assert.fail('nothing was thrown');
}

/** The cause of an SSLApp that must fail, which has the code of what is thrown. */
function causeOf(options) {
  const error = thrownBy(() => SSLApp(options));
  assert.equal(error.message, 'App construction failed');
  assert.equal(error.name, 'Error');
  assert.equal(error.code, error.cause.code);
  return error.cause;
}

/** The public half of a key, in PEM. */
const inPublic = (key) => createPublicKey(key).export({ type: 'spki', format: 'pem' });

/** Holds that an answer comes through TLS. */
async function assertServes(context, options) {
  const { port } = serveTls(context, options);
  assert.equal((await askTls(port, '/')).text, 'over TLS');
}

describe('a certificate and its key', () => {
  for (const kind of Object.keys(KINDS)) {
    test(`of ${kind}`, BOUND, (context) => assertServes(context, localhost().authority.issue({ kind })));
  }

  const forms = [
    ['RSA', 'PKCS#1', 'pkcs1', {}],
    ['P-256', 'SEC1', 'sec1', {}],
    ['P-384', 'SEC1', 'sec1', {}],
    ['RSA', 'encrypted PKCS#8', 'pkcs8', ENCRYPTED],
    ['P-256', 'encrypted PKCS#8', 'pkcs8', ENCRYPTED],
    ['P-256', 'PKCS#8 encrypted with AES-128', 'pkcs8', { ...ENCRYPTED, cipher: 'aes-128-cbc' }],
  ];
  for (const [kind, name, type, encryption] of forms) {
    test(`of ${kind} as ${name}`, BOUND, (context) => {
      const { key, cert } = localhost().authority.issue({ kind });
      const { passphrase } = encryption;
      return assertServes(context, { key: inForm(key, type, encryption), cert, passphrase });
    });
  }

  test('as Buffers, and as other bytes', BOUND, async (context) => {
    const { key, cert } = localhost();
    await assertServes(context, { key: Buffer.from(key), cert: new Uint8Array(Buffer.from(cert)) });
    await assertServes(context, { key: new Uint8Array(Buffer.from(key)).buffer, cert });
  });

  test('as files, which are read once, and a passphrase as bytes', BOUND, async (context) => {
    const { key, cert } = localhost();
    const files = filesOf(context, { key: inForm(key, 'pkcs8', ENCRYPTED), cert });
    const passphrase = Buffer.from(PASSPHRASE);
    await assertServes(context, {
      key_file_name: files.key,
      cert_file_name: Buffer.from(files.cert),
      passphrase,
    });
  });

  test('with CRLF, text around the PEM, and a chain', BOUND, (context) => {
    const { key, cert, ca } = localhost();
    const chain = `subject=localhost\n${cert}\nissuer\n${ca}`.replaceAll('\n', '\r\n');
    return assertServes(context, { key: `a comment\r\n${key.replaceAll('\n', '\r\n')}`, cert: chain });
  });

  test('with a byte order mark in front', BOUND, (context) => {
    const { key, cert, ca } = localhost();
    return assertServes(context, { key: `\ufeff${key}`, cert: `\ufeff${cert}${ca}` });
  });

  test('with every other option of uWebSockets.js', BOUND, (context) => {
    const { key, cert } = localhost();
    return assertServes(context, {
      key,
      cert,
      ca_file_name: '',
      passphrase: '',
      ssl_ciphers: undefined,
      dh_params_file_name: '',
      ssl_prefer_low_memory_usage: true,
    });
  });

  test('with the options of an App', BOUND, async (context) => {
    const { app } = serveTls(context, { threads: 2, binaryType: 'nodebuffer' });
    assert.equal(app.stats().reactors.length, 2);
    for (const threads of [0, '1']) {
      const of = { ...localhost(), authority: undefined, own: undefined, threads };
      assert.match(thrownBy(() => SSLApp(of)).message, /^`threads` of SSLApp\(\)/);
    }
    assert.equal(thrownBy(() => SSLApp(null)).code, 'TIDEWIRE_INVALID_TYPE');
  });
});

describe('ssl_ciphers', () => {
  const { key, cert } = localhost();

  test('leaves those that it names', CHOOSY, async (context) => {
    const ssl_ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305';
    const { port } = serveTls(context, { key, cert, ssl_ciphers });
    const of = (ciphers) => certified(context, port, { ciphers, maxVersion: 'TLSv1.2' });
    assert.equal((await of('ECDHE-ECDSA-CHACHA20-POLY1305')).name, 'localhost');
    await assert.rejects(of('ECDHE-ECDSA-AES128-GCM-SHA256'));
  });

  test('names an unknown one', () => {
    const { code, message } = causeOf({
      key,
      cert,
      ssl_ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:NO-SUCH-SUITE',
    });
    assert.equal(code, 'TIDEWIRE_TLS_CIPHERS');
    assert.match(message, /NO-SUCH-SUITE/);
  });
});

describe('App construction failed', () => {
  const { key, cert, ca } = localhost();
  const other = new Authority('somebody else').issue();
  const cases = [
    [
      'nothing at all',
      undefined,
      'TIDEWIRE_TLS_CERTIFICATE',
      /SSLApp\(\) needs a certificate.*`cert_file_name`.*`cert`/,
    ],
    ['no certificate', { key }, 'TIDEWIRE_TLS_CERTIFICATE', /needs a certificate/],
    ['no key', { cert }, 'TIDEWIRE_TLS_KEY', /needs .*key.*`key_file_name`/],
    ['a certificate that is none', { key, cert: 'x' }, 'TIDEWIRE_TLS_CERTIFICATE', /BEGIN CERTIFICATE/],
    ['a key that is none', { key: 'x', cert }, 'TIDEWIRE_TLS_KEY', /BEGIN PRIVATE KEY/],
    ['the key of another certificate', { key: other.key, cert }, 'TIDEWIRE_TLS_MISMATCH', /not that of/],
    [
      'a path in the place of PEM',
      { key, cert: 'fullchain.pem' },
      'TIDEWIRE_TLS_CERTIFICATE',
      /`cert` of SSLApp\(\).*a path is for `cert_file_name`/,
    ],
    [
      'a certificate in DER',
      { key, cert: new X509Certificate(cert).raw },
      'TIDEWIRE_TLS_CERTIFICATE',
      /`cert`.*DER.*openssl/,
    ],
    [
      'a key in DER',
      { key: createPrivateKey(key).export({ type: 'sec1', format: 'der' }), cert },
      'TIDEWIRE_TLS_KEY',
      /`key`.*DER.*openssl/,
    ],
    ['a certificate for a key', { key: cert, cert }, 'TIDEWIRE_TLS_KEY', /`key`.*a certificate.*swapped/],
    [
      'a public key for a key',
      { key: inPublic(key), cert },
      'TIDEWIRE_TLS_KEY',
      /`key`.*this is a PUBLIC KEY$/,
    ],
    ['no authority in text', { key, cert, ca: 'a\nb\n' }, 'TIDEWIRE_TLS_CA', /`ca` of.*there are none/],
    ['an authority that is none', { key, cert, ca: 'x' }, 'TIDEWIRE_TLS_CA', /`ca`.*BEGIN CERTIFICATE/],
    [
      'key and certificate mistaken for each other',
      { key: cert, cert: key },
      'TIDEWIRE_TLS_CERTIFICATE',
      /`cert`.*this is a private key.*swapped/,
    ],
    ['a key of the wrong type', { key: 5, cert }, 'TIDEWIRE_INVALID_TYPE', /`key` of SSLApp\(\).*number/],
    ['a certificate of the wrong type', { key, cert: {} }, 'TIDEWIRE_INVALID_TYPE', /`cert` of SSLApp\(\)/],
    ['null', { key: null, cert }, 'TIDEWIRE_INVALID_TYPE', /`key`.*null/],
    ['a file name of the wrong type', { key_file_name: 5, cert }, 'TIDEWIRE_INVALID_TYPE', /`key_file_name`/],
    [
      'ciphers of the wrong type',
      { key, cert, ssl_ciphers: ['x'] },
      'TIDEWIRE_INVALID_TYPE',
      /`ssl_ciphers`/,
    ],
    [
      'a flag of the wrong type',
      { key, cert, ssl_prefer_low_memory_usage: 1 },
      'TIDEWIRE_INVALID_TYPE',
      /`ssl_prefer_low_memory_usage`/,
    ],
    [
      'a key twice',
      { key, key_file_name: '/k', cert },
      'TIDEWIRE_TLS_GIVEN_TWICE',
      /`key` and `key_file_name`/,
    ],
    ['an authority twice', { key, cert, ca, ca_file_name: '/k' }, 'TIDEWIRE_TLS_GIVEN_TWICE', /`ca`/],
  ];
  for (const [name, options, code, sentence] of cases) {
    test(`for ${name}`, () => {
      const cause = causeOf(options);
      assert.equal(cause.code, code);
      assert.match(cause.message, sentence);
    });
  }

  test('for files that are not there, with the path', (context) => {
    const { folder } = { folder: filesOf(context, { key }).key };
    for (const [option, rest] of Object.entries({
      key_file_name: { cert },
      cert_file_name: { key },
      ca_file_name: { key, cert },
    })) {
      const file = `${folder}-missing.pem`;
      const cause = causeOf({ ...rest, [option]: file });
      assert.deepEqual([cause.code, cause.path], ['ENOENT', file]);
      assert.ok(cause.message.includes(file), cause.message);
    }
  });
});

describe('secrets', () => {
  const { key, cert } = localhost();
  const encrypted = inForm(key, 'pkcs8', ENCRYPTED);
  /** A line of a key that nobody may see. */
  const line = key.split('\n')[1];
  const wrong = { key: encrypted, cert, passphrase: 'hunter2' };

  const cases = [
    ['a wrong passphrase', wrong, 'TIDEWIRE_TLS_PASSPHRASE'],
    ['no passphrase', { key: encrypted, cert }, 'TIDEWIRE_TLS_PASSPHRASE'],
    ['a passphrase that is a number', { key: encrypted, cert, passphrase: 4711 }, 'TIDEWIRE_INVALID_TYPE'],
    ['a key in the place of its path', { key_file_name: key, cert }, 'TIDEWIRE_OUT_OF_RANGE'],
    ['the same as bytes', { key_file_name: Buffer.from(key), cert }, 'TIDEWIRE_OUT_OF_RANGE'],
    [
      'the same without its lines',
      { key_file_name: key.replace(/-----.*-----|\n/g, ''), cert },
      'TIDEWIRE_OUT_OF_RANGE',
    ],
    [
      'a line of a key in the place of its path',
      { key_file_name: `${line}\n`, cert },
      'TIDEWIRE_OUT_OF_RANGE',
    ],
    [
      'a key in Base64 in the place of its path',
      { key_file_name: key.split('\n').slice(1, -2).join(''), cert },
      'TIDEWIRE_OUT_OF_RANGE',
    ],
    ['a key in an array', { key: [key], cert }, 'TIDEWIRE_INVALID_TYPE'],
    ['a broken key', { key: key.replace(/.{10}\n/, '\n'), cert }, 'TIDEWIRE_TLS_KEY'],
    ['a key in the place of the certificate', { key, cert: key }, 'TIDEWIRE_TLS_CERTIFICATE'],
  ];
  for (const [name, options, code] of cases) {
    test(`are in no error: ${name}`, () => {
      const cause = causeOf(options);
      assert.equal(cause.code, code);
      const shown = inspect(
        thrownBy(() => SSLApp(options)),
        { depth: 9, showHidden: true },
      );
      for (const secret of [line, line.slice(5, 30), 'hunter2', '4711']) {
        assert.ok(!shown.includes(secret), shown);
      }
    });
  }

  test('are not in an App', (context) => {
    const { app } = serveTls(context, { key, cert });
    const shown = inspect(app, { depth: 9, showHidden: true });
    assert.ok(!shown.includes(line), shown);
  });
});

describe('what has no effect is told once', () => {
  /** The warnings of a process. */
  async function warningsOf(context, script, argument) {
    const child = runScript(context, script, argument);
    assert.equal((await child.exited).code, 0, child.errors);
    return child.errors.match(/TidewireWarning.*/g) ?? [];
  }

  test('dh_params_file_name', BOUND, async (context) => {
    const { key, cert } = localhost();
    const script = ({ key, cert }) => {
      const { SSLApp } = require('tidewire');
      for (let times = 0; times < 2; times++) SSLApp({ key, cert, dh_params_file_name: 'none.pem' });
    };
    const warnings = await warningsOf(context, script, { key, cert });
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0], /`dh_params_file_name` of SSLApp\(\) has no effect/);
  });

  test('options of TLS for an App without it', BOUND, async (context) => {
    const script = () => {
      const { App } = require('tidewire');
      for (let times = 0; times < 2; times++) App({ key_file_name: 'none.pem' });
    };
    const warnings = await warningsOf(context, script);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0], /`key_file_name` of App\(\) has no effect.*SSLApp/);
  });

  test('an option that nobody knows', BOUND, async (context) => {
    const { key, cert } = localhost();
    const script = ({ key, cert }) => {
      const { SSLApp } = require('tidewire');
      SSLApp({ key, cert, cert_filename: 'x' }).addServerName('a.example', { key, cert, keyfile: 'y' });
    };
    const warnings = await warningsOf(context, script, { key, cert });
    assert.deepEqual(
      warnings.map((warning) => /unknown option '(\w+)'/.exec(warning)?.[1]),
      ['cert_filename', 'keyfile'],
    );
  });
});

test('an App of either kind is made with and without new, and can be extended', () => {
  const { key, cert } = localhost();
  class Secure extends SSLApp {
    rooms = [];
  }
  for (const app of [SSLApp({ key, cert }), new SSLApp({ key, cert }), new Secure({ key, cert })]) {
    assert.ok(app instanceof SSLApp);
    assert.equal(app.get('/', null).close(), app);
  }
  assert.equal(SSLApp({ key, cert }).constructor, SSLApp);
  assert.equal(SSLApp.name, 'uWS.SSLApp');
  assert.ok(!(App() instanceof SSLApp));
  assert.deepEqual(new Secure({ key, cert }).rooms, []);
});

test('the files of a certificate are not held open', {
  ...BOUND,
  skip: process.platform !== 'linux',
}, (context) => {
  const { key, cert } = localhost();
  const files = filesOf(context, { key, cert });
  const { app } = serveTls(context, { key_file_name: files.key, cert_file_name: files.cert });
  assert.ok(readFileSync(files.key).length > 0);
  app.close();
});
