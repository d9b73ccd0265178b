'use strict';

// Does the run fit this host? What its settings are, which of them are too small, and the command
// that changes each. Linux only. `check` is a function of the readings alone.

const fs = require('node:fs');

/** What the kernel takes for each end of a connection on the loopback (4.0 to 4.3 KB were measured). */
const KERNEL_BYTES = 4_300;
/** What the server's process and the client's take for each connection, with some room. */
const SERVER_BYTES = 300;
const CLIENT_BYTES = 100;
/** Node.js, the client's processes and the rest of the machine. */
const OTHER_BYTES = 200_000_000;
/** Descriptors that a process needs besides its connections. */
const OTHER_DESCRIPTORS = 100;
/** Handshakes under way together, unless told otherwise: what waits for `accept` at most. */
const HANDSHAKES = 256;
/** More loopback addresses than this are no trouble, but so few ports are a mistake. */
const ADDRESSES = 1_000;

/**
 * @typedef {object} Readings `undefined`: the host does not say, so it is no hindrance
 * @property {string} platform
 * @property {number} [descriptorLimit] the most descriptors that a process started here may hold
 * @property {number} [descriptorMaximum] `fs.nr_open`: what that limit may be raised to
 * @property {number} [openFiles] of the whole machine, now
 * @property {number} [openFilesMaximum] `fs.file-max`
 * @property {number} [epollWatchesMaximum] `fs.epoll.max_user_watches`
 * @property {number} [ports] local ports to choose from
 * @property {number} [conntracked] connections that the firewall follows, now
 * @property {number} [conntrackMaximum] `net.netfilter.nf_conntrack_max`
 * @property {number} [somaxconn]
 * @property {number} [tcpPages] `net.ipv4.tcp_mem`'s middle number: above it TCP saves memory
 * @property {number} [availableBytes] memory that can be had without swapping
 *
 * @typedef {object} Finding a setting that is too small
 * @property {string} sentence what is too small, and what it should be
 * @property {string} command what changes it
 * @property {boolean} fatal whether the run cannot succeed; otherwise it may be slow
 */

/**
 * @param {number} connections
 * @param {Readings} readings
 * @returns {Finding[]} none if the run fits
 */
function check(connections, readings) {
  if (readings.platform !== 'linux') {
    const sentence = `This is ${readings.platform}: memory and sockets are read from Linux's /proc.`;
    return [{ sentence, command: 'run it on Linux', fatal: true }];
  }
  return [descriptors, epollWatches, ports, conntrack, backlog, tcpMemory, memory].flatMap((rule) =>
    rule(connections, readings),
  );
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function descriptors(connections, readings) {
  const { descriptorLimit, descriptorMaximum, openFiles = 0, openFilesMaximum } = readings;
  const each = connections + OTHER_DESCRIPTORS;
  const all = openFiles + 2 * each;
  const findings = [];
  if (descriptorLimit !== undefined && descriptorLimit < each) {
    if (descriptorMaximum !== undefined && descriptorMaximum < each) {
      findings.push(
        fatal(
          `No process may hold more than ${number(descriptorMaximum)} descriptors (fs.nr_open), but the server needs ${number(each)}.`,
          `sudo sysctl -w fs.nr_open=${roomy(each)}`,
        ),
      );
    }
    findings.push(
      fatal(
        `A process may hold ${number(descriptorLimit)} descriptors (ulimit -Hn), but the server needs ${number(each)}.`,
        `sudo prlimit --pid $$ --nofile=${roomy(each)}   # this shell alone; for good: "* - nofile ${roomy(each)}" in /etc/security/limits.conf, then log in again`,
      ),
    );
  }
  if (openFilesMaximum !== undefined && openFilesMaximum < all) {
    findings.push(
      fatal(
        `The machine may hold ${number(openFilesMaximum)} open files (fs.file-max), but both ends together need ${number(all)}.`,
        `sudo sysctl -w fs.file-max=${roomy(all)}`,
      ),
    );
  }
  return findings;
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function epollWatches(connections, { epollWatchesMaximum }) {
  const needed = 2 * (connections + OTHER_DESCRIPTORS);
  if (epollWatchesMaximum === undefined || epollWatchesMaximum >= needed) return [];
  return [
    fatal(
      `A user may watch ${number(epollWatchesMaximum)} sockets (fs.epoll.max_user_watches), but both ends together need ${number(needed)}.`,
      `sudo sysctl -w fs.epoll.max_user_watches=${roomy(needed)}`,
    ),
  ];
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function ports(connections, { ports }) {
  // As the client reckons: 85 % of the half that the kernel hands out first, on each address.
  if (ports === undefined || connections / ((ports * 17) / 40) <= ADDRESSES) return [];
  return [
    fatal(
      `There are ${number(ports)} local ports, too few even over ${number(ADDRESSES)} loopback addresses.`,
      'sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
    ),
  ];
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function conntrack(connections, { conntracked = 0, conntrackMaximum }) {
  const needed = conntracked + connections;
  if (conntrackMaximum === undefined || conntrackMaximum >= needed) return [];
  return [
    fatal(
      `The firewall follows at most ${number(conntrackMaximum)} connections (nf_conntrack_max), but there will be ${number(needed)}; the others are dropped.`,
      `sudo sysctl -w net.netfilter.nf_conntrack_max=${roomy(needed)}   # or no tracking on the loopback: sudo iptables -t raw -I OUTPUT -o lo -j NOTRACK`,
    ),
  ];
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function backlog(connections, { somaxconn }) {
  const needed = Math.min(connections, HANDSHAKES);
  if (somaxconn === undefined || somaxconn >= needed) return [];
  return [
    advice(
      `Only ${number(somaxconn)} connections may wait to be accepted (net.core.somaxconn), but ${number(needed)} come together: some are delayed by a second.`,
      'sudo sysctl -w net.core.somaxconn=4096',
    ),
  ];
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function tcpMemory(connections, { tcpPages }) {
  // A socket that has carried data may keep one page reserved.
  const needed = 2 * connections;
  if (tcpPages === undefined || tcpPages >= needed) return [];
  const wanted = roomy(needed);
  return [
    advice(
      `TCP begins to save memory at ${number(tcpPages)} pages (the middle number of net.ipv4.tcp_mem), but both ends together may reserve ${number(needed)}.`,
      `sudo sysctl -w net.ipv4.tcp_mem="${wanted} ${2 * wanted} ${3 * wanted}"`,
    ),
  ];
}

/** @type {(connections: number, readings: Readings) => Finding[]} */
function memory(connections, { availableBytes }) {
  const needed = connections * (2 * KERNEL_BYTES + SERVER_BYTES + CLIENT_BYTES) + OTHER_BYTES;
  if (availableBytes === undefined || availableBytes >= needed) return [];
  const fits = Math.max(
    0,
    Math.floor(((availableBytes - OTHER_BYTES) / (needed - OTHER_BYTES)) * connections),
  );
  return [
    fatal(
      `${gigabytes(availableBytes)} of memory are available, but ${gigabytes(needed)} are needed: the kernel takes about 4.3 KB for each end of a connection.`,
      fits > 0
        ? `npm run million -- --connections ${Math.floor(fits / 1000) * 1000 || fits}`
        : 'end other programs',
    ),
  ];
}

/** @returns {Readings} of this host, now */
function readings() {
  const [openFiles, , openFilesMaximum] = numbers('/proc/sys/fs/file-nr');
  const [firstPort, lastPort] = numbers('/proc/sys/net/ipv4/ip_local_port_range');
  const limit = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(text('/proc/self/limits'))?.[1];
  return {
    platform: process.platform,
    descriptorLimit: limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : optional(limit),
    descriptorMaximum: numbers('/proc/sys/fs/nr_open')[0],
    openFiles,
    openFilesMaximum,
    epollWatchesMaximum: numbers('/proc/sys/fs/epoll/max_user_watches')[0],
    ports: lastPort === undefined ? undefined : lastPort - firstPort + 1,
    conntracked: numbers('/proc/sys/net/netfilter/nf_conntrack_count')[0],
    conntrackMaximum: numbers('/proc/sys/net/netfilter/nf_conntrack_max')[0],
    somaxconn: numbers('/proc/sys/net/core/somaxconn')[0],
    tcpPages: numbers('/proc/sys/net/ipv4/tcp_mem')[1],
    availableBytes: availableBytes(),
  };
}

/** @returns {number | undefined} of the machine, or of the control group if that has less */
function availableBytes() {
  const kibibytes = optional(/^MemAvailable:\s+(\d+) kB/m.exec(text('/proc/meminfo'))?.[1]);
  const machine = kibibytes === undefined ? undefined : kibibytes * 1024;
  const [most] = numbers('/sys/fs/cgroup/memory.max');
  const [used = 0] = numbers('/sys/fs/cgroup/memory.current');
  if (most === undefined) return machine;
  return Math.min(machine ?? Number.MAX_SAFE_INTEGER, most - used);
}

/**
 * @param {string} file
 * @returns {string} empty if it cannot be read
 */
function text(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/**
 * @param {string} file
 * @returns {number[]} its whole numbers; very large ones, which mean "no limit", as the largest safe one
 */
function numbers(file) {
  const words = text(file).match(/\d+/g) ?? [];
  return words.map((word) => Math.min(Number(word), Number.MAX_SAFE_INTEGER));
}

/** @param {string | undefined} word */
function optional(word) {
  return word === undefined ? undefined : Number(word);
}

/** @type {(sentence: string, command: string) => Finding} */
function fatal(sentence, command) {
  return { sentence, command, fatal: true };
}

/** @type {(sentence: string, command: string) => Finding} */
function advice(sentence, command) {
  return { sentence, command, fatal: false };
}

/** @param {number} least @returns {number} the next round number with a tenth of room */
function roomy(least) {
  const step = 10 ** Math.max(2, Math.floor(Math.log10(least)) - 1);
  return Math.ceil((least * 1.1) / step) * step;
}

/** @param {number} value */
function number(value) {
  return value.toLocaleString('en-US');
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * Says what does not fit, and stops there unless it is told to go on.
 *
 * @param {number} connections
 * @param {boolean} force
 */
function insist(connections, force) {
  const findings = check(connections, readings());
  for (const { sentence, command } of findings) console.log(`! ${sentence}\n    ${command}`);
  if (findings.some((finding) => finding.fatal) && !force) {
    throw new Error('this host is too small for the run as it is set up; --force goes on anyway');
  }
}

module.exports = { check, insist, readings };
