'use strict';

// What the server of the soak is and has, every few seconds: its process from /proc, and what it counts itself.

const fs = require('node:fs');
const http = require('node:http');

const { Sampler } = require('../million/sample');

/** The server answers at once, unless it stands still. */
const ANSWER_MILLISECONDS = 20_000;

/**
 * What the server says of itself: see GET /state in server.js.
 *
 * @param {number} port
 * @param {boolean} [isLast] whether all connections have ended: what is still to be said of one never will be
 * @returns {Promise<Record<string, any>>}
 */
function state(port, isLast = false) {
  return new Promise((resolve, reject) => {
    const path = isLast ? '/state?last=1' : '/state';
    const request = http.get({ port, path, agent: false, timeout: ANSWER_MILLISECONDS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.once('end', () => resolve(JSON.parse(text)));
      response.once('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error('the server does not answer')));
    request.once('error', reject);
  });
}

/**
 * @param {number} pid
 * @returns {number} of a process
 */
function descriptors(pid) {
  return fs.readdirSync(`/proc/${pid}/fd`).length;
}

/**
 * @param {number} pid
 * @returns {number} of a process
 */
function threads(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).length;
}

/**
 * Packets that the kernel has dropped since its queue between two ends of the loopback was full: TCP sends them again, later.
 *
 * @returns {number} of the whole machine, since it was started
 */
function kernelDrops() {
  const lines = fs.readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n');
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(/\s+/)[1], 16), 0);
}

/** Reads the server and its client. */
class Samples {
  #server;
  #own;
  #client = /** @type {Sampler | undefined} */ (undefined);

  /** @param {import('../launch').Server} server */
  constructor(server) {
    this.#server = server;
    this.#own = new Sampler(server.pid);
  }

  /** @param {number} pid of the client, once it runs */
  watch(pid) {
    this.#client = new Sampler(pid);
  }

  /** @returns {Promise<Record<string, number>>} rejects if one of them is over */
  async take() {
    const { pid, port } = this.#server;
    const open = { descriptors: descriptors(pid), threads: threads(pid) };
    const { residentBytes, anonymousBytes, cpuUser, cpuSystem, slabBytes } = this.#own.take();
    const client = this.#client?.take();
    const { memory, stats, entries, faults } = await state(port);
    const sum = (/** @type {(of: any) => number} */ pick) =>
      stats.reduce((/** @type {number} */ total, /** @type {any} */ of) => total + pick(of), 0);
    return {
      residentBytes,
      anonymousBytes,
      heapUsedBytes: memory.heapUsed,
      heapTotalBytes: memory.heapTotal,
      externalBytes: memory.external,
      engineBytes: sum(({ memory: { total } }) => total),
      contextBytes: sum(({ memory: { contexts } }) => contexts),
      waitingBytes: sum(({ memory: { waiting } }) => waiting),
      ...open,
      connections: sum(({ connections }) => connections),
      entries,
      messagesIn: sum(({ messagesIn }) => messagesIn),
      messagesOut: sum(({ messagesOut }) => messagesOut),
      cpuUser,
      cpuSystem,
      slabBytes,
      clientResidentBytes: client?.residentBytes ?? 0,
      clientCpu: client ? client.cpuUser + client.cpuSystem : 0,
      serverFaults: Object.values(faults).reduce((total, count) => total + count, 0),
    };
  }
}

module.exports = { Samples, descriptors, kernelDrops, state };
