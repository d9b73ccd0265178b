'use strict';

/** What README says of options, methods and measurements, held against the typings, what runs, and docs/bench.json. */

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { App } = require('tidewire');
const { chart } = require('../bench/all/chart');
const { section: measurements, split } = require('../bench/all/readme');
const { judgedAnew } = require('../bench/all/result');
const { SUITE } = require('../bench/all/suite');
const { HttpRequest } = require('../lib/http_request');
const { HttpResponse } = require('../lib/http_response');
const { appOptions, routeOptions } = require('../lib/options');
const { WebSocket } = require('../lib/websocket');

const read = (file) => readFileSync(path.join(__dirname, '..', file), 'utf8').replaceAll('\r\n', '\n');
const readme = read('README.md');
const typings = read('index.d.ts');

const HANDLERS = ['upgrade', 'open', 'message', 'dropped', 'drain', 'ping', 'pong', 'close', 'subscription'];

/** What stands for a default that is no value. */
const WORDS = { any: undefined, 'as binaryType': undefined, DISABLED: 0 };

/** A part of README, by its title. */
function section(title) {
  const [, text] = readme.split(`\n## ${title}\n`);
  assert.ok(text, `README has no section '${title}'`);
  return text.split('\n## ', 1)[0];
}

/** The rows of the first table of a text, without its head. */
function rows(text) {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('`', '')));
}

/** A default as it is written in README or in the typings, as a value. */
function defaultOf(written) {
  const text = written
    .replaceAll('`', '')
    .replaceAll(/(?<=\d),(?=\d{3})/g, '')
    .split(/[,;]/, 1)[0]
    .trim();
  if (text in WORDS) return WORDS[text];
  if (/^'.*'$/.test(text)) return text.slice(1, -1);
  if (text === 'true' || text === 'false') return text === 'true';
  const numbers = text.split(/[×*]/).map(Number);
  assert.ok(!numbers.some(Number.isNaN), `'${text}' is no default`);
  return numbers.reduce((product, number) => product * number);
}

/** The body of an interface of the typings. */
function interfaceOf(name) {
  const start = new RegExp(`^export interface ${name}\\b[^{]*(?:\\{[^}]*\\}[^{]*)*?\\{$`, 'm').exec(typings);
  assert.ok(start, `there is no interface ${name}`);
  return typings.slice(start.index + start[0].length).split('\n}\n', 1)[0];
}

/** Its members with their documentation, in order; of several of one name the first. */
function membersOf(name) {
  const members = new Map();
  const pattern = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)?\n {2}(?:readonly )?(\w+)\??(?=[(:<])/g;
  for (const [, documentation = '', member] of interfaceOf(name).matchAll(pattern)) {
    if (!members.has(member)) members.set(member, documentation);
  }
  return members;
}

/** Holds the members of an interface against those of a class, and returns them. */
function assertSame(name, { prototype }) {
  const declared = [...membersOf(name).keys()].sort();
  const own = Object.getOwnPropertyNames(prototype).filter((member) => member !== 'constructor');
  assert.deepEqual(declared, own.sort());
  return declared;
}

/** The default that a documentation tells. */
function defaultIn(documentation) {
  const found = /@default ([^\n]*)/.exec(documentation);
  assert.ok(found, `no @default in ${documentation}`);
  return defaultOf(found[1]);
}

describe("README's options of a route", () => {
  const table = rows(section('Options of a route'));
  const members = membersOf('WebSocketBehavior');
  const options = [...members.keys()].filter((name) => !HANDLERS.includes(name));
  const { closedSend, ...settings } = routeOptions('/a', {}, appOptions({}));

  test('are those of the typings, and those that run', () => {
    const written = table.map(([, name]) => name).sort();
    assert.deepEqual(written, [...options].sort());
    assert.deepEqual(written.concat(HANDLERS).sort(), Object.keys(settings).sort());
    assert.equal(closedSend, 'throw');
  });

  for (const [, name, written] of table) {
    test(`${name} is ${written} by default, in all three`, () => {
      // As the App's, or as another option's: what runs has the value already.
      const value = { textType: 'arraybuffer' }[name] ?? settings[name];
      const told = [defaultOf(written), defaultIn(members.get(name))];
      assert.deepEqual(told, name === 'textType' ? [undefined, undefined] : [value, value]);
      assert.equal(settings[name], value);
    });
  }

  test('have every handler of the typings beside them', () => {
    const handlers = [...members.keys()].filter((name) => !options.includes(name));
    assert.deepEqual(handlers.sort(), [...HANDLERS].sort());
    for (const name of HANDLERS) assert.match(section('Options of a route'), new RegExp(`\`${name}\\(`));
  });
});

test("README's options of an App are those of the typings, and those that run", () => {
  const [[, , written]] = rows(section('App'));
  const names = [...membersOf('AppOptions').keys()].sort();
  const { requestHeadBytes, ...settings } = appOptions({});
  assert.deepEqual(Object.keys(settings).sort(), names);
  assert.ok(requestHeadBytes > 0);
  for (const name of names) assert.ok(written.includes(`${name}:`) || written.includes(`${name},`), name);
});

describe('the methods of a socket', () => {
  const declared = [...membersOf('WebSocketMethods').keys()];

  test('in the typings are those that run', () => assertSame('WebSocketMethods', WebSocket));

  for (const name of declared) {
    test(`${name} is in README`, () => {
      const told = `${section('ws')}${section('Topics')}`;
      assert.match(told, new RegExp(`\`(?:ws\\.)?${name}(?:\\(|\`)`));
    });
  }

  test('in README and in the guide are those of the typings', () => {
    // Of the table of another package, only the column that tells of this one.
    const [, fromWs] = read('docs/guide/migrating.md').split('\n## From ws\n');
    const here = rows(fromWs).map(([, , cell]) => cell);
    for (const text of [section('ws'), section('Topics'), here.join('\n')]) {
      for (const [, name] of text.matchAll(/\bws\.(\w+)\(/g)) assert.ok(declared.includes(name), name);
    }
  });
});

test('the methods of an App in the typings are those that run, and are in README', () => {
  const declared = assertSame('TemplatedApp', App);
  for (const name of declared) assert.match(section('App'), new RegExp(`\\b${name}\\b`));
});

test('the methods of requests and responses in the typings are those that run', () => {
  assertSame('HttpRequest', HttpRequest);
  assertSame('HttpResponse', HttpResponse);
});

test('everything that the typings declare is documented', () => {
  for (const [, name] of typings.matchAll(/^export (?:interface|type|const|function) (\w+)/gm)) {
    const at = typings.search(new RegExp(`^export (?:interface|type|const|function) ${name}\\b`, 'm'));
    assert.ok(typings.slice(0, at).trimEnd().endsWith('*/'), `${name} has no documentation`);
  }
  for (const name of [
    'WebSocketBehavior',
    'WebSocketMethods',
    'HttpRequest',
    'HttpResponse',
    'AppOptions',
    'TlsOptions',
    'TlsStats',
    'TemplatedApp',
  ]) {
    for (const [member, documentation] of membersOf(name)) assert.ok(documentation, `${name}.${member}`);
  }
});

test('every code of an error or a warning is in the typings', () => {
  // What the native addon says to `lib/`, which does not let it come to that.
  const internal = ['TIDEWIRE_NOT_RUNNING'];
  const files = ['lib', 'src'].flatMap((folder) =>
    readdirSync(path.join(__dirname, '..', folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(js|rs)$/.test(file))
      .map((file) => path.join(folder, file)),
  );
  const codes = new Set(files.flatMap((file) => read(file).match(/TIDEWIRE_[A-Z_]+/g) ?? []));
  assert.ok(codes.size > 15);
  for (const code of codes) assert.ok(internal.includes(code) || typings.includes(code), code);
});

describe('the measurements', () => {
  const result = JSON.parse(read('docs/bench.json'));

  test('are those of the suite, each row with its bars as they are now, and none has failed but ws in a flood', () => {
    const names = SUITE.map(({ name }) => name);
    assert.deepEqual(
      result.parts.map(({ name }) => name),
      names,
    );
    assert.deepEqual(judgedAnew(result, SUITE), result);
    for (const { name, failures } of result.parts) {
      // It may leave a quiet client without an answer for longer than the load client waits: README says so.
      const others = failures.filter((failure) => name !== 'flood' || !failure.startsWith('ws, round '));
      assert.deepEqual(others, [], name);
    }
  });

  test('in README are those of docs/bench.json', () => {
    assert.equal(split(readme)[1], measurements(result));
  });

  test('in docs/bench.svg are those of docs/bench.json', async () => {
    assert.equal(read('docs/bench.svg'), await chart(result));
  });
});
