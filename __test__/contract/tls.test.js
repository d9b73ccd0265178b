'use strict';

/** SSLApp, and what belongs to TLS: a test for each promise. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const tidewire = require('tidewire');
const { Authority, KINDS, filesOf, inForm, localhost } = require('../support/certificates');
const { connect } = require('../support/client');
const { Queue } = require('../support/queue');
const { BOUND } = require('../support/server');
const { CHOOSY, askTls, certified, connectTls, serveTls, trust } = require('../support/tls');

const { SSLApp } = tidewire;

/** Trusted whatever its name is. */
const anyName = { checkServerIdentity: () => undefined };

/** The common name of the certificate for a server name. */
async function nameFor(context, port, servername) {
  return (await certified(context, port, { servername })).name;
}

describe('SSLApp', () => {
  test('SSLApp(options), with or without new', () => {
    const { key, cert } = localhost();
    for (const make of [() => SSLApp({ key, cert }), () => new SSLApp({ key, cert })]) {
      const app = make();
      assert.ok(app instanceof SSLApp);
      assert.ok(Object.isExtensible(app));
    }
  });

  test('class names: uWS.SSLApp, uWS.SSLWebSocket', BOUND, async (context) => {
    const names = new Queue();
    const { app, url } = serveTls(context, {}, (app) => {
      app.ws('/*', { open: (ws) => names.push(ws.constructor.name) });
    });
    await connect(context, url, trust());
    assert.equal(await names.next(), 'uWS.SSLWebSocket');
    assert.deepEqual([app.constructor.name, SSLApp.name], ['uWS.SSLApp', 'uWS.SSLApp']);
  });

  test('https:// and wss:// on one port', BOUND, async (context) => {
    const { port, url } = serveTls(context);
    assert.equal((await askTls(port, '/')).text, 'over TLS');
    const client = await connect(context, url, trust());
    client.send('hello');
    assert.equal(await client.text(), 'hello');
  });

  test('a bad certificate or key throws App construction failed', (context) => {
    const { key, cert } = localhost();
    const other = localhost().authority.issue();
    const { file } = filesOf(context, { file: 'no PEM' });
    const cases = [
      {},
      { key, cert: 'x' },
      { key: 'x', cert },
      { key: other.key, cert },
      { key_file_name: file, cert },
      { key, cert_file_name: file },
      { key_file_name: `${file}-missing`, cert },
    ];
    for (const options of cases) assert.throws(() => SSLApp(options), { message: 'App construction failed' });
  });

  test('key_file_name, cert_file_name, passphrase', BOUND, async (context) => {
    const { key, cert } = localhost();
    const passphrase = '1234';
    const files = filesOf(context, {
      cert,
      key: inForm(key, 'pkcs8', { cipher: 'aes-256-cbc', passphrase }),
    });
    const { port } = serveTls(context, { key_file_name: files.key, cert_file_name: files.cert, passphrase });
    assert.equal((await askTls(port, '/')).text, 'over TLS');
  });

  test('ca_file_name, getX509Certificate', BOUND, async (context) => {
    const clients = new Authority('clients');
    const { ca } = filesOf(context, { ca: clients.ca });
    const { port } = serveTls(context, { ...localhost().own, ca_file_name: ca }, (app) => {
      app.get('/', (res) => res.end(res.getX509Certificate()));
    });
    const { key, cert } = clients.issue({ subject: 'Ann', names: [] });
    assert.equal((await askTls(port, '/', { key, cert })).text.trim(), cert.trim());
    assert.equal((await askTls(port, '/')).text, '');
    await assert.rejects(askTls(port, '/', new Authority('strangers').issue({ subject: 'Eve', names: [] })));
  });

  test('ssl_ciphers', CHOOSY, async (context) => {
    const { key, cert } = localhost();
    const { port } = serveTls(context, { key, cert, ssl_ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
    const asking = (ciphers) => connectTls(context, port, { ciphers, maxVersion: 'TLSv1.2' });
    assert.equal(
      (await asking('ECDHE-ECDSA-AES128-GCM-SHA256')).getCipher().name,
      'ECDHE-ECDSA-AES128-GCM-SHA256',
    );
    await assert.rejects(asking('ECDHE-ECDSA-AES256-GCM-SHA384'));
  });

  test('dh_params_file_name, ssl_prefer_low_memory_usage: accepted', BOUND, async (context) => {
    const { key, cert } = localhost();
    const warned = [];
    const note = (warning) => warned.push(warning.code);
    process.on('warning', note);
    context.after(() => process.off('warning', note));
    const options = { key, cert, dh_params_file_name: 'none.pem', ssl_prefer_low_memory_usage: true };
    const { port } = serveTls(context, options);
    assert.equal((await askTls(port, '/')).text, 'over TLS');
    assert.deepEqual(warned, ['TIDEWIRE_NO_EFFECT']);
  });

  test('more: key, cert, ca as PEM string or Buffer', BOUND, async (context) => {
    const { key, cert, ca } = localhost();
    const forms = [
      { key, cert, ca },
      { key: Buffer.from(key), cert: Buffer.from(cert), ca: Buffer.from(ca) },
    ];
    for (const form of forms) {
      const { port } = serveTls(context, form);
      assert.equal((await askTls(port, '/')).text, 'over TLS');
    }
  });

  test('RSA and ECDSA; PKCS#1, PKCS#8, SEC1', BOUND, async (context) => {
    for (const [kind, form] of [
      ['RSA', 'pkcs1'],
      ['RSA', 'pkcs8'],
      ['P-256', 'sec1'],
      ['P-256', 'pkcs8'],
    ]) {
      assert.ok(kind in KINDS);
      const { key, cert } = localhost().authority.issue({ kind });
      const { port } = serveTls(context, { key: inForm(key, form), cert });
      assert.equal((await askTls(port, '/')).text, 'over TLS', `${kind} ${form}`);
    }
  });
});

describe('server names', () => {
  const issued = (...names) => localhost().authority.issue({ names });

  test('addServerName(host, options), also *.host; it chains', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const result = app
      .addServerName('a.example', issued('a.example'))
      .addServerName('*.b.example', issued('*.b.example'));
    assert.equal(result, app);
    const names = ['a.example', 'x.b.example', 'b.example', 'c.example'];
    const expected = ['a.example', '*.b.example', 'localhost', 'localhost'];
    assert.deepEqual(await Promise.all(names.map((name) => nameFor(context, port, name))), expected);
  });

  test('removeServerName(host)', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    assert.equal(app.addServerName('a.example', issued('a.example')).removeServerName('a.example'), app);
    assert.equal(await nameFor(context, port, 'a.example'), 'localhost');
  });

  test('missingServerName(callback): synchronous, may add the name', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const asked = [];
    const result = app.missingServerName((hostname) => {
      asked.push(hostname);
      app.addServerName(hostname, issued(hostname));
    });
    assert.equal(result, app);
    assert.equal(await nameFor(context, port, 'a.example'), 'a.example');
    assert.equal(await nameFor(context, port, 'a.example'), 'a.example');
    assert.deepEqual(asked, ['a.example']);
  });

  test('domain(name): routes of a name; an unknown one means the default', BOUND, async (context) => {
    const { port } = serveTls(context, {}, (app) => {
      const result = app
        .addServerName('a.example', issued('a.example'))
        .domain('a.example')
        .get('/', (res) => res.end('a'))
        .domain('unknown.example')
        .get('/', (res) => res.end('default'));
      assert.equal(result, app);
    });
    const text = async (servername) => (await askTls(port, '/', { servername, ...anyName })).text;
    assert.deepEqual([await text('a.example'), await text('b.example')], ['a', 'default']);
  });

  test('more: certificates replaced while running', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const before = await connectTls(context, port);
    assert.equal(app.setCertificate(issued('renewed.example')), app);
    assert.equal(await nameFor(context, port, ''), 'renewed.example');
    assert.throws(() => app.setCertificate({ key: 'x', cert: 'x' }), { code: /^TIDEWIRE_TLS_/ });
    assert.equal(await nameFor(context, port, ''), 'renewed.example');
    assert.ok(!before.destroyed);
  });

  test('an App without TLS takes them all, to no effect', () => {
    const app = tidewire.App();
    const result = app
      .addServerName('a.example', {})
      .removeServerName('a.example')
      .missingServerName(() => {})
      .domain('a.example');
    assert.equal(result, app);
  });
});
