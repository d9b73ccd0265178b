'use strict';

/** What is no request (RFC 9112), and what must not be taken for one: request smuggling (§11.2), splitting (§11.1). */

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { requestText, serveHttp, speak } = require('./support/http');
const { Queue } = require('./support/queue');
const { BOUND } = require('./support/server');

const HOST = 'Host: localhost\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Requests that are refused, and with what. The connection ends behind the answer. */
const REFUSED = [
  ['without a Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['with two Hosts', 400, `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['with a Host that is none', 400, 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
  ['with a bare LF', 400, 'GET / HTTP/1.1\nHost: localhost\n\n'],
  ['with a bare CR', 400, `GET / HTTP/1.1\r\n${HOST}A: b\rc\r\n\r\n`],
  ['with a NUL', 400, `GET / HTTP/1.1\r\n${HOST}A: b\0c\r\n\r\n`],
  ['with a folded field', 400, `GET / HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`],
  ['with a blank before a colon', 400, `GET / HTTP/1.1\r\n${HOST}A : b\r\n\r\n`],
  ['with a line that has no colon', 400, `GET / HTTP/1.1\r\n${HOST}A\r\n\r\n`],
  ['with a blank before its first field', 400, `GET / HTTP/1.1\r\n ${HOST}\r\n`],
  ['with a blank in its target', 400, `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
  ['with a method that is no token', 400, `G(T / HTTP/1.1\r\n${HOST}\r\n`],
  ['of no words at all', 400, '\x16\x03\x01\r\n\r\n'],
  ['of HTTP/1.0', 505, `GET / HTTP/1.0\r\n${HOST}\r\n`],
  ['of HTTP/2.0', 505, `GET / HTTP/2.0\r\n${HOST}\r\n`],
  ['of 101 fields', 431, `GET / HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(100)}\r\n`],
  ['of more than 16 KiB', 431, `GET / HTTP/1.1\r\n${HOST}A: ${'b'.repeat(17_000)}\r\n\r\n`],
  ['with a length and chunks', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n${CHUNKED}\r\n0\r\n\r\n`],
  ['with two lengths', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\na`],
  ['with a list of lengths', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 1, 2\r\n\r\na`],
  ['with a negative length', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`],
  ['with a length that has a sign', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\na`],
  ['with a length in hexadecimal', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x1\r\n\r\na`],
  ['with an empty length', 400, `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\na`],
  [
    'with a length that nobody has',
    400,
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 1${'0'.repeat(30)}\r\n\r\n`,
  ],
  [
    'with a length that JavaScript cannot count',
    400,
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 18446744073709551615\r\n\r\n`,
  ],
  [
    'with a coding that is not known',
    501,
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  ],
  [
    'with chunks that are not last',
    501,
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, gzip\r\n\r\n`,
  ],
  ['with chunks twice', 501, `POST / HTTP/1.1\r\n${HOST}${CHUNKED}${CHUNKED}\r\n0\r\n\r\n`],
];

/** Content that breaks off a request which a handler has: what the handler sees of it, and that the connection ends. */
const BROKEN = [
  ['a length of a chunk that is none', 'x\r\n'],
  ['a length of a chunk with a sign', '+1\r\na\r\n0\r\n\r\n'],
  ['a length of a chunk behind a blank', ' 1\r\na\r\n0\r\n\r\n'],
  ['a length of a chunk that nobody has', `${'f'.repeat(17)}\r\n`],
  ['a chunk that is longer than it says', '1\r\nab\r\n0\r\n\r\n'],
  ['a chunk whose line ends with LF alone', '1\na\r\n0\r\n\r\n'],
  ['a chunk without the line end behind it', '1\r\na0\r\n\r\n'],
  ['an extension without end', `1;${'a'.repeat(10_000)}\r\na\r\n`],
  ['trailers without end', `0\r\n${'A: b\r\n'.repeat(5_000)}`],
];

describe('a request', () => {
  for (const [name, status, text] of REFUSED) {
    test(`${name} gets ${status}, and is the last of its connection`, BOUND, async (context) => {
      const seen = [];
      const { port } = serveHttp(context, (app) => {
        app.any('/*', (res, req) => {
          seen.push(req.getUrl());
          res.end();
        });
      });
      const speaker = await speak(context, port, Buffer.from(text + SMUGGLED, 'latin1'));
      const all = await speaker.all();
      assert.match(all, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(all.match(/^HTTP\/1\.1 \d/gm)?.length, 1, all);
      assert.deepEqual(seen, []);
    });
  }
});

describe('content with', () => {
  for (const [name, text] of BROKEN) {
    test(`${name} aborts its request, and nothing behind it is one`, BOUND, async (context) => {
      const aborted = new Queue();
      const seen = [];
      const { port } = serveHttp(context, (app) => {
        app.any('/*', (res, req) => {
          seen.push(req.getUrl());
          res.onAborted(() => aborted.push(req.getUrl()));
          res.collectBody(100_000, (body) => res.end(`${body?.byteLength}`));
        });
      });
      const head = requestText('POST', '/', ['Transfer-Encoding: chunked']);
      const speaker = await speak(context, port, head + text + SMUGGLED);
      const all = await speaker.all();
      assert.doesNotMatch(all, /^HTTP\/1\.1 200/m);
      assert.equal(await aborted.next(), '/');
      assert.deepEqual([aborted.all, seen], [['/'], ['/']]);
    });
  }
});
