'use strict';

/** Writes what is uploaded by PUT into files. The disk sets the pace: the client waits for it, not the memory. */

const { createWriteStream, mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const directory = process.env.DIRECTORY ?? mkdtempSync(path.join(tmpdir(), 'uploads-'));

const app = App();

app
  .put('/:name', (res, req) => {
    const name = req.getParameter('name') ?? '';
    if (!/^\w[\w.-]*$/.test(name)) {
      res.writeStatus('400 Bad Request').end('a name has letters, digits, dots and dashes');
      return;
    }
    const file = path.join(directory, name);
    const stream = createWriteStream(file);
    let bytes = 0;
    let open = true;
    const giveUp = () => {
      open = false;
      stream.destroy();
      rmSync(file, { force: true });
    };
    res.onAborted(giveUp);
    stream.on('error', (error) => {
      if (!open) return;
      giveUp();
      res.writeStatus('500 Internal Server Error').end(error.message, true);
    });
    stream.on('drain', () => {
      if (open) res.resume();
    });
    res.onData((chunk, isLast) => {
      bytes += chunk.byteLength;
      if (!stream.write(Buffer.from(chunk))) res.pause();
      if (isLast) stream.end();
    });
    // All of it is written. The callback of `stream.end` would be called for a full disk, too.
    stream.on('finish', () => {
      if (!open) return;
      open = false;
      res.writeStatus('201 Created').end(`${bytes} bytes in ${name}`);
    });
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
