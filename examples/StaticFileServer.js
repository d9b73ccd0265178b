'use strict';

/** Serves the files of a directory, and answers 304 where the browser has the file already. */

const { readFile, stat } = require('node:fs/promises');
const path = require('node:path');
const { App, us_listen_socket_close, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const root = path.resolve(process.env.DIRECTORY ?? __dirname);

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

/**
 * The file that a path means, or null if it is none of the directory.
 * @param {string} url
 */
function fileOf(url) {
  try {
    const file = path.join(root, decodeURIComponent(url.endsWith('/') ? `${url}index.html` : url));
    return file.startsWith(root + path.sep) && !file.includes('\0') ? file : null;
  } catch {
    return null;
  }
}

/** @type {import('tidewire').HttpHandler} */
async function serve(res, req) {
  let gone = false;
  res.onAborted(() => {
    gone = true;
  });
  const file = fileOf(req.getUrl());
  const info = file === null ? null : await stat(file).catch(() => null);
  if (gone) return;
  if (file === null || !info?.isFile()) {
    res.writeStatus('404 Not Found').end('no such file');
    return;
  }
  const etag = `"${info.size}-${info.mtimeMs}"`;
  res.writeStatus(req.getHeader('if-none-match') === etag ? '304 Not Modified' : '200 OK');
  res
    .writeHeader('etag', etag)
    .writeHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
  if (req.getMethod() === 'head' || req.getHeader('if-none-match') === etag) {
    res.endWithoutBody(info.size);
    return;
  }
  const content = await readFile(file);
  if (!gone) res.end(content);
}

const app = App();

app
  .get('/*', serve)
  .head('/*', serve)
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => {
      us_listen_socket_close(token);
      app.close();
    });
  });
