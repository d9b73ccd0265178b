'use strict';

// The server of the soak: two Apps in one process, one of them over TLS. Echoes and publishes, verifies what comes,
// and answers GET /state with all that it has counted. `node server.js`; TOPICS, PUBLICATIONS (a second), TLS_KEY and TLS_CERT.

const {
  App,
  SSLApp,
  DEDICATED_COMPRESSOR_8KB,
  DEDICATED_DECOMPRESSOR,
  DISABLED,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  us_socket_local_port: localPort,
} = require('../..');
const { Ledger } = require('./ledger');
const { HEAD_BYTES, content, read, write } = require('./message');

const KIBIBYTE = 1024;
const SLOW_TOPIC = 'slow';

/** Of the slow topic: four times as much as its readers take. */
const SLOW_PUBLICATIONS_PER_SECOND = 8;
const SLOW_BYTES = 16 * KIBIBYTE;

const TICK_MILLISECONDS = 50;

/** With this the server ends a connection that asks for it. */
const END_STATUS = 4000;

/** Common to all routes. */
const ROUTE = {
  binaryType: /** @type {const} */ ('nodebuffer'),
  maxPayloadLength: 128 * KIBIBYTE,
  maxBackpressure: 8 * KIBIBYTE * KIBIBYTE,
};

/** @typedef {import('../..').WebSocket<any>} Socket */

/**
 * Starts the server.
 *
 * @param {(ws: Socket, data: Buffer, isBinary: boolean) => void} [echo] what is done with a message: a test gives
 *   one that is wrong
 */
function serve(echo = (ws, data, isBinary) => ws.send(data, isBinary, true)) {
  const topics = Number(process.env.TOPICS ?? 8);
  const perSecond = Number(process.env.PUBLICATIONS ?? 20);
  const { TLS_CERT = '', TLS_KEY = '' } = process.env;
  const ledger = new Ledger();
  const apps = [App({ threads: 2 }), SSLApp({ key_file_name: TLS_KEY, cert_file_name: TLS_CERT })];
  /** The number of each topic's next publication; the slow one is the last. */
  const numbers = new Array(topics + 1).fill(0);
  const nameOf = (/** @type {number} */ topic) => (topic === topics ? SLOW_TOPIC : `topic ${topic}`);
  const counts = { published: 0, slowDropped: 0, opened: 0 };

  /** @type {(ws: Socket, topic: number) => void} */
  function subscribe(ws, topic) {
    ws.topic = topic;
    ws.send(write('s', topic, numbers[topic]));
    ws.subscribe(nameOf(topic));
  }

  /** @param {Socket} ws */
  function sendReceipt(ws) {
    ws.send(write('r', numbers[ws.topic] ?? 0, ws.entry?.next ?? 0));
  }

  /** @type {(ws: Socket, data: Buffer, isBinary: boolean) => void} */
  function message(ws, data, isBinary) {
    if (data.length < HEAD_BYTES) {
      ledger.short(ws.entry);
      return echo(ws, data, isBinary);
    }
    const head = read(data);
    if (!head)
      return ledger.fault(
        'corrupt',
        1,
        ws.entry?.connection ?? 0,
        `a checksum of ${data.length} bytes is wrong`,
      );
    const { word, of, number } = head;
    if (word === 'm') {
      ws.entry = ledger.message(ws.entry, of, number);
      return echo(ws, data, isBinary);
    }
    if (word === 'n') return ledger.note(of, number, data.latin1Slice(HEAD_BYTES) === 'all');
    if (number > 0 || ws.entry) ws.entry = ledger.settle(ws.entry, of, number);
    if (word === 'e') return ws.end(END_STATUS, 'as you asked');
    if (word === 'c') return ws.close();
    // Behind what a slow reader has not taken it might be dropped.
    ws.owesReceipt = ws.getBufferedAmount() > 0;
    if (!ws.owesReceipt) sendReceipt(ws);
  }

  /** @param {Socket} ws */
  function drain(ws) {
    if (!ws.owesReceipt || ws.getBufferedAmount() > 0) return;
    ws.owesReceipt = false;
    sendReceipt(ws);
  }

  const dropped = (/** @type {Socket} */ ws) =>
    ledger.fault('dropped', 1, ws.entry?.connection ?? 0, 'a message to it was dropped, though it reads');
  const slowDropped = () => {
    counts.slowDropped += 1;
  };
  const close = (/** @type {Socket} */ ws) => ledger.closed(ws.entry);
  const talk = (/** @type {number} */ compression) => ({
    ...ROUTE,
    compression,
    open: (/** @type {Socket} */ ws) => subscribe(ws, counts.opened++ % topics),
    message,
    drain,
    dropped,
    close,
  });

  for (const app of apps) {
    app
      .ws('/plain', talk(DISABLED))
      .ws('/shared', talk(SHARED_COMPRESSOR | SHARED_DECOMPRESSOR))
      .ws('/dedicated', talk(DEDICATED_COMPRESSOR_8KB | DEDICATED_DECOMPRESSOR))
      .ws('/idle', { ...ROUTE, idleTimeout: 16, message, drain, dropped, close })
      .ws('/slow', {
        ...ROUTE,
        // A ping stands in line behind a minute of publications.
        idleTimeout: 0,
        maxBackpressure: 64 * KIBIBYTE,
        open: (/** @type {Socket} */ ws) => subscribe(ws, topics),
        message,
        drain,
        dropped: slowDropped,
        close,
      });
  }

  /** @type {(topic: number, body: string) => void} */
  function publish(topic, body) {
    const data = write('p', topic, numbers[topic]++, body);
    for (const app of apps) app.publish(nameOf(topic), data, false, true);
    counts.published += 1;
  }

  const began = Date.now();
  const parent = process.ppid;
  let published = 0;
  let slowPublished = 0;
  setInterval(() => {
    // Whoever has started it has gone.
    if (process.ppid !== parent) process.exit(1);
    const seconds = (Date.now() - began) / 1000;
    for (; published < seconds * perSecond; published++) publish(published % topics, content(published));
    for (; slowPublished < seconds * SLOW_PUBLICATIONS_PER_SECOND; slowPublished++) {
      publish(topics, '.'.repeat(SLOW_BYTES));
    }
  }, TICK_MILLISECONDS);

  process.on('uncaughtException', (error) => ledger.fault('thrown', 1, 0, String(error.stack)));
  // A terminal's Ctrl-C is for the runner, which lets the run end.
  process.on('SIGINT', () => {});

  let tlsPort = 0;
  apps[0].get('/state', (res, req) => {
    if (req.getQuery('last') === '1') ledger.finish();
    const { faults, told, received, size: entries } = ledger;
    const stats = apps.map((app) => app.stats());
    const memory = process.memoryUsage();
    res.end(JSON.stringify({ tlsPort, faults, told, received, entries, ...counts, memory, stats }), true);
  });
  const [plain, tls] = apps;
  tls.listen(0, (token) => {
    if (!token) throw new Error('there is no port');
    tlsPort = localPort(token);
  });
  plain.listen(0, (token) => {
    if (!token) throw new Error('there is no port');
    console.log(`listening ${localPort(token)}`);
  });
}

module.exports = { serve };

if (require.main === module) serve();
