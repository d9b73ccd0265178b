'use strict';

/** The code of README and of the guide: each whole program is run as it stands and talked to, the rest is read. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { noBrowser, openBrowser } = require('./support/browser');
const { filesOf, localhost } = require('./support/certificates');
const { connect, refusal } = require('./support/client');
const { adapt, blocksOf, read } = require('./support/documents');
const { ask, pause } = require('./support/http');
const { folderOf, runProgram, withAnyPort } = require('./support/program');
const { askTls, trust } = require('./support/tls');

/** A start of Node takes its time on a busy machine, and some programs are several processes. */
const BOUND = { timeout: 120_000 };

const GUIDE = readdirSync(path.join(__dirname, '../docs/guide')).map((file) => `docs/guide/${file}`);
const DOCUMENTS = ['README.md', 'docs/architecture.md', ...GUIDE];

const blocks = DOCUMENTS.flatMap((document) => blocksOf(document).map((block) => ({ ...block, document })));
const programs = new Map(
  blocks.filter(({ words }) => words[0] === 'program').map((block) => [block.words[1], block]),
);
const files = Object.fromEntries(
  blocks.filter(({ words }) => words[0] === 'file').map(({ words, text }) => [words[1], withAnyPort(text)]),
);

/** An echo of text and of data. */
async function echoes(context, url, options) {
  const client = await connect(context, url, options);
  client.send('hello', Buffer.from([1, 2, 3]));
  const [text, data] = await client.messages.take(2);
  assert.deepEqual(
    [text, data].map(([, isBinary]) => isBinary),
    [false, true],
  );
  assert.equal(text[0].toString(), 'hello');
  assert.deepEqual([...data[0]], [1, 2, 3]);
  return client;
}

/** Asks until the answer is wanted. The limit of time is the test's. */
async function until(question, isWanted) {
  for (;;) {
    const answer = await question();
    if (isWanted(answer)) return answer;
    await pause(20);
  }
}

/** What a client of each program says, and what it must hear and see printed. */
const CONVERSATIONS = {
  'ten-lines': async ({ child, url, context }) => {
    assert.equal(await child.line(), 'listening on 9001');
    const client = await echoes(context, url);
    assert.equal(await child.line(), 'a client came');
    client.socket.close(1000);
    assert.equal(await child.line(), 'a client went 1000');
  },
  chat: async ({ child, port, url, context }) => {
    assert.equal(await child.line(), 'open http://localhost:9001');
    assert.equal((await ask(port, '/')).text, files['index.html']);
    const client = await connect(context, `${url}/chat`);
    client.send('Ann', 'hello');
    assert.equal(await client.text(), 'Ann is here');
    assert.equal(await client.text(), 'Ann: hello');
    const other = await connect(context, `${url}/chat`);
    other.send('Bob');
    for (const each of [client, other]) assert.equal(await each.text(), 'Bob is here');
    other.socket.close();
    assert.equal(await client.text(), 'Bob has left');
    if (noBrowser !== false) return;
    const browser = await openBrowser(context);
    const page = await browser.newPage();
    await page.goto(`http://localhost:${port}/`);
    for (const text of ['Eve', '<b>hi</b>']) {
      await page.fill('#text', text);
      await page.click('button');
    }
    assert.equal(await client.text(), 'Eve is here');
    assert.equal(await client.text(), 'Eve: <b>hi</b>');
    await page.getByText('Eve: <b>hi</b>', { exact: true }).waitFor();
  },
  http: async ({ port }) => {
    assert.equal((await ask(port, '/hello/Ann')).text, 'Hello Ann');
    assert.equal((await ask(port, '/echo', { method: 'POST', body: 'some' })).text, 'some');
    const { status } = await ask(port, '/echo', { method: 'POST', body: Buffer.alloc(64 * 1024 + 1) });
    assert.equal(status, 413);
    assert.equal((await ask(port, '/else')).status, 404);
  },
  tls: ({ port, context }) => echoes(context, `wss://127.0.0.1:${port}`, trust()),
  threads: ({ url, context }) => echoes(context, url),
  lifecycle: async ({ child, url, context }) => {
    await child.line();
    const client = await connect(context, `${url}/chat?name=Ann`);
    client.send('hello');
    assert.equal(await client.text(), 'Ann said hello');
    client.socket.close(1000, 'bye');
    const [, printed] = /prints:\n\n```\n([\s\S]*?)```/.exec(read('docs/guide/handlers.md'));
    for (const line of printed.trimEnd().split('\n')) assert.equal(await child.line(), line);
  },
  queue: async ({ url, context }) => {
    const client = await connect(context, url);
    client.send('slow', 'quick', 'slow', 'quick');
    for (const text of ['slow', 'quick', 'slow', 'quick']) assert.equal(await client.text(), text);
    for (let sent = 0; sent < 102; sent++) client.send('slow');
    assert.deepEqual(await client.closed, { code: 1013, reason: 'too fast' });
  },
  'going-on': async ({ child, url, context }) => {
    const client = await connect(context, url);
    client.send('no JSON', '{"sum":1}');
    assert.equal(await client.text(), '1.00');
    await until(
      () => child.errors,
      (errors) => /^went on behind: Unexpected token/.test(errors),
    );
  },
  feed: async ({ url, context }) => {
    const client = await connect(context, `${url}/log`);
    client.socket.pause();
    // Others are served while this one does not read.
    const other = await connect(context, `${url}/log`);
    for (const reader of [other, client]) {
      reader.socket.resume();
      for (let line = 0; line < 10_000; line++) assert.ok((await reader.text()).startsWith(`line ${line} `));
    }
  },
  rooms: async ({ port, url, context }) => {
    const say = (body) => ask(port, '/announce', { method: 'POST', body });
    assert.equal((await say('hello?')).text, 'nobody is there\n');
    const client = await connect(context, `${url}/rooms/blue`);
    assert.equal(await client.text(), '1 here');
    const other = await connect(context, `${url}/rooms/blue`);
    const far = await connect(context, `${url}/rooms/red`);
    for (const each of [client, other]) assert.equal(await each.text(), '2 here');
    assert.equal(await far.text(), '1 here');
    other.send('hello');
    assert.equal(await client.text(), 'hello');
    assert.equal((await say('tea is ready')).text, 'said\n');
    for (const each of [client, other, far]) assert.equal(await each.text(), 'tea is ready');
    other.socket.close();
    assert.equal(await client.text(), '1 here');
    assert.equal((await say(Buffer.alloc(1025))).status, 413);
  },
  beside: async ({ port, url, context }) => {
    const { headers, text } = await ask(port, '/');
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    // The page's own script is read, too.
    new vm.Script(/<script>([\s\S]*)<\/script>/.exec(text)[1]);
    const login = (body) => ask(port, '/login', { method: 'POST', body });
    assert.deepEqual([(await login('{')).status, (await login('x'.repeat(1025))).status], [400, 413]);
    const [cookie] = (await login('{"name":"Ann"}')).headers['set-cookie'];
    const Cookie = cookie.split(';', 1)[0];
    const client = await connect(context, `${url}/echo`, { headers: { Cookie } });
    client.send('hello');
    assert.equal(await client.text(), 'Ann: hello');
    assert.equal((await refusal(`${url}/echo`)).status, 401);
    const elsewhere = { headers: { Cookie, Origin: 'https://elsewhere.example' } };
    assert.equal((await refusal(`${url}/echo`, elsewhere)).status, 403);
    assert.equal((await ask(port, '/health')).text, 'up');
    assert.equal((await ask(port, '/no')).status, 404);
  },
  later: async ({ port }) => {
    const { version } = require('tidewire/package.json');
    assert.deepEqual(JSON.parse((await ask(port, '/version')).text), { version });
  },
  secure: async ({ child, port, nextPort, context }) => {
    await echoes(context, `wss://127.0.0.1:${port}`, trust());
    assert.equal((await askTls(port, '/any')).headers['strict-transport-security'], 'max-age=31536000');
    const { status, headers } = await ask(await nextPort(), '/any', { headers: { host: 'example.org:80' } });
    assert.deepEqual([status, headers.location], [301, 'https://example.org/any']);
    await child.lines.take(2);
    if (process.platform === 'win32') return;
    child.process.kill('SIGHUP');
    assert.equal(await child.line(), 'renewed');
  },
  workers: async ({ url, context }) => {
    // Two threads, each its turn.
    const [one, two] = [await connect(context, url), await connect(context, url)];
    assert.notEqual(await one.text(), await two.text());
    one.send('hello');
    for (const client of [one, two]) assert.equal(await client.text(), 'hello');
  },
  service: async ({ child, port, url, context }) => {
    const client = await connect(context, url);
    client.send('hello');
    assert.equal(await client.text(), 'hello');
    assert.equal((await ask(port, '/health')).text, 'up');
    const { text } = await ask(port, '/metrics');
    assert.match(text, /^(?:tidewire_[a-z_]+ \d+\n)+$/);
    assert.match(text, /^tidewire_connections 1$/m);
    await child.line();
    if (process.platform === 'win32') return;
    child.process.kill('SIGTERM');
    assert.deepEqual(await client.closed, { code: 1012, reason: 'restarting' });
    assert.equal(await child.line(), '1 closed, 0 cut off');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.errors, '');
  },
};

test('every program has a conversation', () => {
  assert.deepEqual([...programs.keys()].sort(), Object.keys(CONVERSATIONS).sort());
});

describe('programs', () => {
  for (const [name, { text, document, line }] of programs) {
    test(`${name} (${document}:${line})`, BOUND, async (context) => {
      const { key, cert } = localhost();
      const folder = folderOf(context, {
        'index.html': files['index.html'],
        'program.js': withAnyPort(text),
        'privkey.pem': key,
        'fullchain.pem': cert,
      });
      const { child, port: nextPort } = runProgram(context, folder, 'program.js');
      const port = await nextPort();
      const url = `ws://127.0.0.1:${port}`;
      await CONVERSATIONS[name]({ child, port, nextPort, url, context });
    });
  }
});

test('the bus of the guide carries what is published to each server, in order, and comes back', {
  ...BOUND,
  skip: process.platform === 'win32' && 'it ends servers by SIGTERM',
}, async (context) => {
  const folder = folderOf(context, files);
  const secret = { BUS_SECRET: 'a secret' };
  const broker = runProgram(context, folder, 'broker.js', secret);
  const busPort = await broker.port();
  const bus = `ws://127.0.0.1:${busPort}/bus`;
  assert.equal((await refusal(bus)).status, 401);

  const servers = [1, 2, 3].map(() => runProgram(context, folder, 'server.js', { ...secret, BUS: bus }));
  const clients = [];
  for (const { child, port } of servers) {
    clients.push(await connect(context, `ws://127.0.0.1:${await port()}`));
    while ((await child.line()) !== 'on the bus');
  }
  const [one, two, three] = clients;
  const MESSAGES = 500;
  for (let at = 0; at < MESSAGES; at++) one.send(`${at}`);
  for (const client of clients) {
    for (let at = 0; at < MESSAGES; at++) assert.equal(await client.text(), `${at}`);
  }

  // The broker ends: what is said now is heard where it is said. Then it begins again, on the same port.
  broker.child.process.kill('SIGKILL');
  await broker.child.exited;
  two.send('alone');
  assert.equal(await two.text(), 'alone');
  writeFileSync(
    path.join(folder, 'again.js'),
    adapt(files['broker.js'], { '.listen(0': `.listen(${busPort}` }),
  );
  await runProgram(context, folder, 'again.js', secret).port();
  for (const { child } of servers) while ((await child.line()) !== 'on the bus');
  three.send('together');
  for (const client of clients) assert.equal(await client.text(), 'together');

  for (const { child } of servers) child.process.kill('SIGTERM');
  for (const { child } of servers) assert.deepEqual(await child.exited, { code: 0, signal: null });
});

describe('all other code', () => {
  for (const { language, words, text, document, line } of blocks) {
    if (language === 'json') test(`${document}:${line} is JSON`, () => JSON.parse(text));
    if (language !== 'js' || words[0] === 'program') continue;
    test(`${document}:${line} can be read`, () => {
      // Statements, as in the body of a function; or handlers, as in an object.
      const errors = [`(async () => {\n${text}\n})`, `({\n${text}\n})`].map(errorIn);
      assert.ok(errors.includes(undefined), `${errors[0]}\n${text}`);
    });
  }
});

describe('links lead somewhere', () => {
  for (const document of [...DOCUMENTS, 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...others()]) {
    test(document, () => {
      const lost = linksOf(document).filter((link) => !isThere(document, link));
      assert.deepEqual(lost, []);
    });
  }
});

/** Documents without code of their own. */
function others() {
  const own = readdirSync(path.join(__dirname, '../docs')).filter((file) => file.endsWith('.md'));
  const named = own.map((file) => `docs/${file}`).filter((file) => !DOCUMENTS.includes(file));
  return [...named, 'bench/README.md', 'fuzz/README.md'];
}

/** Where a document leads, but for the net. */
function linksOf(document) {
  const text = read(document).replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link)
    .filter((link) => !/^https?:/.test(link));
}

function isThere(document, link) {
  const [file, heading] = link.split('#');
  const target = file === '' ? document : path.posix.join(path.posix.dirname(document), file);
  if (!existsSync(path.join(__dirname, '..', target))) return false;
  return heading === undefined || headingsOf(target).includes(heading);
}

/** The names that hosts of repositories give to headings. */
function headingsOf(document) {
  return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the unit of the guide', () => {
  const skip = spawnSync('systemd-analyze', ['--version']).status !== 0 && "there is no 'systemd-analyze'";

  test('is good to systemd', { ...BOUND, skip }, (context) => {
    const [{ text }] = blocks.filter(({ language }) => language === 'systemd');
    const { unit } = filesOf(context, { unit: '' });
    const file = path.join(path.dirname(unit), 'chat.service');
    writeFileSync(file, adapt(text, { '/usr/bin/node': process.execPath }));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    // It speaks of other units of the machine, too.
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('chat.service'));
    assert.deepEqual([status, said], [0, []]);
  });
});

function errorIn(code) {
  try {
    new vm.Script(code);
    return undefined;
  } catch (error) {
    return error.message;
  }
}
