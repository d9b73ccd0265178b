'use strict';

/** What the package exports: a test for each promise that is made of uWebSockets.js's interface. */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const tidewire = require('tidewire');
const { pair } = require('../support/pair');
const { BOUND, serve } = require('../support/server');
const { connect } = require('../support/client');

describe('exports', () => {
  test('App(options?), with or without new', () => {
    for (const make of [() => tidewire.App(), () => new tidewire.App({}), () => tidewire.App(undefined)]) {
      const app = make();
      assert.ok(app instanceof tidewire.App);
      assert.ok(Object.isExtensible(app));
    }
  });

  test('App as a class to extend', () => {
    class Server extends tidewire.App {
      ws(pattern, behavior) {
        this.routes = [...(this.routes ?? []), pattern];
        return super.ws(pattern, behavior);
      }
    }
    const server = new Server({ threads: 1 });
    assert.equal(server.ws('/a', {}), server);
    assert.deepEqual(server.routes, ['/a']);
    assert.ok(server instanceof Server && server instanceof tidewire.App);
  });

  test('class names: uWS.App, uWS.WebSocket, uWS.HttpRequest, uWS.HttpResponse', BOUND, async (context) => {
    const names = [];
    const { ws, app } = await pair(context, {
      upgrade: (res, req, token) => {
        names.push(req.constructor.name, res.constructor.name);
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', token);
      },
    });
    assert.deepEqual(names, ['uWS.HttpRequest', 'uWS.HttpResponse']);
    assert.equal(ws.constructor.name, 'uWS.WebSocket');
    assert.equal(app.constructor.name, 'uWS.App');
    assert.equal(tidewire.App.name, 'uWS.App');
  });

  test('SSLApp(options), with or without new: see tls.test.js', () => {
    assert.equal(typeof tidewire.SSLApp, 'function');
    assert.throws(() => tidewire.SSLApp(), { message: 'App construction failed' });
  });

  test('us_listen_socket_close(token)', BOUND, async (context) => {
    const { token, url } = serve(context, {});
    await connect(context, url);
    assert.equal(tidewire.us_listen_socket_close(token), undefined);
    await assert.rejects(connect(context, url));
  });

  test('us_socket_local_port(token)', (context) => {
    const { token, port } = serve(context, {});
    assert.equal(tidewire.us_socket_local_port(token), port);
    assert.ok(Number.isInteger(port) && port > 0 && port < 65_536);
  });

  test('_cfg(key), accepted without effect', () => {
    assert.equal(tidewire._cfg('silent'), undefined);
    assert.equal(tidewire._cfg(Buffer.from('999999990000000000')), undefined);
    assert.throws(() => tidewire._cfg(1), { name: 'TypeError', code: 'TIDEWIRE_TEXT_OR_DATA' });
  });

  test('LIBUS_LISTEN_DEFAULT and LIBUS_LISTEN_EXCLUSIVE_PORT', () => {
    assert.deepEqual([tidewire.LIBUS_LISTEN_DEFAULT, tidewire.LIBUS_LISTEN_EXCLUSIVE_PORT], [0, 1]);
  });

  test('DISABLED, SHARED_COMPRESSOR, SHARED_DECOMPRESSOR', () => {
    const { DISABLED, SHARED_COMPRESSOR, SHARED_DECOMPRESSOR } = tidewire;
    assert.deepEqual([DISABLED, SHARED_COMPRESSOR, SHARED_DECOMPRESSOR], [0, 1, 256]);
  });

  test('DEDICATED_COMPRESSOR_…', () => {
    const sizes = { 3: 145, 4: 146, 8: 163, 16: 180, 32: 197, 64: 214, 128: 231, 256: 248 };
    for (const [size, value] of Object.entries(sizes)) {
      assert.equal(tidewire[`DEDICATED_COMPRESSOR_${size}KB`], value);
    }
    assert.equal(tidewire.DEDICATED_COMPRESSOR, tidewire.DEDICATED_COMPRESSOR_256KB);
  });

  test('DEDICATED_DECOMPRESSOR_…', () => {
    const sizes = {
      '512B': 2304,
      '1KB': 2560,
      '2KB': 2816,
      '4KB': 3072,
      '8KB': 3328,
      '16KB': 3584,
      '32KB': 3840,
    };
    for (const [size, value] of Object.entries(sizes)) {
      assert.equal(tidewire[`DEDICATED_DECOMPRESSOR_${size}`], value);
    }
    assert.equal(tidewire.DEDICATED_DECOMPRESSOR, tidewire.DEDICATED_DECOMPRESSOR_32KB);
  });

  test('one compressor may be ORed with one decompressor', () => {
    const app = tidewire.App();
    const { SHARED_COMPRESSOR, DEDICATED_COMPRESSOR_4KB, SHARED_DECOMPRESSOR } = tidewire;
    for (const one of [0, SHARED_COMPRESSOR, DEDICATED_COMPRESSOR_4KB]) {
      for (const other of [0, SHARED_DECOMPRESSOR, tidewire.DEDICATED_DECOMPRESSOR_4KB]) {
        app.ws('/a', { compression: one | other });
      }
    }
    assert.throws(() => app.ws('/a', { compression: 2 }), {
      name: 'RangeError',
      code: 'TIDEWIRE_OUT_OF_RANGE',
    });
    const two = SHARED_COMPRESSOR | DEDICATED_COMPRESSOR_4KB;
    assert.throws(() => app.ws('/a', { compression: two }), { code: 'TIDEWIRE_OUT_OF_RANGE' });
  });

  test('CommonJS and ES modules, both with named exports', async () => {
    const { App, DISABLED, _cfg, default: whole } = await import('tidewire');
    assert.deepEqual([App, DISABLED, _cfg], [tidewire.App, 0, tidewire._cfg]);
    assert.equal(whole.App, tidewire.App);
  });
});
