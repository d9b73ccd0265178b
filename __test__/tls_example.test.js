'use strict';

/** examples/TLS.js in a browser, and with files; and the certificates that it makes for itself. */

const assert = require('node:assert/strict');
const { X509Certificate, createHash, createPrivateKey } = require('node:crypto');
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { certificate, selfSigned } = require('../examples/support/certificate');
const { KINDS, filesOf, localhost, privateKey } = require('./support/certificates');
const { noBrowser, openBrowser } = require('./support/browser');
const { runFile } = require('./support/child');
const { BOUND } = require('./support/server');
const { certified, connectTls } = require('./support/tls');

/** The first start of a browser on a busy machine takes its time. */
const LONG = { timeout: 120_000 };

/** Starts the example, and says where its page is. */
async function start(context, env = {}) {
  const child = runFile(context, path.join('examples', 'TLS.js'), { PORT: '0', ...env });
  const [, port] = (await child.line()).match(/^Listening on port (\d+)$/);
  const [, page] = (await child.line()).match(/^Open (https:\S+)$/);
  return { child, port: Number(port), page };
}

test('a browser opens its page, which talks over wss', { ...LONG, skip: noBrowser }, async (context) => {
  const { child, port, page: url } = await start(context);
  const socket = await connectTls(context, port, { rejectUnauthorized: false });
  const { publicKey } = new X509Certificate(socket.getPeerCertificate().raw);
  const spki = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
  const browser = await openBrowser(context, [`--ignore-certificate-errors-spki-list=${spki}`]);
  const page = await browser.newPage();
  const response = await page.goto(url);
  assert.equal(response?.status(), 200);
  assert.match((await response?.securityDetails())?.protocol ?? '', /^TLS 1\.3$/);
  await page.getByText('hello over TLS').waitFor();
  child.signal('SIGINT');
  await page.getByText('(the connection ended)').waitFor();
  assert.deepEqual(await child.ended(), { code: 0, signal: null });
});

test('a browser that was told nothing refuses its certificate', {
  ...LONG,
  skip: noBrowser,
}, async (context) => {
  const { page: url } = await start(context);
  const page = await (await openBrowser(context)).newPage();
  await assert.rejects(page.goto(url), /ERR_CERT_AUTHORITY_INVALID/);
});

test('files are taken, and read anew at SIGHUP', {
  ...BOUND,
  skip: process.platform === 'win32',
}, async (context) => {
  const { authority } = localhost();
  const [first, second] = ['first', 'second'].map((subject) => authority.issue({ subject }));
  const files = filesOf(context, first);
  const { child, port } = await start(context, { KEY_FILE: files.key, CERT_FILE: files.cert });
  assert.equal((await certified(context, port)).name, 'first');
  writeFileSync(files.key, second.key);
  child.signal('SIGHUP');
  for (let waits = 0; waits < 1_000 && child.errors === ''; waits++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.match(child.errors, /^The old certificate stays: .*not that of the certificate/);
  assert.equal((await certified(context, port)).name, 'first');
  writeFileSync(files.cert, second.cert);
  child.signal('SIGHUP');
  assert.equal(await child.line(), 'The certificate was renewed');
  assert.equal((await certified(context, port)).name, 'second');
});

test('its certificate is of its key, for this machine, and not of an authority', () => {
  const { key, cert } = selfSigned();
  const x509 = new X509Certificate(cert);
  assert.ok(x509.checkPrivateKey(createPrivateKey(key)));
  assert.ok(x509.verify(x509.publicKey));
  // Deno writes the last one in its short form.
  const names = x509.subjectAltName.replace(/:::1$/, ':0:0:0:0:0:0:0:1');
  assert.equal(names, 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
  assert.deepEqual([x509.checkHost('localhost'), x509.checkIP('::1'), x509.ca], ['localhost', '::1', false]);
  assert.ok(Date.parse(x509.validFrom) < Date.now() && Date.parse(x509.validTo) > Date.now());
});

for (const kind of Object.keys(KINDS)) {
  test(`a certificate of ${kind} is signed by it, and says what it was told`, () => {
    const key = privateKey(kind);
    const names = ['example.org', 'x'.repeat(200), '10.1.2.3', 'fe80::1:2', '::', '1:2:3:4:5:6:7:8', 'ff::'];
    const x509 = new X509Certificate(
      certificate({ key, subject: 'Grüße', names, isAuthority: true, days: 10 }),
    );
    assert.ok(x509.verify(x509.publicKey));
    assert.deepEqual([x509.subject, x509.issuer, x509.ca], ['CN=Grüße', 'CN=Grüße', true]);
    for (const name of names) {
      assert.ok(
        x509.checkHost(name) === name || x509.checkIP(name) === name || name === 'x'.repeat(200),
        name,
      );
    }
    assert.equal(Date.parse(x509.validTo) - Date.parse(x509.validFrom), 10 * 24 * 60 * 60 * 1_000);
  });
}
