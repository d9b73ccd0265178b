'use strict';

// What the server's process and the kernel's network take, read from /proc once a second. Each
// reading is a handful of small files and does not walk page tables.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');

/** Linux counts CPU time for programs in hundredths of a second on all platforms that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/**
 * @typedef {object} Sample
 * @property {number} residentBytes
 * @property {number} anonymousBytes the part of it that is the process's own: heap and stacks
 * @property {number} fileBytes the part of it that is mapped from files: programs and libraries
 * @property {number} cpuUser share of one processor since the last sample
 * @property {number} cpuSystem the same in the kernel, on behalf of the process
 * @property {number} tcpSockets in use on the whole machine
 * @property {number} socketBufferBytes what TCP holds in buffers
 * @property {number} slabBytes the kernel's objects, sockets among them
 * @property {number} availableBytes memory that can be had without swapping
 */

/** Reads one server's process, and the machine. */
class Sampler {
  #pid;
  #pageBytes = pageBytes();
  #ticks;
  #at = process.hrtime.bigint();

  /** @param {number} pid */
  constructor(pid) {
    this.#pid = pid;
    this.#ticks = this.#cpuTicks();
  }

  /** @returns {Sample} throws if the process is over */
  take() {
    const status = fs.readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    const memory = fs.readFileSync('/proc/meminfo', 'utf8');
    const sockets = fs.readFileSync('/proc/net/sockstat', 'utf8');
    const [, tcpSockets = 0, pages = 0] = /^TCP: inuse (\d+) .*mem (\d+)$/m.exec(sockets) ?? [];
    return {
      residentBytes: kibibytes(status, 'VmRSS'),
      anonymousBytes: kibibytes(status, 'RssAnon'),
      fileBytes: kibibytes(status, 'RssFile'),
      ...this.#cpu(),
      tcpSockets: Number(tcpSockets) + ipv6Sockets(),
      socketBufferBytes: Number(pages) * this.#pageBytes,
      slabBytes: kibibytes(memory, 'Slab'),
      availableBytes: kibibytes(memory, 'MemAvailable'),
    };
  }

  /**
   * The exact resident memory, from a walk through the page tables: `take` may be some hundred KiB off,
   * since the kernel adds it up for each processor.
   *
   * @returns {number | undefined} `undefined` if the process is over or not ours to look at
   */
  exactResidentBytes() {
    try {
      return kibibytes(fs.readFileSync(`/proc/${this.#pid}/smaps_rollup`, 'utf8'), 'Rss');
    } catch {
      return undefined;
    }
  }

  #cpu() {
    const before = this.#ticks;
    const now = process.hrtime.bigint();
    const seconds = Number(now - this.#at) / 1e9;
    this.#ticks = this.#cpuTicks();
    this.#at = now;
    const share = (/** @type {number} */ ticks) => round(ticks / TICKS_PER_SECOND / seconds);
    return {
      cpuUser: share(this.#ticks.user - before.user),
      cpuSystem: share(this.#ticks.system - before.system),
    };
  }

  /** User and system time: the 12th and 13th fields after the name, which may hold any character. */
  #cpuTicks() {
    const stat = fs.readFileSync(`/proc/${this.#pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { user: Number(fields[11]), system: Number(fields[12]) };
  }
}

/** @returns {number} a server that listens on :: has its sockets here */
function ipv6Sockets() {
  try {
    return Number(/^TCP6: inuse (\d+)/m.exec(fs.readFileSync('/proc/net/sockstat6', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * @param {string} text
 * @param {string} name
 * @returns {number} bytes of a line `name: 12 kB`; 0 if there is none
 */
function kibibytes(text, name) {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

/** @returns {number} */
function pageBytes() {
  try {
    return Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8', stdio: 'pipe' })) || 4096;
  } catch {
    return 4096;
  }
}

/** @param {number} share */
function round(share) {
  return Math.round(share * 10_000) / 10_000;
}

module.exports = { Sampler };
