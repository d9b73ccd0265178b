'use strict';

/**
 * A file of more than 2 GiB is streamed from a read stream to a client that now and then reads nothing: all of
 * it comes, and no more of it is in memory than a little.
 */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeSync } = require('node:fs');
const http = require('node:http');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { runFile } = require('../support/child');
const { pause } = require('../support/http');

const BYTES = 2 ** 31 + 50_000_000;

/** Where there is something in the file; all else is zeros, which take no room on the disk. */
const MARKS = [0, 2 ** 31 - 4, 2 ** 31 + 4, BYTES - 8];

/** Resident memory of a process in bytes; 0 where the system does not tell. */
function residentBytes(pid) {
  if (process.platform !== 'linux') return 0;
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

test('a large file is streamed with little memory', { timeout: 240_000 }, async (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidewire-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'file');
  const descriptor = openSync(file, 'w');
  for (const mark of MARKS) writeSync(descriptor, Buffer.from(`${mark}`.padEnd(8).slice(0, 8)), 0, 8, mark);
  closeSync(descriptor);

  const child = runFile(context, 'examples/VideoStreamer.js', { PORT: '0', FILE: file });
  const [port] = (await child.line()).match(/\d+/);
  const request = http.get({ port, host: '127.0.0.1', path: '/video', agent: false });
  context.after(() => request.destroy());
  const [response] = await once(request, 'response');
  assert.equal(response.headers['content-length'], `${BYTES}`);

  let bytes = 0;
  let most = 0;
  let marked = 0;
  for await (const piece of response) {
    if (bytes >>> 28 !== (bytes + piece.length) >>> 28) {
      await pause(50);
      most = Math.max(most, residentBytes(child.process.pid));
    }
    // A mark may lie across two pieces: then it is not looked at.
    for (const mark of MARKS.filter((mark) => mark >= bytes && mark + 8 <= bytes + piece.length)) {
      assert.equal(piece.toString('latin1', mark - bytes, mark - bytes + 8), `${mark}`.padEnd(8).slice(0, 8));
      marked += 1;
    }
    bytes += piece.length;
  }
  assert.equal(bytes, BYTES);
  assert.ok(marked >= 2, `${marked}`);
  assert.ok(most < 250 * 1024 * 1024, `${most}`);
});
