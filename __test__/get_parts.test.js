'use strict';

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { getParts } = require('tidewire');
const { ask, serveHttp } = require('./support/http');
const { BOUND } = require('./support/server');

const FORM = 'multipart/form-data; boundary=XX';

/** The parts with their data as text. */
function parts(body, contentType = FORM) {
  return getParts(body, contentType)?.map(({ data, ...part }) => {
    assert.ok(data instanceof ArrayBuffer);
    return { ...part, data: Buffer.from(data).toString('latin1') };
  });
}

/** A body of lines, each ended by CRLF but the last. */
const lines = (...all) => all.join('\r\n');

/** A body with one part of this disposition. */
const oneOf = (disposition, data = 'd') =>
  lines('--XX', `Content-Disposition: ${disposition}`, '', data, '--XX--', '');

describe('getParts', () => {
  test('gives name, data, type and filename', () => {
    const body = lines(
      '--XX',
      'Content-Disposition: form-data; name="text"',
      '',
      'a value',
      '--XX',
      'content-disposition: form-data; name="file"; filename="a b.bin"',
      'CONTENT-TYPE: application/octet-stream; a=b',
      'X-Other: c',
      '',
      '\0\r\n\r\n--X\r\n',
      '--XX',
      'Content-Disposition: form-data; name=empty',
      '',
      '',
      '--XX--',
      '',
    );
    assert.deepEqual(parts(body), [
      { name: 'text', data: 'a value' },
      {
        name: 'file',
        filename: 'a b.bin',
        type: 'application/octet-stream; a=b',
        data: '\0\r\n\r\n--X\r\n',
      },
      { name: 'empty', data: '' },
    ]);
  });

  test('takes text and bytes, and copies the data', () => {
    const body = Buffer.from(`--${oneOf('form-data; name="n"').slice(2)}`);
    for (const kind of [body, new Uint8Array(body).buffer, new DataView(new Uint8Array(body).buffer)]) {
      assert.deepEqual(parts(kind), [{ name: 'n', data: 'd' }]);
    }
    const [{ data }] = getParts(body, Buffer.from(FORM));
    body.fill(0);
    assert.equal(Buffer.from(data).toString(), 'd');
    assert.throws(() => getParts(1, FORM), { code: 'TIDEWIRE_TEXT_OR_DATA' });
  });

  test('is undefined for what is no multipart, or has no boundary', () => {
    const body = oneOf('form-data; name="n"');
    for (const type of ['', 'text/plain', 'application/json; boundary=XX', 'multipart/form-data']) {
      assert.equal(getParts(body, type), undefined, type);
    }
    assert.equal(getParts(body, `multipart/form-data; boundary=${'X'.repeat(71)}`), undefined);
    assert.equal(getParts(body, 'multipart/form-data; boundary='), undefined);
  });

  test('knows the forms of a boundary', () => {
    const one = [{ name: 'n', data: 'd' }];
    const body = oneOf('form-data; name="n"');
    for (const type of [
      'multipart/form-data; charset=utf-8; boundary=XX',
      'Multipart/Form-Data;boundary="XX"',
      'multipart/mixed; BOUNDARY=XX; charset=utf-8',
    ]) {
      assert.deepEqual(parts(body, type), one, type);
    }
    const spaced = body.replaceAll('XX', "a b'()+_,-./:=?c");
    assert.deepEqual(parts(spaced, `multipart/form-data; boundary="a b'()+_,-./:=?c"`), one);
  });

  test('knows preamble, epilogue, and blanks behind a delimiter', () => {
    const body = `preamble --XX\r\n--XXZ\r\n${oneOf('form-data; name="n"').replace('--XX\r\n', '--XX \t\r\n')}--XX\r\nmore`;
    assert.deepEqual(parts(`\r\n${body}`), [{ name: 'n', data: 'd' }]);
    assert.deepEqual(parts(body), [{ name: 'n', data: 'd' }]);
  });

  test('takes what is like a delimiter for data', () => {
    for (const data of ['-XX', 'x--XX--', '\r\n--XXY', '\n--XX\n', '\r\n--X', '\r\n--XX x']) {
      assert.deepEqual(parts(oneOf('form-data; name="n"', data)), [{ name: 'n', data }], data);
    }
  });

  test('names of every kind', () => {
    const name = (disposition) => parts(oneOf(disposition))?.[0]?.name;
    assert.equal(name('form-data; name="a;b=\\"c\\"\\\\"'), 'a;b="c"\\');
    assert.equal(name('form-data; name="C:\\dir"'), 'C:\\dir');
    assert.equal(name('form-data;name=token ;filename=x'), 'token');
    assert.equal(name('form-data; filename="name=x"; name="n"'), 'n');
    assert.equal(name('form-data; name="first"; name="second"'), 'first');
    assert.equal(name('form-data; name="grün"'), 'grün');
    assert.equal(name('form-data; name="%22a%0D"'), '%22a%0D');
    assert.equal(name('form-data; name=""'), '');
    assert.equal(name('form-data; name="__proto__"'), '__proto__');
  });

  test('leaves out what has no name, and what is not whole', () => {
    for (const disposition of [
      'form-data',
      'attachment; name="n"',
      'form-data; filename="f"',
      'form-data; names="n"',
    ]) {
      assert.deepEqual(parts(oneOf(disposition)), [], disposition);
    }
    const whole = oneOf('form-data; name="n"');
    for (let end = 0; end < whole.length - 4; end++)
      assert.deepEqual(parts(whole.slice(0, end)), [], `${end}`);
    assert.deepEqual(parts(whole.slice(0, -2)).length, 1);
    assert.deepEqual(parts('--XX\r\n\r\ndata\r\n--XX\r\nno empty line\r\n--XX--'), []);
    assert.deepEqual(parts(''), []);
    assert.deepEqual(parts('--XX--'), []);
  });

  test('any bytes whatever are parts or none, in time', { timeout: 20_000 }, () => {
    const pieces = [
      '\r\n',
      '--XX',
      '--',
      '\r\n\r\n',
      'content-disposition: form-data; name="',
      '"',
      ' ',
      ';',
      'a',
      '\\',
      '\0',
      '=',
    ];
    let state = 1;
    for (let round = 0; round < 3_000; round++) {
      let body = '';
      for (let piece = 0; piece < 30; piece++) {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        body += pieces[(state >>> 16) % pieces.length];
      }
      assert.ok(Array.isArray(parts(body)));
    }
    // Where a careless search would take the square of the length.
    const million = 1_000_000;
    for (const body of [
      '\r\n--XX'.repeat(million / 6),
      '\r\n--XX\r\n'.repeat(million / 8),
      `\r\n--XX${' '.repeat(million)}`,
      `\r\n--XX${' '.repeat(100)}`.repeat(million / 100),
      `--XX\r\nContent-Disposition: form-data${'; a="'.repeat(million / 5)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\nContent-Disposition: form-data${';'.repeat(million)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\nContent-Disposition: form-data; ${'a'.repeat(million)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\nContent-Disposition: form-data; name="${'\\'.repeat(million)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\n${'a: b\r\n'.repeat(million / 6)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\nContent-Disposition: form-data${';\t'.repeat(million / 2)}\r\n\r\nd\r\n--XX--`,
      `--XX\r\nContent-Disposition: form-data; ${' '.repeat(million)}\r\n\r\nd\r\n--XX--`,
    ]) {
      assert.ok(Array.isArray(getParts(body, FORM)));
    }
    assert.equal(getParts('', `multipart/form-data;${' '.repeat(100_000)}boundary`), undefined);
  });

  test('leaves out a part with more than 16 KiB of header fields, however many there are', BOUND, () => {
    const named = (bytes) => oneOf(`form-data; name="${'a'.repeat(bytes)}"`);
    assert.equal(parts(named(16_000)).length, 1);
    for (const bytes of [17_000, 40_000_000]) assert.deepEqual(parts(named(bytes)), []);
  });

  test('reads the form that a client sends', BOUND, async (context) => {
    const { port } = serveHttp(context, (app) => {
      app.post('/', (res, req) => {
        const type = req.getHeader('content-type');
        res.onAborted(() => {});
        res.collectBody(1_000_000, (body) => {
          const all = getParts(body, type) ?? [];
          res.end(JSON.stringify(all.map((part) => ({ ...part, data: Buffer.from(part.data).toString() }))));
        });
      });
    });
    const form = new FormData();
    form.append('field', 'grüße');
    const file = new Blob(['content'], { type: 'text/plain' });
    form.append('file', file, 'ä"b.txt');
    const response = new Response(form);
    const { text } = await ask(port, '/', {
      method: 'POST',
      headers: { 'content-type': response.headers.get('content-type') },
      body: Buffer.from(await response.arrayBuffer()),
    });
    assert.deepEqual(JSON.parse(text), [
      { name: 'field', data: 'grüße' },
      { name: 'file', type: file.type, filename: 'ä%22b.txt', data: 'content' },
    ]);
  });
});
