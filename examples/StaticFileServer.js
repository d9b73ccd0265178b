'use strict';

/** Serves the files of a directory, and answers 304 where the browser has the file already. */

const { readFile, stat } = require('node:fs/promises');
const path = require('node:path');
const { App, us_socket_local_port } = require('tidewire');

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
  const isKnown = req.getHeader('if-none-match') === etag;
  const isWanted = !isKnown && req.getMethod() === 'get';
  // It may be gone by now, or not ours to read: no error of a handler may end the server.
  const content = isWanted ? await readFile(file).catch(() => null) : null;
  if (gone) return;
  if (isWanted && content === null) {
    res.writeStatus('404 Not Found').end('no such file');
    return;
  }
  res
    .writeStatus(isKnown ? '304 Not Modified' : '200 OK')
    .writeHeader('etag', etag)
    .writeHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
  if (content === null) res.endWithoutBody(info.size);
  else res.end(content);
}

const app = App();

app
  .get('/*', serve)
  .head('/*', serve)
  .listen(port, (token) => {
    if (!token) {
      console.error(`Cannot listen on port ${port}: it is in use, or not ours to take`);
      process.exitCode = 1;
      return;
    }
    console.log(`Listening on port ${us_socket_local_port(token)}`);
    process.once('SIGINT', () => app.close());
  });
