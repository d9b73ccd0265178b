'use strict';

/** Streams a file of any size, or the range of it that a player asks for, at the pace of the client. */

const { createReadStream, statSync } = require('node:fs');
const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const file = process.env.FILE ?? __filename;

/**
 * The bytes that a request is for (RFC 9110 §14.2): one range, or all of the file.
 * @param {string} range 'bytes=100-199'; the last byte may be left out
 * @param {number} size
 */
function rangeOf(range, size) {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
  if (first === undefined) return { start: 0, end: size - 1, isPart: false };
  return { start: Number(first), end: Math.min(last ? Number(last) : size, size - 1), isPart: true };
}

const app = App();

app
  .get('/video', (res, req) => {
    const info = statSync(file, { throwIfNoEntry: false });
    if (info === undefined) {
      res.writeStatus('404 Not Found').end('no such file');
      return;
    }
    const { size } = info;
    const { start, end, isPart } = rangeOf(req.getHeader('range'), size);
    const total = end - start + 1;
    if (total <= 0) {
      res.writeStatus(size === 0 ? '200 OK' : '416 Range Not Satisfiable').end();
      return;
    }
    if (isPart)
      res.writeStatus('206 Partial Content').writeHeader('content-range', `bytes ${start}-${end}/${size}`);
    res.writeHeader('content-type', 'video/mp4').writeHeader('accept-ranges', 'bytes');

    const stream = createReadStream(file, { start, end });
    /** @type {{ chunk: Buffer, offset: number }} What may not be written yet, and where it begins in the response. */
    let rest = { chunk: Buffer.alloc(0), offset: 0 };
    const write = (/** @type {Buffer} */ chunk) => {
      rest = { chunk, offset: res.getWriteOffset() };
      const [ok, done] = res.tryEnd(chunk, total);
      if (done) stream.destroy();
      else if (ok) stream.resume();
      else stream.pause();
      return ok;
    };
    res.onWritable((offset) => write(rest.chunk.subarray(offset - rest.offset)));
    res.onAborted(() => stream.destroy());
    stream.on('data', (chunk) => write(/** @type {Buffer} */ (chunk)));
    stream.on('error', () => res.close());
  })
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => app.close());
  });
