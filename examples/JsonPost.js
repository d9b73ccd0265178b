'use strict';

/** Takes JSON by POST, at most 64 KiB of it, and answers with JSON. */

const { App, us_socket_local_port } = require('tidewire');

const port = Number(process.env.PORT ?? 9001);
const MOST_BYTES = 64 * 1024;

/**
 * What came may be anything: JSON or not, an array or not.
 * @param {ArrayBuffer} body
 * @returns {number[] | null}
 */
function numbersIn(body) {
  try {
    const value = JSON.parse(Buffer.from(body).toString());
    return Array.isArray(value) && value.every(Number.isFinite) ? value : null;
  } catch {
    return null;
  }
}

const app = App();

app
  .post('/sum', (res) => {
    // Nobody calls back when the client is gone, so there is nothing to do then.
    res.onAborted(() => {});
    res.collectBody(MOST_BYTES, (body) => {
      if (body === null) {
        res.writeStatus('413 Content Too Large').end(`at most ${MOST_BYTES} bytes`, true);
        return;
      }
      const numbers = numbersIn(body);
      if (numbers === null) {
        res.writeStatus('400 Bad Request').end('an array of numbers is wanted');
        return;
      }
      const sum = numbers.reduce((one, other) => one + other, 0);
      res.writeHeader('content-type', 'application/json').end(JSON.stringify({ sum }));
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
