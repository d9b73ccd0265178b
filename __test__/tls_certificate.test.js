'use strict';

/** setCertificate: a certificate that is renewed while the App runs. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { writeFileSync } = require('node:fs');
const { describe, test } = require('node:test');
const { Authority, filesOf, localhost } = require('./support/certificates');
const { connect } = require('./support/client');
const { BOUND } = require('./support/server');
const { CHOOSY, askTls, certified, connectTls, serveTls, trust } = require('./support/tls');

/** A key and a certificate for this machine, whose common name is a word. */
const named = (subject) => localhost().authority.issue({ subject });

const HANDSHAKES = 1_000;
const REPLACEMENTS = 100;
const AT_A_TIME = 20;

async function nameOf(context, port, options) {
  return (await certified(context, port, options)).name;
}

describe('setCertificate', () => {
  test('is for the handshakes that begin behind it', BOUND, async (context) => {
    const { app, port } = serveTls(context, named('old'));
    assert.equal(await nameOf(context, port), 'old');
    assert.equal(app.setCertificate(named('new')), app);
    assert.equal(await nameOf(context, port), 'new');
  });

  test('reads files anew', BOUND, async (context) => {
    const files = filesOf(context, { key: named('x').key, cert: '' });
    const renew = (subject) => {
      const { key, cert } = named(subject);
      writeFileSync(files.key, key);
      writeFileSync(files.cert, cert);
      return { key_file_name: files.key, cert_file_name: files.cert };
    };
    const { app, port } = serveTls(context, renew('first'));
    app.setCertificate(renew('second'));
    assert.equal(await nameOf(context, port), 'second');
  });

  test('leaves connections as they are', BOUND, async (context) => {
    const { app, port, url } = serveTls(context, named('old'));
    const client = await connect(context, url, trust());
    const socket = await connectTls(context, port);
    // In the middle of its handshake.
    const late = await connectTls(context, port, { maxVersion: 'TLSv1.2' });
    app.setCertificate(named('new'));
    client.send('still here');
    assert.equal(await client.text(), 'still here');
    for (const each of [socket, late]) {
      each.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      const [answer] = await once(each, 'data');
      assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
      assert.equal(each.getPeerCertificate().subject.CN, 'old');
    }
  });

  test('is for one name alone, if that is told', BOUND, async (context) => {
    const { app, port } = serveTls(context, named('default'));
    app.addServerName('a.example', named('old a')).addServerName('*.b.example', named('b'));
    assert.equal(app.setCertificate('A.example', named('new a')), app);
    const of = (servername) => nameOf(context, port, { servername });
    assert.deepEqual(
      [await of('a.example'), await of('x.b.example'), await of('')],
      ['new a', 'b', 'default'],
    );
    app.setCertificate(Buffer.from('*.b.example'), named('new b'));
    assert.equal(await of('x.b.example'), 'new b');
  });

  test('leaves the old one where it throws', BOUND, async (context) => {
    const { app, port } = serveTls(context, named('old'));
    app.addServerName('a.example', named('old a'));
    const { key } = named('x');
    const { cert } = named('y');
    const cases = [
      [[{ key, cert }], 'TIDEWIRE_TLS_MISMATCH'],
      [[{ cert }], 'TIDEWIRE_TLS_KEY'],
      [[{ key, cert: '' }], 'TIDEWIRE_TLS_CERTIFICATE'],
      [[{ ...named('z'), ca: 'x' }], 'TIDEWIRE_TLS_CA'],
      [[{ ...named('z'), ssl_ciphers: 'x' }], 'TIDEWIRE_TLS_CIPHERS'],
      [[{ key_file_name: '/none/at/all', cert }], 'ENOENT'],
      [[], 'TIDEWIRE_INVALID_TYPE'],
      [['a.example'], 'TIDEWIRE_INVALID_TYPE'],
      [['a.example', { key, cert }], 'TIDEWIRE_TLS_MISMATCH'],
      [['b.example', named('z')], 'TIDEWIRE_UNKNOWN_SERVER_NAME'],
      [['x.a.example', named('z')], 'TIDEWIRE_UNKNOWN_SERVER_NAME'],
      [['no host name', named('z')], 'TIDEWIRE_OUT_OF_RANGE'],
      [[5, named('z')], 'TIDEWIRE_INVALID_TYPE'],
    ];
    for (const [values, code] of cases) assert.throws(() => app.setCertificate(...values), { code });
    assert.equal(await nameOf(context, port), 'old');
    assert.equal(await nameOf(context, port, { servername: 'a.example' }), 'old a');
    app.removeServerName('a.example');
    assert.throws(() => app.setCertificate('a.example', named('z')), {
      code: 'TIDEWIRE_UNKNOWN_SERVER_NAME',
    });
  });

  test('keeps the authorities and the ciphers that it is not given', CHOOSY, async (context) => {
    const clients = new Authority('clients');
    const ssl_ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256';
    const { app, port } = serveTls(context, { ...named('old'), ca: clients.ca, ssl_ciphers }, (app) => {
      app.get('/', (res) => res.end(res.getX509Certificate() === '' ? 'nobody' : 'somebody'));
    });
    const { key, cert } = clients.issue({ subject: 'a client', names: [] });
    app.setCertificate(named('new'));
    assert.equal(await nameOf(context, port), 'new');
    const other = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' };
    await assert.rejects(nameOf(context, port, other));
    assert.equal(await nameOf(context, port, { ...other, ciphers: ssl_ciphers }), 'new');
    assert.equal((await askTls(port, '/', { key, cert })).text, 'somebody');
    // Of others now.
    app.setCertificate({ ...named('new'), ca: new Authority('others').ca });
    await assert.rejects(askTls(port, '/', { key, cert }));
  });
});

test(`${HANDSHAKES} handshakes during ${REPLACEMENTS} replacements: none fails`, {
  timeout: 120_000,
}, async (context) => {
  const subjects = ['one', 'two', 'three', 'four'];
  const certificates = subjects.map(named);
  const { app, port, url } = serveTls(context, certificates[0]);
  app.addServerName('a.example', certificates[0]);
  const witness = await connect(context, url, trust());

  const seen = new Map();
  let begun = 0;
  let replaced = 0;
  const shakeHands = async () => {
    while (begun < HANDSHAKES) {
      const turn = begun++;
      if (turn % (HANDSHAKES / REPLACEMENTS) === 0) {
        replaced++;
        const certificate = certificates[replaced % certificates.length];
        app.setCertificate(certificate).setCertificate('a.example', certificate);
      }
      const maxVersion = turn % 3 === 0 ? 'TLSv1.2' : 'TLSv1.3';
      const name = await nameOf(context, port, { servername: turn % 2 ? 'a.example' : '', maxVersion });
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, shakeHands));

  assert.equal(replaced, REPLACEMENTS);
  assert.deepEqual([...seen.keys()].sort(), [...subjects].sort());
  assert.equal(
    [...seen.values()].reduce((sum, count) => sum + count),
    HANDSHAKES,
  );
  assert.equal(app.stats().gate.tls.handshakes, HANDSHAKES + 1);
  assert.deepEqual(app.stats().gate.tls.failed, {});
  witness.send('still here');
  assert.equal(await witness.text(), 'still here');
});
