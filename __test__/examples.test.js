'use strict';

const assert = require('node:assert/strict');
const { X509Certificate } = require('node:crypto');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const WebSocket = require('./support/ws');
const { ON_WINDOWS, runFile } = require('./support/child');
const { connect } = require('./support/client');
const { ask, requestText, speak } = require('./support/http');
const { connectRaw } = require('./support/raw_client');
const { BOUND } = require('./support/server');
const { askTls, connectTls } = require('./support/tls');

/** A directory for one test. */
function directoryFor(context) {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** What a client of each example says, and what it must hear. */
const CONVERSATIONS = {
  'Backpressure.js': async (client, url, context) => {
    const PIECES = 2_000;
    client.socket.pause();
    client.send(String(PIECES));
    // Others are served while 32 MB wait for this one to read.
    const other = await connect(context, url);
    other.send('1');
    const [piece] = await other.messages.next();
    assert.ok(piece.equals(Buffer.alloc(16 * 1024, 1)));
    assert.equal(await other.text(), 'that was all');
    client.socket.resume();
    for (let left = PIECES; left > 0; left--) {
      const [data] = await client.messages.next();
      assert.ok(data.length === 16 * 1024 && data[0] === (left & 0xff), `piece ${left}`);
    }
    assert.equal(await client.text(), 'that was all');
    other.send('some');
    assert.deepEqual(await other.closed, { code: 1003, reason: 'say how many pieces' });
  },
  'Broadcast.js': async (client) => {
    assert.equal(await client.text(), 'You are one of 1');
    assert.match(await client.text(), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  },
  'GracefulShutdown.js': async (client) => {
    client.send('hello');
    assert.equal(await client.text(), 'hello');
  },
  'PubSub.js': async (client, url, context) => {
    const other = await connect(context, url);
    const say = async (text) => {
      client.send(text);
      return client.text();
    };
    assert.equal(await say('publish news x'), 'nobody is there');
    assert.equal(await say('subscribe news'), '1 subscribed to news');
    assert.equal(await say('publish news x'), 'nobody is there');
    other.send('subscribe news', 'publish news hello there');
    assert.equal(await other.text(), '2 subscribed to news');
    assert.equal(await other.text(), 'published');
    assert.equal(await client.text(), 'news: hello there');
    assert.equal(await say('unsubscribe news'), 'unsubscribed from news');
    assert.equal(await say('unsubscribe news'), 'not subscribed to news');
    assert.equal(await say('what?'), 'say: subscribe NAME, unsubscribe NAME, or publish NAME MESSAGE');
  },
  'Chat.js': async (client, url, context) => {
    const heard = async (from) => JSON.parse(await from.text());
    client.send('Ann');
    assert.deepEqual(await heard(client), { names: [] });
    assert.deepEqual(await heard(client), { joined: 'Ann' });
    const other = await connect(context, `${url}/chat`);
    other.send('Bob', 'hello');
    assert.deepEqual(await heard(other), { names: ['Ann'] });
    for (const each of [client, other]) {
      assert.deepEqual(await heard(each), { joined: 'Bob' });
      assert.deepEqual(await heard(each), { name: 'Bob', text: 'hello' });
    }
    other.socket.close();
    assert.deepEqual(await heard(client), { left: 'Bob' });
  },
  'WebSocket.js': async (client) => {
    client.send('hello', Buffer.from([1, 2, 3]));
    assert.deepEqual(await client.messages.take(2), [
      [Buffer.from('hello'), false],
      [Buffer.from([1, 2, 3]), true],
    ]);
  },
  'Upgrade.js': async (client, url) => {
    assert.equal(await client.text(), 'hello joe');
    client.send('hi');
    assert.equal(await client.text(), 'joe: hi');
    assert.equal(await refused(url), 401);
  },
  'UpgradeAsync.js': async (client, url) => {
    assert.equal(await client.text(), 'hello joe');
    client.send('hi');
    assert.equal(await client.text(), 'hi');
    assert.equal(await refused(`${url}/?token=none`), 403);
  },
  'WorkerThreads.js': async (client, url, context) => {
    const threads = [await client.text()];
    for (let turn = 1; turn < 4; turn++) threads.push(await (await connect(context, url)).text());
    const [first, second] = threads;
    assert.notEqual(first, second);
    assert.deepEqual(threads, [first, second, first, second]);
    client.send('hello');
    assert.equal(await client.text(), 'hello');
  },
  'RateLimit.js': async (client, url, context) => {
    client.send('one');
    assert.equal(await client.text(), 'one');
    const other = await connect(context, url);
    assert.equal(await refused(url), 429);
    // Never so many in one second, nor in two.
    for (let sent = 0; sent < 10; sent++) other.send('flood');
    assert.deepEqual(await other.closed, { code: 1008, reason: 'too many messages' });
  },
};

/** What the first client asks for, beside '/'. */
const QUERIES = { 'Chat.js': '/chat', 'Upgrade.js': '/?name=joe', 'UpgradeAsync.js': '/?token=secret' };

/** How it ends the first client by SIGINT, unless by 1006. */
const ENDS = ON_WINDOWS ? {} : { 'GracefulShutdown.js': 1012 };

/** The certificate of a server, in PEM. */
function certificateOf(socket) {
  return new X509Certificate(socket.getPeerCertificate().raw).toString();
}

/** The status that a client is refused with. */
async function refused(url) {
  const [request, response] = await once(new WebSocket(url), 'unexpected-response');
  request.destroy();
  return response.statusCode;
}

/** What those that serve HTTP are asked, and what they must answer. */
const DIALOGUES = {
  'HelloWorld.js': async ({ port }) => {
    assert.equal((await ask(port, '/any/where')).text, 'Hello World!');
  },
  'HttpParsingErrorHandling.js': async ({ port, child, context }) => {
    assert.equal((await ask(port, '/')).text, 'This was HTTP.');
    const speaker = await speak(context, port, 'no request at all\r\n\r\n');
    assert.match(await speaker.all(), /^HTTP\/1\.1 400 /);
    assert.equal(await child.line(), 'Refused so far: {"400":1}');
  },
  'JsonPost.js': async ({ port }) => {
    const post = (body) => ask(port, '/sum', { method: 'POST', body });
    assert.deepEqual(JSON.parse((await post('[1, 2, 39]')).text), { sum: 42 });
    for (const body of ['no JSON', '{}', 'null', '["1"]']) assert.equal((await post(body)).status, 400);
    assert.equal((await post(`[${'1,'.repeat(100_000)}1]`)).status, 413);
  },
  'ParseRequestBody.js': async ({ port }) => {
    const post = async (type, body) => {
      const { status, text } = await ask(port, '/', {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      return status === 200 ? JSON.parse(text) : status;
    };
    assert.deepEqual(await post('application/json; charset=utf-8', '{"a":[1]}'), { a: [1] });
    assert.equal(await post('application/json', '{'), 400);
    assert.deepEqual(await post('application/x-www-form-urlencoded', 'a=b+c&d=%26'), { a: 'b c', d: '&' });
    const form = new FormData();
    form.append('a', 'b');
    form.append('file', new Blob(['12345']), 'five.txt');
    const encoded = new Response(form);
    const type = encoded.headers.get('content-type');
    const body = Buffer.from(await encoded.arrayBuffer());
    const expected = { a: 'b', file: { filename: 'five.txt', bytes: 5 } };
    assert.deepEqual(await post(type, body), expected);
    assert.equal(await post('text/plain', 'a'), 415);
    assert.equal(await post('text/plain', 'a'.repeat(1024 * 1024 + 1)), 413);
  },
  'Router.js': async ({ port }) => {
    const say = async (method, path) => {
      const { status, text } = await ask(port, path, { method });
      return [status, text];
    };
    assert.deepEqual(await say('GET', '/notes/1'), [200, 'buy milk']);
    assert.deepEqual(await say('GET', '/notes/latest'), [200, 'buy milk']);
    assert.deepEqual(await say('PUT', '/notes/2?text=call+Ann'), [201, '']);
    assert.deepEqual(await say('GET', '/notes'), [200, '["1","2"]']);
    assert.deepEqual(await say('GET', '/notes/latest'), [200, 'call Ann']);
    for (const id of [1, 2]) assert.deepEqual(await say('DELETE', `/notes/${id}`), [204, '']);
    assert.deepEqual(await say('DELETE', '/notes/1'), [404, '']);
    assert.deepEqual(await say('GET', '/notes/latest'), [404, 'no such note']);
    assert.deepEqual(await say('POST', '/x'), [404, 'nothing answers POST /x']);
  },
  'ServerSentEvents.js': async ({ port, context }) => {
    assert.match((await ask(port, '/')).text, /EventSource/);
    const speaker = await speak(context, port, requestText('GET', '/events', ['Last-Event-ID: 7']));
    assert.match(await speaker.hear('the last was 7'), /content-type: text\/event-stream\r\n/);
    for (let at = 0; at < 3; at++) await speaker.hear(/id: \d+\ndata: \d{4}-.*Z\n\n/);
  },
  'StaticFileServer.js': async ({ port, directory, context }) => {
    writeFileSync(path.join(directory, 'index.html'), '<p>hi</p>');
    writeFileSync(path.join(directory, 'a b.js'), 'x'.repeat(100_000));
    const { headers, text } = await ask(port, '/');
    assert.deepEqual([headers['content-type'], text], ['text/html', '<p>hi</p>']);
    assert.equal((await ask(port, '/', { headers: { 'if-none-match': headers.etag } })).status, 304);
    assert.equal((await ask(port, '/a%20b.js')).text.length, 100_000);
    const head = await ask(port, '/a%20b.js', { method: 'HEAD' });
    assert.deepEqual([head.headers['content-length'], head.text], ['100000', '']);
    assert.equal((await ask(port, '/none')).status, 404);
    if (process.platform === 'linux') {
      // A file that cannot be read, not even by root.
      symlinkSync('/proc/self/mem', path.join(directory, 'unreadable'));
      assert.equal((await ask(port, '/unreadable')).status, 404);
    }
    for (const way of ['/../examples.test.js', '/%2e%2e/package.json', '/%00', '/%', '/..']) {
      const speaker = await speak(context, port, requestText('GET', way));
      assert.match(await speaker.hear('\r\n\r\n'), /^HTTP\/1\.1 404 /, way);
    }
  },
  'TLS.js': async ({ port, child, context }) => {
    assert.equal(await child.line(), `Open https://localhost:${port}`);
    const ca = certificateOf(await connectTls(context, port, { rejectUnauthorized: false }));
    const { headers, text } = await askTls(port, '/', { host: 'localhost', ca });
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.match(text, /new WebSocket\('wss:/);
    for (const host of ['localhost', '127.0.0.1']) {
      const client = await connect(context, `wss://${host}:${port}/echo`, { ca });
      client.send('hello');
      assert.equal(await client.text(), 'hello');
      client.socket.close();
    }
    assert.equal((await ask(port, '/')).status, 400);
    if (ON_WINDOWS) return;
    child.signal('SIGHUP');
    assert.equal(await child.line(), 'The certificate was renewed');
  },
  'Upload.js': async ({ port, directory, context }) => {
    const body = Buffer.alloc(5_000_000, 'abcdefg');
    const { status, text } = await ask(port, '/file.bin', { method: 'PUT', body });
    assert.deepEqual([status, text], [201, '5000000 bytes in file.bin']);
    assert.ok(readFileSync(path.join(directory, 'file.bin')).equals(body));
    assert.equal((await ask(port, '/..', { method: 'PUT', body: '' })).status, 400);
    if (process.platform === 'linux') {
      // A disk that is full. The link is removed, as a half file is.
      symlinkSync('/dev/full', path.join(directory, 'full'));
      const refused = await ask(port, '/full', { method: 'PUT', body: 'some' });
      assert.equal(refused.status, 500);
      assert.match(refused.text, /ENOSPC|No space left/);
    }
    // One that breaks off leaves nothing.
    const speaker = await speak(context, port, requestText('PUT', '/half', ['Content-Length: 100'], 'half'));
    speaker.socket.resetAndDestroy();
    assert.equal((await ask(port, '/whole', { method: 'PUT', body: 'w' })).status, 201);
    assert.deepEqual(
      readdirSync(directory)
        .filter((name) => name !== 'half')
        .sort(),
      ['file.bin', 'whole'],
    );
  },
  'VideoStreamer.js': async ({ port, directory }) => {
    const video = Buffer.alloc(6_000_000);
    for (let at = 0; at < video.length; at += 4) video.writeUInt32LE(at, at);
    writeFileSync(path.join(directory, 'video'), video);
    const whole = await ask(port, '/video');
    assert.deepEqual([whole.status, whole.headers['content-length']], [200, '6000000']);
    assert.ok(whole.body.equals(video));
    const part = async (range) => {
      const { status, headers, body } = await ask(port, '/video', { headers: { range } });
      return [status, headers['content-range'], body];
    };
    assert.deepEqual(await part('bytes=10-19'), [206, 'bytes 10-19/6000000', video.subarray(10, 20)]);
    assert.deepEqual(await part('bytes=5999990-'), [
      206,
      'bytes 5999990-5999999/6000000',
      video.subarray(-10),
    ]);
    assert.equal((await part('bytes=6000000-'))[0], 416);
    writeFileSync(path.join(directory, 'video'), '');
    assert.equal((await ask(port, '/video')).body.length, 0);
    rmSync(path.join(directory, 'video'));
    assert.equal((await ask(port, '/video')).status, 404);
  },
};

const files = readdirSync(path.join(__dirname, '../examples')).filter((file) => /\.m?js$/.test(file));

test('every example has a conversation', () => {
  assert.deepEqual(files.sort(), Object.keys({ ...CONVERSATIONS, ...DIALOGUES }).sort());
});

/** Runs an example, and says what port it listens on. */
async function run(context, file, env) {
  const child = runFile(context, path.join('examples', file), { PORT: '0', ...env });
  const line = await child.line();
  const [, port] = line.match(/^Listening on port (\d+)$/) ?? [];
  assert.ok(port, `it printed ${line}`);
  return { child, port: Number(port) };
}

for (const [file, converse] of Object.entries(CONVERSATIONS)) {
  test(`examples/${file} does what it says, and ends by SIGINT`, BOUND, async (context) => {
    const { child, port } = await run(context, file, { CONNECTIONS: '2', MESSAGES: '3', THREADS: '2' });
    const url = `ws://127.0.0.1:${port}`;
    const client = await connect(context, url + (QUERIES[file] ?? ''));
    await converse(client, url, context);
    child.signal('SIGINT');
    assert.equal((await client.closed).code, ENDS[file] ?? 1006);
    assert.deepEqual(await child.ended(), { code: 0, signal: null });
    assert.equal(child.errors, '');
  });
}

for (const [file, talk] of Object.entries(DIALOGUES)) {
  test(`examples/${file} does what it says, and ends by SIGINT`, BOUND, async (context) => {
    const directory = directoryFor(context);
    const env = { MILLISECONDS: '20', DIRECTORY: directory, FILE: path.join(directory, 'video') };
    const { child, port } = await run(context, file, env);
    await talk({ port, child, directory, context });
    child.signal('SIGINT');
    assert.deepEqual(await child.ended(), { code: 0, signal: null });
    assert.equal(child.errors, '');
  });
}

for (const file of files) {
  test(`examples/${file} says that its port is busy`, BOUND, async (context) => {
    const server = net.createServer().listen(0);
    context.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address();
    const child = runFile(context, path.join('examples', file), { PORT: String(port) });
    assert.deepEqual(await child.exited, { code: 1, signal: null });
    assert.match(child.errors, new RegExp(`port ${port}`));
  });
}

test(
  'examples/GracefulShutdown.js tells what it closed, and ends at once by a second signal',
  BOUND,
  async (context) => {
    if (ON_WINDOWS) return context.skip('nobody can send the signals');
    const child = runFile(context, 'examples/GracefulShutdown.js', { PORT: '0', SECONDS: '3600' });
    const [, port] = (await child.line()).match(/(\d+)$/) ?? [];
    const polite = await connect(context, `ws://127.0.0.1:${port}`);
    const silent = await connectRaw(context, Number(port));
    child.signal('SIGTERM');
    assert.deepEqual(await polite.closed, { code: 1012, reason: 'restarting' });
    assert.deepEqual(await silent.closeFrame(), { code: 1012, reason: 'restarting' });
    child.signal('SIGINT');
    assert.deepEqual(Array(2).fill('a client was told 1012'), [await child.line(), await child.line()]);
    // The server may not have read the first one's FIN before the second signal.
    assert.match(await child.line(), /^(1 closed, 1|0 closed, 2) cut off$/);
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    await silent.ended;
  },
);
