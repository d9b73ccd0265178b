'use strict';

/** Handshakes of TLS: versions, ALPN, resumption, client certificates, and how many there were. */

const assert = require('node:assert/strict');
const { X509Certificate } = require('node:crypto');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const tls = require('node:tls');
const { App } = require('tidewire');
const { Authority, localhost } = require('./support/certificates');
const { connect } = require('./support/client');
const { requestText } = require('./support/http');
const { accept } = require('./support/pair');
const { Queue } = require('./support/queue');
const { unfit } = require('./support/runtime');
const { BOUND } = require('./support/server');
const { CHOOSY, askTls, certified, connectTls, serveTls, statsWhen, trust } = require('./support/tls');

/** Deno's clients are of rustls, as our server is. */
const RESUMING = { ...BOUND, skip: unfit({ deno: "Deno's TLS client does not resume sessions" }) };
const OLD = { ...BOUND, skip: unfit({ deno: "Deno's TLS client has no TLS 1.0 and 1.1" }) };

/** What lets a client of OpenSSL have old versions; BoringSSL, which Bun has, knows no such word. */
const WEAK = process.versions.boringssl ? {} : { ciphers: 'DEFAULT@SECLEVEL=0' };

/** Connects with the session of an earlier connection. */
async function resumed(context, port, options = {}) {
  const first = await connectTls(context, port, options);
  // With TLS 1.3 the ticket comes behind the handshake.
  const session = first.getProtocol() === 'TLSv1.3' ? (await once(first, 'session'))[0] : first.getSession();
  first.destroy();
  const second = await connectTls(context, port, { ...options, session });
  second.write(requestText('GET', '/'));
  const [answer] = await once(second, 'data');
  assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
  return second.isSessionReused();
}

describe('versions', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version} is served, to https and wss`, BOUND, async (context) => {
      const { port, url } = serveTls(context);
      const only = { minVersion: version, maxVersion: version };
      assert.equal((await certified(context, port, only)).protocol, version);
      assert.equal((await askTls(port, '/', only)).text, 'over TLS');
      const client = await connect(context, url, { ...trust(), ...only });
      client.send('text', Buffer.from([1, 2, 3]));
      assert.deepEqual(await client.messages.take(2), [
        [Buffer.from('text'), false],
        [Buffer.from([1, 2, 3]), true],
      ]);
    });
  }

  test('1.3 is taken of both', BOUND, async (context) => {
    assert.equal((await certified(context, serveTls(context).port)).protocol, 'TLSv1.3');
  });

  test('several who have to begin anew with another key get through', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    // A key share of a group that is not served (RFC 8446 §4.1.4).
    const other = { minVersion: 'TLSv1.3', ecdhCurve: 'secp521r1:X25519' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => askTls(port, '/', other)));
    assert.ok(answers.every(({ text }) => text === 'over TLS'));
    assert.deepEqual(app.stats().gate.tls, { handshakes: 10, resumed: 0, failed: {} });
  });

  for (const version of ['TLSv1', 'TLSv1.1']) {
    test(`${version} is refused by an alert, and counted`, OLD, async (context) => {
      const { app, port } = serveTls(context);
      const old = { minVersion: version, maxVersion: version, ...WEAK };
      await assert.rejects(connectTls(context, port, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
      const { gate } = await statsWhen(app, ({ gate }) => gate.tls.failed.version === 1);
      assert.deepEqual(gate.tls, { handshakes: 0, resumed: 0, failed: { version: 1 } });
    });
  }

  test('suites that nobody has in common are refused by an alert', CHOOSY, async (context) => {
    const { app, port } = serveTls(context);
    // Of RSA, and the certificate is of ECDSA.
    const rsa = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' };
    await assert.rejects(connectTls(context, port, rsa), { code: /HANDSHAKE_FAILURE/ });
    await statsWhen(app, ({ gate }) => gate.tls.failed.incompatible === 1);
  });
});

describe('ALPN', () => {
  test('http/1.1 is chosen, also of several', BOUND, async (context) => {
    const { port } = serveTls(context);
    for (const ALPNProtocols of [['http/1.1'], ['h2', 'http/1.1']]) {
      assert.equal((await certified(context, port, { ALPNProtocols })).alpn, 'http/1.1');
    }
    assert.equal((await certified(context, port)).alpn, false);
  });

  test('h2 alone is refused by an alert', BOUND, async (context) => {
    const { port } = serveTls(context);
    const refused = { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' };
    await assert.rejects(connectTls(context, port, { ALPNProtocols: ['h2'] }), refused);
  });
});

describe('resumption', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    test(`by tickets of ${maxVersion}, and counted`, RESUMING, async (context) => {
      const { app, port } = serveTls(context);
      assert.equal(await resumed(context, port, { maxVersion }), true);
      const { handshakes, resumed: count } = app.stats().gate.tls;
      assert.deepEqual([handshakes, count], [2, 1]);
    });

    test(`goes on behind setCertificate with ${maxVersion}`, RESUMING, async (context) => {
      const { app, port } = serveTls(context);
      const first = await connectTls(context, port, { maxVersion });
      const session = maxVersion === 'TLSv1.3' ? (await once(first, 'session'))[0] : first.getSession();
      app.setCertificate(localhost().authority.issue());
      const second = await connectTls(context, port, { maxVersion, session });
      assert.equal(second.isSessionReused(), true);
    });
  }

  test('not with another App', BOUND, async (context) => {
    const [one, other] = [serveTls(context), serveTls(context)];
    const first = await connectTls(context, one.port);
    const [session] = await once(first, 'session');
    const second = await connectTls(context, other.port, { session });
    assert.equal(second.isSessionReused(), false);
  });

  test('a wss client resumes', RESUMING, async (context) => {
    const { url } = serveTls(context);
    const sockets = [];
    const client = (options) => {
      const createConnection = (given) => {
        // To Node 18, a path is that of a Unix socket.
        const socket = tls.connect({ ...given, path: undefined, ...options });
        sockets.push(socket);
        return socket;
      };
      return connect(context, url, { ...trust(), createConnection });
    };
    const ticket = new Queue();
    const first = client({});
    sockets[0].once('session', (session) => ticket.push(session));
    await first;
    const second = await client({ session: await ticket.next() });
    assert.equal(sockets[1].isSessionReused(), true);
    second.send('hello');
    assert.equal(await second.text(), 'hello');
  });
});

describe('client certificates', () => {
  const clients = new Authority('clients');
  const ann = clients.issue({ subject: 'Ann', names: [] });
  const versions = ['TLSv1.2', 'TLSv1.3'];

  /** An App that asks for certificates, and tells whose it got. */
  function serveKnown(context, options = { ca: clients.ca }) {
    return serveTls(context, { ...localhost().own, ...options }, (app) => {
      const subject = (res) => {
        const pem = res.getX509Certificate();
        return pem === '' ? 'nobody' : new X509Certificate(pem).subject;
      };
      app.get('/', (res) => res.end(subject(res)));
      app.ws('/', {
        upgrade: (res, req, token) => accept(res, req, token, { subject: subject(res) }),
        open: (ws) => ws.send(ws.subject),
      });
    });
  }

  for (const maxVersion of versions) {
    test(`are told to handlers of requests and upgrades, with ${maxVersion}`, BOUND, async (context) => {
      const { port, url } = serveKnown(context);
      assert.equal((await askTls(port, '/', { ...ann, maxVersion })).text, 'CN=Ann');
      const client = await connect(context, url, { ...trust(), ...ann, maxVersion });
      assert.equal(await client.text(), 'CN=Ann');
      // Nobody must have one.
      assert.equal((await askTls(port, '/', { maxVersion })).text, 'nobody');
    });

    test(`of somebody else, or of another time, are refused with ${maxVersion}`, BOUND, async (context) => {
      const { app, port } = serveKnown(context);
      const strangers = [
        new Authority('strangers').issue({ subject: 'Eve', names: [] }),
        clients.issue({ subject: 'Old', names: [], from: Date.parse('2020-01-01'), days: 30 }),
        clients.issue({ subject: 'Young', names: [], from: Date.now() + 1e9, days: 30 }),
      ];
      for (const stranger of strangers) await assert.rejects(askTls(port, '/', { ...stranger, maxVersion }));
      const { gate } = await statsWhen(app, ({ gate }) => gate.tls.failed.clientCertificate === 3);
      assert.deepEqual(gate.tls, { handshakes: 0, resumed: 0, failed: { clientCertificate: 3 } });
      assert.equal((await askTls(port, '/', { ...ann, maxVersion })).text, 'CN=Ann');
    });

    test(`are told of resumed sessions, too, with ${maxVersion}`, RESUMING, async (context) => {
      const { app, port } = serveKnown(context);
      assert.equal(await resumed(context, port, { ...ann, maxVersion }), true);
      const first = await connectTls(context, port, { ...ann, maxVersion });
      const session = maxVersion === 'TLSv1.3' ? (await once(first, 'session'))[0] : first.getSession();
      const second = await connectTls(context, port, { maxVersion, session });
      second.write(requestText('GET', '/', ['Connection: close']));
      let answer = '';
      for await (const piece of second) answer += piece;
      assert.match(answer, /CN=Ann$/);
      assert.ok(app.stats().gate.tls.resumed >= 1);
    });
  }

  test('are not asked for without authorities', BOUND, async (context) => {
    const { port } = serveKnown(context, {});
    assert.equal((await askTls(port, '/', ann)).text, 'nobody');
  });

  test('stay as text, and are the same for each request of a connection', BOUND, async (context) => {
    const { port } = serveKnown(context);
    const socket = await connectTls(context, port, ann);
    for (let times = 0; times < 3; times++) {
      socket.write(requestText('GET', '/'));
      const [answer] = await once(socket, 'data');
      assert.match(answer.toString(), /CN=Ann$/);
    }
  });
});

describe('stats', () => {
  test('count handshakes, and have nothing of TLS without it', BOUND, async (context) => {
    const none = { handshakes: 0, resumed: 0, failed: {} };
    const { app, port } = serveTls(context);
    assert.deepEqual(app.stats().gate.tls, none);
    for (let times = 0; times < 3; times++) await certified(context, port);
    assert.deepEqual(app.stats().gate.tls, { ...none, handshakes: 3 });
    const plain = App();
    context.after(() => plain.close());
    await plain.listen('127.0.0.1', 0);
    assert.ok(!('tls' in plain.stats().gate));
  });

  test('count a client that does not trust the server', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    await assert.rejects(connectTls(context, port, { ca: new Authority('others').ca }));
    // It says so by an alert, or is gone: that is the client's to choose.
    await statsWhen(app, ({ gate }) => {
      const { alert = 0, closed = 0 } = gate.tls.failed;
      return alert + closed === 1 || gate.tls.handshakes === 1;
    });
  });
});
