'use strict';

// node bench/contexts.js: what a connection costs beside its opening, for each constant of `compression`, once
// both directions have carried more than a window. Prints a table; see docs/memory.md. Linux.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const WebSocket = require('ws');

const { COMPRESSORS, DECOMPRESSORS } = require('../lib/compression');
const { start, stopAll } = require('./launch');
const { machine } = require('./machine');

const CONNECTIONS = 2_000;

/** More than the largest window. */
const MESSAGE_BYTES = 48 * 1024;

/** Connections that have their message under way together. */
const TALKING = 32;

/** Behind garbage collection: three ticks of the engine, in which it gives memory back. */
const SETTLE_MILLISECONDS = 13_000;

/** V8's own threads take and give a megabyte or two at times of their own. */
const SERVER = [
  process.execPath,
  '--expose-gc',
  '--single-threaded',
  path.join(__dirname, 'servers/tidewire.js'),
];

/** Text that compresses like JSON does. */
const MESSAGE = Array.from({ length: MESSAGE_BYTES / 48 }, (_, at) =>
  JSON.stringify({ id: at * 7919, price: (at * 31) % 977, side: 'buy' }).padEnd(47),
).join('\n');

/** @param {import('./launch').Server} server */
async function residentBytes(server) {
  process.kill(server.pid, 'SIGUSR2');
  await pause(SETTLE_MILLISECONDS);
  const [, kibibytes] =
    /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** @param {number} port */
function open(port) {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: { threshold: 0 } });
    client.once('open', () => resolve(client));
    client.once('error', reject);
  });
}

/** @param {import('ws').WebSocket} client */
function echo(client) {
  return new Promise((resolve, reject) => {
    client.once('message', (data) =>
      String(data) === MESSAGE ? resolve(undefined) : reject(new Error('changed')),
    );
    client.once('close', () => reject(new Error('closed')));
    client.send(MESSAGE);
  });
}

/**
 * @param {number} count
 * @param {(at: number) => Promise<unknown>} work
 */
async function some(count, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: TALKING }, worker));
}

/** @param {number} compression */
async function bytesEach(compression) {
  const server = await start({ command: SERVER, collects: true }, { env: { DEFLATE: String(compression) } });
  /** @type {import('ws').WebSocket[]} */
  const clients = [];
  await some(CONNECTIONS, async (at) => {
    clients[at] = await open(server.port);
  });
  // Code and codecs are there before the first reading.
  for (let round = 0; round < 50; round++) await echo(clients[0]);
  const before = await residentBytes(server);
  await some(CONNECTIONS, (at) => echo(clients[at]));
  const after = await residentBytes(server);
  for (const client of clients) client.terminate();
  await server.stop();
  return (after - before) / CONNECTIONS;
}

async function main() {
  const { cpu, kernel, node } = machine();
  console.log(
    `${cpu}, Linux ${kernel}, Node ${node}; ${CONNECTIONS} connections, ${MESSAGE_BYTES} B each way`,
  );
  /** @type {Map<number, string>} by value: two names may have the same */
  const names = new Map();
  for (const [name, value] of Object.entries({ ...COMPRESSORS, ...DECOMPRESSORS })) {
    if (!names.has(value)) names.set(value, name);
  }
  for (const [value, name] of names) {
    const bytes = await bytesEach(value);
    console.log(`${name.padEnd(32)} ${Math.round(bytes).toLocaleString('en').padStart(8)}`);
  }
}

process.once('exit', stopAll);
main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
