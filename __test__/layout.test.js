'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const commands = require('../lib/commands');
const events = require('../lib/events');

const read = (file) => readFileSync(path.join(__dirname, '..', file), 'utf8');

/** The constants of a Rust file whose values are numbers or products of numbers. */
function constantsOf(file) {
  const constants = {};
  for (const [, name, expression] of read(file).matchAll(/^ *pub const (\w+): \w+ = ([\w* ]+);$/gm)) {
    const factors = expression.replaceAll('_', '').split('*').map(Number);
    constants[name] = factors.reduce((product, factor) => product * factor);
  }
  return constants;
}

/** The variants of a Rust enum with their numbers, as `SCREAMING_SNAKE_CASE`. */
function variantsOf(file, name) {
  const [, body] = read(file).match(new RegExp(`^pub enum ${name} \\{\\n(.*?)^\\}`, 'ms')) ?? [];
  assert.ok(body, `${file} has no enum ${name}`);
  const variants = [...body.matchAll(/^ {4}(\w+) = (\d+),$/gm)];
  return Object.fromEntries(
    variants.map(([, variant, number]) => [
      variant.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(),
      Number(number),
    ]),
  );
}

/** The numbers of a module under these names. */
function pick(module, names) {
  return Object.fromEntries(names.map((name) => [name, module[name]]));
}

describe('lib/events.js and src/bridge/event.rs', () => {
  const rust = constantsOf('src/bridge/event.rs');

  test('have the same kinds of event', () => {
    const kinds = variantsOf('src/bridge/event.rs', 'EventKind');
    assert.ok(Object.keys(kinds).length >= 8);
    assert.deepEqual(pick(events, Object.keys(kinds)), kinds);
  });

  test('have the same words and flags', () => {
    const names = ['DESCRIPTOR_WORDS', 'FLAG_BINARY', 'FLAG_LARGE', 'FLAG_LAST'];
    assert.deepEqual(pick(events, names), pick(rust, names));
  });

  test('have the same families of addresses', () => {
    for (const family of ['NONE', 'V4', 'V4_MAPPED', 'V6']) {
      assert.equal(typeof rust[family], 'number');
      assert.equal(events[`FAMILY_${family}`], rust[family]);
    }
  });

  test('have the same causes of a close', () => {
    const causes = variantsOf('src/bridge/event.rs', 'CloseCause');
    const named = Object.entries(events.CAUSES).filter(([, name]) => name !== undefined);
    assert.deepEqual(
      Object.fromEntries(named.map(([number, name]) => [name.toUpperCase(), Number(number)])),
      causes,
    );
    for (const [name, number] of Object.entries(events).filter(([name]) => name.startsWith('CAUSE_'))) {
      assert.equal(number, causes[name.replace('CAUSE_', '')], name);
    }
  });

  test('have the same numbers for what has failed, and the same words for its peers', () => {
    for (const name of ['REACTOR', 'GATE', 'CONNECTION']) {
      assert.equal(typeof rust[name], 'number');
      assert.equal(events[`FAILED_${name}`], rust[name]);
    }
    const said = read('src/reactor/failure.rs').match(/^const FAILED: .* = \((\d+), "(.*)"\);$/m);
    assert.deepEqual([String(events.FAILED_STATUS_CODE), events.FAILED_REASON], said?.slice(1));
  });

  test('have the same limits of a drain as src/limits.rs', () => {
    const names = ['DRAIN_EVENTS', 'DRAIN_PAYLOAD_BYTES'];
    assert.deepEqual(pick(events, names), pick(constantsOf('src/limits.rs'), names));
  });

  test('agree on the words behind the descriptors', () => {
    const [, words] = read('src/node/engine.rs').match(/split_last_chunk_mut::<(\d+)>/) ?? [];
    assert.equal(events.TRAILER_WORDS, Number(words));
  });

  test('have nothing that the other lacks', () => {
    const kinds = Object.keys(variantsOf('src/bridge/event.rs', 'EventKind'));
    const families = ['NONE', 'V4', 'V4_MAPPED', 'V6'].map((name) => `FAMILY_${name}`);
    const flags = ['FLAG_BINARY', 'FLAG_LARGE', 'FLAG_LAST'];
    const rest = ['DESCRIPTOR_WORDS', 'TRAILER_WORDS', ...flags, 'ADDRESS_BYTES'];
    const limits = ['DRAIN_EVENTS', 'DRAIN_PAYLOAD_BYTES'];
    const names = ['LOCAL', 'RESET', 'BACKPRESSURE', 'SHUTDOWN', 'FAILURE'];
    const causes = ['CAUSES', ...names.map((name) => `CAUSE_${name}`)];
    const failures = ['REACTOR', 'GATE', 'CONNECTION', 'STATUS_CODE', 'REASON'].map(
      (name) => `FAILED_${name}`,
    );
    const all = [...kinds, ...families, ...rest, ...limits, ...causes, ...failures];
    assert.deepEqual(Object.keys(events).sort(), all.sort());
  });
});

describe('lib/commands.js and src/bridge/command.rs', () => {
  const rust = constantsOf('src/bridge/command.rs');
  const kinds = variantsOf('src/bridge/command.rs', 'CommandKind');

  test('have the same kinds of command', () => {
    assert.ok(Object.keys(kinds).length >= 6);
    assert.deepEqual(pick(commands, Object.keys(kinds)), kinds);
  });

  test('decode every kind that there is', () => {
    const decoded = [...read('src/bridge/command.rs').matchAll(/^ +(\d+) => CommandKind::(\w+),$/gm)];
    assert.deepEqual(
      decoded.map(([, number]) => Number(number)),
      Object.values(kinds),
    );
  });

  test('number the kind with a large payload behind the kind without', () => {
    const large = Object.keys(kinds).filter((name) => name.endsWith('_LARGE'));
    assert.equal(large.length, 5);
    for (const name of large) assert.equal(kinds[name], kinds[name.replace('_LARGE', '')] + 1);
  });

  test('have the same head and flags', () => {
    const answers = ['ANSWER_RESPONSE', 'ANSWER_UPGRADE', 'ANSWER_YIELD', 'ANSWER_CLOSE', 'ANSWER_PLAIN'];
    const names = [
      'COMMAND_HEAD_BYTES',
      'FLAG_FIN',
      'FLAG_COMPRESS',
      'FLAG_BACKPRESSURE',
      'FLAG_SHUTDOWN',
      'FLAG_CLOSE',
      ...answers,
    ];
    assert.deepEqual(pick(commands, names), pick(rust, names));
    const opcodes = Object.keys(commands).filter((name) => name.startsWith('OPCODE_'));
    assert.ok(opcodes.length >= 3);
    for (const name of opcodes) assert.equal(commands[name] & rust.OPCODE_MASK, commands[name]);
    assert.equal((commands.FLAG_FIN | commands.FLAG_COMPRESS) & rust.OPCODE_MASK, 0);
    assert.equal(commands.FLAG_FIN & commands.FLAG_COMPRESS, 0);
  });

  test('writes what Rust reads', () => {
    const buffer = new commands.CommandBuffer();
    buffer.writeText(commands.SEND, commands.FLAG_FIN | commands.OPCODE_TEXT, 70_000, 513, 'grüße');
    buffer.writeBytes(commands.END, 0, 1, 65_535, Uint8Array.of(0xe8, 3, 0x62));
    buffer.writeBare(commands.RELEASE, 0, 0xffff_ffff, 0);
    buffer.writeParts(commands.ANSWER, 0, 2, 1, '200 OK\n\n', Uint8Array.of(0xff));
    const expected = [
      '01110102 70110100 07000000 6772c3bcc39f6500',
      '0300ffff 01000000 03000000 e8036200',
      '05000000 ffffffff 00000000',
      '10000100 02000000 09000000 323030204f4b0a0aff000000',
    ];
    assert.equal(buffer.bytes, 12 + 8 + 12 + 4 + 12 + 12 + 12);
    const written = buffer.buffer.subarray(0, buffer.bytes);
    // Padding is not read: it has whatever was there.
    for (const padding of [19, 35, 69, 70, 71]) written[padding] = 0;
    assert.equal(written.toString('hex'), expected.join('').replaceAll(' ', ''));
  });

  test('counts the longest head of a frame as the protocol writes it', () => {
    const [, bytes] = read('lib/backlog.js').match(/const FRAME_HEAD_BYTES = (\d+);/) ?? [];
    // RFC 6455 §5.2: two bytes, and eight of a long length; a server does not mask.
    assert.equal(Number(bytes), 2 + 8);
  });
});
