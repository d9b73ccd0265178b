'use strict';

/** Reads the three kinds of content that browsers send: JSON, a plain form, and a form with files. */

const { App, getParts, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const MOST_BYTES = 1024 * 1024;

/**
 * Content as an object, or null if it is of none of these kinds.
 * @param {ArrayBuffer} body
 * @param {string} type
 * @returns {unknown}
 */
function parsed(body, type) {
  const [kind] = type.split(';', 1);
  switch (kind.trim().toLowerCase()) {
    case 'application/json':
      return JSON.parse(Buffer.from(body).toString());
    case 'application/x-www-form-urlencoded':
      return Object.fromEntries(new URLSearchParams(Buffer.from(body).toString()));
    case 'multipart/form-data': {
      const fields = getParts(body, type)?.map(({ name, filename, data }) => [
        name,
        filename === undefined ? Buffer.from(data).toString() : { filename, bytes: data.byteLength },
      ]);
      return Object.fromEntries(fields ?? []);
    }
    default:
      return null;
  }
}

const app = App();

app
  .post('/*', (res, req) => {
    const type = req.getHeader('content-type');
    // Nobody calls back when the client is gone, so there is nothing to do then.
    res.onAborted(() => {});
    res.collectBody(MOST_BYTES, (body) => {
      if (body === null) {
        res.writeStatus('413 Content Too Large').end();
        return;
      }
      try {
        const content = parsed(body, type);
        if (content === null) res.writeStatus('415 Unsupported Media Type');
        res.writeHeader('content-type', 'application/json').end(JSON.stringify(content));
      } catch {
        res.writeStatus('400 Bad Request').end('this is not what it says that it is');
      }
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
