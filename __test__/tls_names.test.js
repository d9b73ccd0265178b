'use strict';

/** Several certificates for one App: addServerName, removeServerName, missingServerName, domain. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { App } = require('tidewire');
const { localhost } = require('./support/certificates');
const { runScript } = require('./support/child');
const { connect } = require('./support/client');
const { BOUND } = require('./support/server');
const { askTls, certified, serveTls, trust } = require('./support/tls');

/** A key and a certificate for a name. */
const issued = (...names) => localhost().authority.issue({ names });

/** The common name of the certificate that a client gets who asks for a name. */
async function nameFor(context, port, servername) {
  return (await certified(context, port, { servername })).name;
}

describe('addServerName', () => {
  test('serves each name its certificate, and others the default', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    assert.equal(app.addServerName('a.example', issued('a.example')), app);
    app.addServerName(Buffer.from('B.Example'), issued('b.example'));
    const expected = {
      'a.example': 'a.example',
      'A.EXAMPLE': 'a.example',
      'b.example': 'b.example',
      'c.example': 'localhost',
      'x.a.example': 'localhost',
      '': 'localhost',
    };
    for (const [asked, name] of Object.entries(expected)) {
      assert.equal(await nameFor(context, port, asked), name, asked);
    }
  });

  test('takes wildcards for one label, behind the name itself', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app
      .addServerName('*.example.org', issued('*.example.org'))
      .addServerName('www.example.org', issued('www.example.org'));
    const expected = {
      'a.example.org': '*.example.org',
      'www.example.org': 'www.example.org',
      'a.b.example.org': 'localhost',
      'example.org': 'localhost',
    };
    for (const [asked, name] of Object.entries(expected)) {
      assert.equal(await nameFor(context, port, asked), name, asked);
    }
  });

  test('takes names in Unicode, which clients send in ASCII', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app.addServerName('*.Bücher.example', issued('*.xn--bcher-kva.example'));
    assert.equal(await nameFor(context, port, 'a.xn--bcher-kva.example'), '*.xn--bcher-kva.example');
    app.removeServerName('*.bücher.example');
    assert.equal(await nameFor(context, port, 'a.xn--bcher-kva.example'), 'localhost');
  });

  test('replaces the certificate that a name has', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app.addServerName('a.example', issued('a.example')).addServerName('a.example', issued('again.example'));
    assert.equal(await nameFor(context, port, 'a.example'), 'again.example');
  });

  test('changes nothing when it throws', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app.addServerName('a.example', issued('a.example'));
    const { key } = issued('a.example');
    const { cert } = issued('a.example');
    const cases = [
      [{ key, cert }, 'TIDEWIRE_TLS_MISMATCH'],
      [{ key, cert: 'x' }, 'TIDEWIRE_TLS_CERTIFICATE'],
      [{ key }, 'TIDEWIRE_TLS_CERTIFICATE'],
      [{}, 'TIDEWIRE_TLS_CERTIFICATE'],
      [undefined, 'TIDEWIRE_INVALID_TYPE'],
      [{ key, cert_file_name: '/none/at/all.pem' }, 'ENOENT'],
    ];
    for (const [options, code] of cases)
      assert.throws(() => app.addServerName('a.example', options), { code });
    assert.equal(await nameFor(context, port, 'a.example'), 'a.example');
  });

  test('refuses what is no host name', (context) => {
    const { app } = serveTls(context);
    const range = { name: 'RangeError', code: 'TIDEWIRE_OUT_OF_RANGE', message: /'\*\.example\.org'/ };
    const wrong = [
      '',
      '*',
      '*.',
      'a*.example',
      '*.*.example',
      'https://a.example',
      'a.example/path',
      'user@a.example',
      'a.example:443',
      'a b',
      'a|b',
      '*a.example',
    ];
    for (const hostname of wrong) {
      assert.throws(() => app.addServerName(hostname, issued('a.example')), range, hostname);
    }
    for (const method of ['addServerName', 'removeServerName', 'domain', 'missingServerName']) {
      assert.throws(() => app[method](5), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
    }
  });
});

test('removeServerName takes a name away; one that is not there is no error', BOUND, async (context) => {
  const { app, port } = serveTls(context);
  app.addServerName('a.example', issued('a.example'));
  assert.equal(app.removeServerName('b.example').removeServerName('A.example.'), app);
  assert.equal(await nameFor(context, port, 'a.example'), 'localhost');
});

describe('missingServerName', () => {
  test('is asked for names that were not added, and what it adds counts at once', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const asked = [];
    const result = app.missingServerName((hostname) => {
      asked.push(hostname);
      if (hostname !== 'unknown.example') app.addServerName(hostname, issued(hostname));
    });
    assert.equal(result, app);
    app.addServerName('*.there.example', issued('*.there.example'));
    assert.equal(await nameFor(context, port, 'New.example'), 'new.example');
    assert.equal(await nameFor(context, port, 'new.example'), 'new.example');
    assert.equal(await nameFor(context, port, 'unknown.example'), 'localhost');
    assert.equal(await nameFor(context, port, 'a.there.example'), '*.there.example');
    assert.equal(await nameFor(context, port, ''), 'localhost');
    assert.deepEqual(asked, ['new.example', 'unknown.example']);
  });

  test('may add whatever name a client asks for', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    // No name of a URL, all of them: what a stranger asks for must not make `addServerName` throw.
    const names = ['xn--a', 'xn--a.example', 'a_b.example', 'a.xn--', '0x7f.0x1', 'ab--c.example'];
    app.missingServerName((hostname) => app.addServerName(hostname, issued('added.example')));
    for (const servername of names) {
      const name = await nameFor(context, port, servername).catch((error) => error.code);
      // Deno does not send what is no name: the default answers then.
      assert.match(name, /^added\.example$|^localhost$|_ALERT_ILLEGAL_PARAMETER$/, servername);
    }
    assert.equal(await nameFor(context, port, 'xn--a'), 'added.example');
  });

  test('the last callback counts, also one that comes while it listens', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app.missingServerName(() => assert.fail('replaced'));
    app.missingServerName((hostname) => app.addServerName(hostname, issued('second.example')));
    assert.equal(await nameFor(context, port, 'a.example'), 'second.example');
  });

  test('many clients at once', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    const certificates = new Map();
    app.missingServerName((hostname) => {
      certificates.set(hostname, (certificates.get(hostname) ?? 0) + 1);
      app.addServerName(hostname, issued(hostname));
    });
    const names = Array.from({ length: 20 }, (_, at) => `n${at % 5}.example`);
    assert.deepEqual(await Promise.all(names.map((name) => nameFor(context, port, name))), names);
    assert.deepEqual([...certificates.keys()].sort(), [...new Set(names)].sort());
  });

  test('what it throws goes to uncaughtException, and the default is taken', BOUND, async (context) => {
    const { key, cert, ca } = localhost();
    const child = runScript(context, missing, { key, cert });
    const port = await child.value();
    const answer = await askTls(port, '/', {
      ca,
      servername: 'throws.example',
      checkServerIdentity: () => undefined,
    });
    assert.equal(answer.text, 'throws.example? thrown');
    assert.deepEqual(await child.value(), ['uncaughtException', 'I will not']);
    await askTls(port, '/', { ca, servername: 'rejects.example', checkServerIdentity: () => undefined });
    assert.deepEqual(await child.value(), ['unhandledRejection', 'nor later']);
  });

  /** A server whose callback fails. */
  function missing({ key, cert }) {
    const { SSLApp, us_socket_local_port } = require('tidewire');
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.on(event, ({ message }) => console.log(JSON.stringify([event, message])));
    }
    const seen = [];
    SSLApp({ key, cert })
      .missingServerName((hostname) => {
        seen.push(`${hostname}?`);
        if (hostname === 'rejects.example') return Promise.reject(new Error('nor later'));
        seen.push('thrown');
        throw new Error('I will not');
      })
      .get('/', (res) => res.end(seen.join(' ')))
      .listen('127.0.0.1', 0, (token) => console.log(us_socket_local_port(token)));
  }

  test('an App that closes meanwhile answers nobody', BOUND, async (context) => {
    const { app, port } = serveTls(context);
    app.missingServerName(() => app.close());
    await assert.rejects(nameFor(context, port, 'a.example'));
    // Nothing is left that would call it again.
    await pause(0);
  });
});

describe('domain', () => {
  /** What is answered for a name, as text or as the status. */
  async function answerFor(port, servername, path = '/') {
    const { status, text } = await askTls(port, path, { servername, checkServerIdentity: () => undefined });
    return status === 200 ? text : status;
  }

  test('has routes of its own for a name, until it is called again', BOUND, async (context) => {
    const { app, port } = serveTls(context, {}, (app) => {
      app.addServerName('a.example', issued('a.example')).addServerName('*.b.example', issued('*.b.example'));
      app.addServerName('c.example', issued('c.example'));
      assert.equal(app.domain('A.example'), app);
      app.get('/', (res) => res.end('of a'));
      app.domain('*.b.example').get('/', (res) => res.end('of b'));
      app.domain('').get('/', (res) => res.end('of all'));
    });
    assert.equal(await answerFor(port, 'a.example'), 'of a');
    assert.equal(await answerFor(port, 'x.b.example'), 'of b');
    assert.equal(await answerFor(port, 'c.example'), 'of all', 'a name without routes has the default ones');
    assert.equal(await answerFor(port, 'd.example'), 'of all');
    app.get('/more', (res) => res.end('more of all'));
    assert.equal(await answerFor(port, 'd.example', '/more'), 'more of all');
    assert.equal(await answerFor(port, 'a.example', '/more'), 404, 'a name with routes has these alone');
    app.domain('a.example').get('/', null);
    assert.notEqual(await answerFor(port, 'a.example'), 'of a');
  });

  test('WebSockets, and declared responses', BOUND, async (context) => {
    const { DeclarativeResponse } = require('tidewire');
    const { url, port } = serveTls(context, {}, (app) => {
      app.ws('/', { open: (ws) => ws.send('default') });
      app.addServerName('a.example', issued('a.example')).domain('a.example');
      app.ws('/', { open: (ws) => ws.send('of a') });
      app.get('/declared', new DeclarativeResponse().end('declared of a'));
    });
    const said = async (servername) => {
      const client = await connect(context, url, {
        ...trust(),
        servername,
        checkServerIdentity: () => undefined,
      });
      return client.text();
    };
    assert.equal(await said('a.example'), 'of a');
    assert.equal(await said('b.example'), 'default');
    assert.equal(await answerFor(port, 'a.example', '/declared'), 'declared of a');
    assert.equal(await answerFor(port, 'b.example', '/declared'), 404);
  });

  test('a name that was not added, or is no more, means the default routes', BOUND, async (context) => {
    const { app, port } = serveTls(context, {}, (app) => {
      app.domain('a.example').get('/', (res) => res.end('first'));
      app.addServerName('a.example', issued('a.example')).domain('a.example');
      app.removeServerName('a.example').get('/second', (res) => res.end('second'));
    });
    assert.equal(await answerFor(port, 'a.example'), 'first');
    assert.equal(await answerFor(port, '', '/second'), 'second');
    assert.equal(app.domain(''), app);
  });

  test('routes go with their name', BOUND, async (context) => {
    const { app, port } = serveTls(context, {}, (app) => {
      app.get('/', (res) => res.end('default'));
      app.addServerName('a.example', issued('a.example')).domain('a.example');
      app.get('/', (res) => res.end('of a')).domain('');
    });
    assert.equal(await answerFor(port, 'a.example'), 'of a');
    app.removeServerName('a.example');
    assert.equal(await answerFor(port, 'a.example'), 'default');
    app.addServerName('a.example', issued('a.example'));
    assert.equal(await answerFor(port, 'a.example'), 'default');
  });
});

test('an App without TLS takes all of these, and does nothing', (context) => {
  const app = App();
  context.after(() => app.close());
  const same = [
    app.addServerName('a.example'),
    app.addServerName('no host name', { cert_file_name: 'none' }),
    app.removeServerName('a.example'),
    app.missingServerName(() => assert.fail('nobody names one')),
    app.domain('a.example').get('/', () => {}),
  ];
  for (const each of same) assert.equal(each, app);
  for (const method of ['missingServerName', 'addServerName', 'removeServerName', 'domain']) {
    assert.throws(() => app[method](1), { name: 'TypeError', code: 'TIDEWIRE_INVALID_TYPE' });
  }
  assert.throws(() => app.setCertificate(localhost().own), { code: 'TIDEWIRE_NO_TLS', message: /SSLApp/ });
});
