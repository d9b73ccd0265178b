'use strict';

const assert = require('node:assert/strict');
const { constants } = require('node:buffer');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { inspect } = require('node:util');
const { App } = require('tidewire');
const { appOptions, listenOptions, routeOptions } = require('../lib/options');

const DEFAULTS = appOptions(undefined);
const TYPE = ['TypeError', 'TIDEWIRE_INVALID_TYPE'];
const RANGE = ['RangeError', 'TIDEWIRE_OUT_OF_RANGE'];

const noop = () => {};
const route = (behavior) => routeOptions('/chat', behavior, DEFAULTS);

/** Holds the name, the code, and that the sentence has each of the pieces. */
function assertThrows(call, [name, code], ...pieces) {
  assert.throws(call, (error) => {
    assert.equal(error.name, name);
    assert.equal(error.code, code);
    for (const piece of pieces) assert.ok(error.message.includes(piece), `"${error.message}" lacks ${piece}`);
    return true;
  });
}

describe('a route', () => {
  const defaults = {
    maxPayloadLength: 16 * 1024,
    maxFragments: 131_072,
    idleTimeout: 120,
    sendPingsAutomatically: true,
    maxLifetime: 0,
    maxBackpressure: 64 * 1024,
    closeOnBackpressureLimit: false,
    compression: 0,
    binaryType: 'arraybuffer',
    textType: 'arraybuffer',
    origins: undefined,
    closedSend: 'throw',
    upgrade: null,
    open: null,
    message: null,
    dropped: null,
    drain: null,
    ping: null,
    pong: null,
    close: null,
    subscription: null,
  };

  test('has every default', () => assert.deepEqual(route({}), defaults));

  test('takes undefined for the default', () => {
    const names = Object.keys(defaults).filter((name) => name !== 'closedSend');
    assert.deepEqual(route(Object.fromEntries(names.map((name) => [name, undefined]))), defaults);
  });

  test('takes options that are inherited', () => {
    class Behavior {
      idleTimeout = 8;
      message() {}
    }
    const { idleTimeout, message } = route(new Behavior());
    assert.equal(idleTimeout, 8);
    assert.equal(message, Behavior.prototype.message);
  });

  const accepted = [
    ['maxPayloadLength', 1, 2 ** 31 - 1],
    ['maxFragments', 1, 2 ** 31 - 1],
    ['idleTimeout', 0, 8, 960],
    ['maxLifetime', 0, 1, 239],
    ['maxBackpressure', 0, 1, 2 ** 31 - 1],
    ['sendPingsAutomatically', true, false],
    ['closeOnBackpressureLimit', true, false],
    ['compression', 0, 1, 256, 257, 145, 146, 248, 2304, 3840, 248 | 3840, 1 | 2816],
    ['binaryType', 'arraybuffer', 'nodebuffer', 'uint8array'],
    ['textType', 'arraybuffer', 'nodebuffer', 'uint8array', 'string'],
    ...['open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close'].map((name) => [name, noop, null]),
  ];
  for (const [name, ...values] of accepted) {
    test(`takes ${name}`, () => {
      for (const value of values) assert.equal(route({ [name]: value })[name], value);
    });
  }

  const refused = [
    ['maxPayloadLength', TYPE, '1024', null, 1n, {}],
    ['maxPayloadLength', RANGE, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31],
    ['maxFragments', TYPE, '1'],
    ['maxFragments', RANGE, 0, 2 ** 31],
    ['idleTimeout', TYPE, '120', null, false],
    ['idleTimeout', RANGE, 1, 7, 8.5, 961, -8],
    ['maxLifetime', TYPE, '60'],
    ['maxLifetime', RANGE, -1, 0.5, 240],
    ['maxBackpressure', TYPE, '65536'],
    ['maxBackpressure', RANGE, -1, 2 ** 31],
    ['sendPingsAutomatically', TYPE, 1, 'true', null],
    ['closeOnBackpressureLimit', TYPE, 0, 'false', null],
    ['binaryType', TYPE, 1, null],
    ['binaryType', RANGE, 'string', 'blob', ''],
    ['textType', TYPE, 1, null],
    ['textType', RANGE, 'utf8'],
    ...['open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close'].map((name) => [
      name,
      TYPE,
      {},
      'f',
      0,
    ]),
    ['compression', TYPE, 'SHARED_COMPRESSOR', true, null],
    ['compression', RANGE, 2, -1, 144, 257.5, 512, 4096, 145 | 163, Number.NaN],
    ['origins', TYPE, null, 1, true, {}],
    ['origins', RANGE, '', 'any', '*', 'https://example.org'],
  ];
  for (const [name, kind, ...values] of refused) {
    for (const value of values) {
      test(`refuses ${name} ${inspect(value)}`, () => {
        assertThrows(() => route({ [name]: value }), kind, `\`${name}\``, "App.ws('/chat')", inspect(value));
      });
    }
  }

  test('takes origins, and keeps its own copy of a list', () => {
    const list = ['https://example.org'];
    const { origins } = route({ origins: list });
    list.push('http://evil.example');
    assert.deepEqual(origins, ['https://example.org']);
    assert.equal(route({ origins: 'same' }).origins, 'same');
    assert.equal(route({ origins: noop }).origins, noop);
    assertThrows(() => route({ origins: ['http://a', 5] }), TYPE, 'Element 1 of `origins`', 'a string', '5');
  });

  test('keeps a text within what a string can hold', () => {
    const most = constants.MAX_STRING_LENGTH;
    const strings = (maxPayloadLength) => route({ textType: 'string', maxPayloadLength });
    assert.equal(strings(most).maxPayloadLength, most);
    assertThrows(() => strings(most + 1), RANGE, '`maxPayloadLength`', "'string'", String(most));
  });

  test('takes what it is not given from the App', () => {
    const types = (app, behavior) => {
      const { binaryType, textType } = routeOptions('/', behavior, appOptions(app));
      return [binaryType, textType];
    };
    assert.deepEqual(types({ binaryType: 'nodebuffer' }, {}), ['nodebuffer', 'nodebuffer']);
    assert.deepEqual(types({ textType: 'string' }, {}), ['arraybuffer', 'string']);
    assert.deepEqual(types({ textType: 'string' }, { binaryType: 'uint8array' }), ['uint8array', 'string']);
    assert.deepEqual(types({ binaryType: 'nodebuffer' }, { binaryType: 'uint8array' }), [
      'uint8array',
      'uint8array',
    ]);
    assert.deepEqual(types({ textType: 'string' }, { textType: 'nodebuffer' }), [
      'arraybuffer',
      'nodebuffer',
    ]);
  });

  test('needs an object', () => {
    for (const behavior of [undefined, null, noop, '/', 1]) {
      assertThrows(() => route(behavior), TYPE, "App.ws('/chat')", 'an object');
    }
  });

  test('needs a pattern', () => {
    for (const pattern of [undefined, null, {}, 1]) {
      assertThrows(() => routeOptions(pattern, {}, DEFAULTS), TYPE, '`pattern`', 'a string');
    }
  });
});

describe('an App', () => {
  test('has every default', () => {
    const defaults = {
      threads: 1,
      binaryType: 'arraybuffer',
      textType: null,
      closedSend: 'throw',
      memoryBudget: null,
      onError: null,
      requestHeadBytes: 16_384,
      // As many as there are descriptors for: the engine knows.
      maxConnections: undefined,
      maxConnectionsPerAddress: 0,
      connectionsPerMinutePerAddress: 0,
      trustProxy: [],
    };
    assert.deepEqual(appOptions(undefined), defaults);
    assert.deepEqual(appOptions({ threads: undefined }), appOptions({}));
  });

  test('takes its options', () => {
    const options = {
      threads: 64,
      binaryType: 'uint8array',
      textType: 'string',
      closedSend: 'ignore',
      memoryBudget: 1_048_576,
      onError: () => {},
      maxConnections: 2 ** 30,
      maxConnectionsPerAddress: 1,
      connectionsPerMinutePerAddress: 1_000_000,
      trustProxy: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7', '::1', '0.0.0.0/0', 'unix'],
    };
    assert.deepEqual(appOptions(options), { ...options, requestHeadBytes: 16_384 });
    assert.equal(appOptions({ onError: null }).onError, null);
  });

  const refused = [
    ['threads', TYPE, '2', null],
    ['threads', RANGE, 0, -1, 65, 1.5],
    ['binaryType', RANGE, 'string'],
    ['textType', RANGE, 'text'],
    ['memoryBudget', TYPE, '1000000', null],
    ['memoryBudget', RANGE, -1, 1_048_575, 2_000_000.5, 2 ** 53],
    ['maxConnections', TYPE, '1', null],
    ['maxConnections', RANGE, 0, -1, 1.5, 2 ** 30 + 1],
    ['maxConnectionsPerAddress', RANGE, -1, 0.5, 2 ** 30 + 1],
    ['connectionsPerMinutePerAddress', TYPE, '60', null],
    ['connectionsPerMinutePerAddress', RANGE, -1, 0.5, 1_000_001],
    ['trustProxy', TYPE, true, null, 1, '10.0.0.0/8'],
    ['onError', TYPE, 'log', true],
  ];
  for (const bytes of [0, 1_048_576, 2 ** 53 - 1]) {
    test(`takes a memoryBudget of ${bytes}`, () =>
      assert.equal(appOptions({ memoryBudget: bytes }).memoryBudget, bytes));
  }
  for (const [name, kind, ...values] of refused) {
    test(`refuses ${name} of ${values.join(', ')}`, () => {
      for (const value of values) {
        assertThrows(() => appOptions({ [name]: value }), kind, `\`${name}\` of App()`, String(value));
      }
    });
  }

  test('refuses what is no network in trustProxy', () => {
    const bad = [
      '',
      'loopback',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0/8',
      '10.0.0.0/',
      '10.0.0.1/a',
      'fe80::1%lo',
      'UNIX',
    ];
    for (const network of bad) {
      assertThrows(
        () => appOptions({ trustProxy: ['::1', network] }),
        RANGE,
        'Element 1 of `trustProxy`',
        inspect(network),
      );
    }
    assertThrows(
      () => appOptions({ trustProxy: [1] }),
      TYPE,
      'Element 0 of `trustProxy` of App()',
      'a string',
    );
    const many = Array.from({ length: 1_025 }, () => '::1');
    assertThrows(() => appOptions({ trustProxy: many }), RANGE, '`trustProxy` of App()', '1025');
  });

  test('has a copy of trustProxy, and the engine takes what is in it', () => {
    const trustProxy = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7', '::ffff:10.0.0.1', '::/0', 'unix'];
    const settings = appOptions({ trustProxy });
    trustProxy.pop();
    assert.equal(settings.trustProxy.length, 6);
    App({ trustProxy: settings.trustProxy, maxConnectionsPerAddress: 1 });
  });

  test('needs an object', () => {
    for (const options of [null, 1, 'x']) assertThrows(() => appOptions(options), TYPE, 'App()', 'an object');
  });
});

describe('listen', () => {
  const everywhere = { host: undefined, port: 80, exclusive: false, callback: undefined };

  const accepted = [
    [[80], {}],
    [[80, noop], { callback: noop }],
    [[80, 0], {}],
    [[80, 1], { exclusive: true }],
    [[80, undefined, noop], { callback: noop }],
    [[80, 1, noop], { exclusive: true, callback: noop }],
    [['::1', 80], { host: '::1' }],
    [['::1', 80, noop], { host: '::1', callback: noop }],
    [['::1', 80, 1, noop], { host: '::1', exclusive: true, callback: noop }],
    [['', 80, noop], { callback: noop }],
    [[undefined, 80, noop], { callback: noop }],
    [[80, undefined], {}],
    [[0], { port: 0 }],
    [[65_535], { port: 65_535 }],
  ];
  for (const [index, [values, expected]] of accepted.entries()) {
    test(`takes form ${index + 1}`, () => {
      assert.deepEqual(listenOptions(values), { ...everywhere, ...expected });
    });
  }

  const refused = [
    [[], TYPE, '`port`', 'undefined'],
    [[noop], TYPE, '`port`', 'undefined'],
    [['9001', noop], TYPE, '`port`', 'listen([host,] port'],
    [['::1', '9001', noop], TYPE, '`port`', "'9001'"],
    [[{ port: 1 }], TYPE, '`port`'],
    [[-1], RANGE, '`port`', '-1'],
    [[65_536], RANGE, '`port`', '65536'],
    [[1.5, noop], RANGE, '`port`', '1.5'],
    [['a\0b', 80], RANGE, '`host`', 'a\\x00b'],
    [[80, 2], RANGE, '`options`', '2', 'LIBUS_LISTEN_EXCLUSIVE_PORT'],
    [[80, '1', noop], TYPE, '`options`', "'1'"],
    [[80, 1, {}], TYPE, '`callback`', '{}'],
  ];
  for (const [index, [values, kind, ...pieces]] of refused.entries()) {
    test(`refuses form ${index + 1}`, () => assertThrows(() => listenOptions(values), kind, ...pieces));
  }
});

describe('an error', () => {
  test('shows a value on one short line, whatever it is', () => {
    const values = [
      'x'.repeat(10_000),
      Array.from({ length: 1_000 }, () => ({ deep: {} })),
      Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key ${index}`, index])),
      new Proxy({}, { get: () => assert.fail('the proxy was asked') }),
      {
        get constructor() {
          throw new Error('asked');
        },
      },
    ];
    for (const value of values) {
      assertThrows(() => route({ open: value }), TYPE, '`open`');
      assert.throws(() => route({ open: value }), { message: /^[^\n]{1,200}$/ });
    }
  });
});

describe('an unknown option', () => {
  test('warns once for its name', async () => {
    const warnings = [];
    const collect = (warning) => warnings.push(warning);
    process.on('warning', collect);
    route({ idleTimeOut: 8, unheard: undefined });
    route({ idleTimeOut: 8 });
    route({ maxPayload: 8 });
    route({ onMessage() {} });
    appOptions({ keyFile: 'key.pem' });
    process.emitWarning('the last one');
    while (warnings.at(-1)?.message !== 'the last one') await once(process, 'warning');
    process.off('warning', collect);

    const ours = warnings.filter(({ code }) => code === 'TIDEWIRE_UNKNOWN_OPTION');
    assert.deepEqual(
      ours.map(({ name, message }) => [name, message.split(';')[0]]),
      [
        [
          'TidewireWarning',
          "App.ws('/chat') ignores the unknown option 'idleTimeOut' (did you mean `idleTimeout`?)",
        ],
        [
          'TidewireWarning',
          "App.ws('/chat') ignores the unknown option 'maxPayload' (did you mean `maxPayloadLength`?)",
        ],
        [
          'TidewireWarning',
          "App.ws('/chat') ignores the unknown option 'onMessage' (did you mean `message`?)",
        ],
        ['TidewireWarning', "App() ignores the unknown option 'keyFile'"],
      ],
    );
  });
});
