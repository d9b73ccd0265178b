'use strict';

/**
 * Two hosts with a cable between them that has faults, for the length of one test: two network namespaces, joined at
 * their link layer by the load client's `faulty-wire`. Linux, as root, with `ip`. The namespaces are gone after the test,
 * however it ends.
 */

const { spawn, spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const readline = require('node:readline');
const { build } = require('../../bench/client');
const { runBehind } = require('./child');

/** Of each host, of the block for documentation (RFC 5737). */
const ADDRESSES = { server: '192.0.2.1', client: '192.0.2.2' };

let networks = 0;

/** Runs `ip` with these words; fails with its own. @param {string[]} words */
function ip(...words) {
  const { status, stderr, stdout } = spawnSync('ip', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

class Network {
  /** Of the namespaces and the interfaces, whose names have 15 characters at most. */
  #name = `tw${process.pid.toString(36)}${(networks++).toString(36)}`;
  #wire;
  /** @type {AsyncIterator<string>} */
  #answers;

  /** @param {import('node:test').TestContext} context */
  constructor(context) {
    this.context = context;
    context.after(() => this.#remove());
    const taps = Object.keys(ADDRESSES).map((host) => {
      const [outside, tap] = [`${this.#name}${host[0]}`, `${this.#name}${host[0]}t`];
      ip('link', 'add', 'name', outside, 'type', 'veth', 'peer', 'name', this.#inside(host));
      ip('link', 'add', 'link', outside, 'name', tap, 'type', 'macvtap', 'mode', 'passthru');
      ip('link', 'set', outside, 'up');
      ip('link', 'set', tap, 'up');
      this.#plug(host);
      return `/dev/tap${readFileSync(`/sys/class/net/${tap}/ifindex`, 'utf8').trim()}`;
    });
    this.#wire = spawn(build().wire, taps, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = readline.createInterface({ input: this.#wire.stdout })[Symbol.asyncIterator]();
  }

  /** Address of the server's host. */
  get host() {
    return ADDRESSES.server;
  }

  /**
   * How the cable is from now on, as `faulty-wire` reads it; returns what it did until now.
   * @param {string} faults
   * @returns {Promise<{ passed: number, lost: number, doubled: number, overtaken: number,
   *   narrow: { segments: number, largestSegment: number, largestAcknowledged: number } }>}
   */
  async faults(faults) {
    this.#wire.stdin.write(`${faults}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`The cable does not understand '${faults}'`);
    return JSON.parse(value);
  }

  /**
   * Runs a function on a host, in a process of its own: see `runScript`.
   * @param {'server' | 'client'} host
   */
  run(host, script, argument) {
    return runBehind(this.context, ['ip', 'netns', 'exec', this.#namespace(host)], script, argument);
  }

  /** Sets a variable of a host's kernel, such as `net.ipv4.tcp_rmem`. */
  sysctl(host, name, value) {
    this.#in(host, 'sysctl', '-qw', `${name}=${value}`);
  }

  /** Bytes of the largest packet, both ways. */
  mtu(bytes) {
    for (const host of Object.keys(ADDRESSES)) {
      ip('-n', this.#namespace(host), 'link', 'set', this.#inside(host), 'mtu', String(bytes));
    }
  }

  /** What `ss` says of the connections of a host. */
  sockets(host) {
    return this.#in(host, 'ss', '-tinH');
  }

  /** Takes a host away, with all that its kernel knows of connections, and puts one there that has just started. */
  restart(host) {
    // The cable stays.
    ip('-n', this.#namespace(host), 'link', 'set', this.#inside(host), 'netns', '1');
    ip('netns', 'delete', this.#namespace(host));
    this.#plug(host);
  }

  #namespace(host) {
    return `${this.#name}-${host}`;
  }

  #inside(host) {
    return `${this.#name}${host[0]}i`;
  }

  #in(host, ...command) {
    return ip('netns', 'exec', this.#namespace(host), ...command);
  }

  /** Makes a host, and gives it its end of the cable. */
  #plug(host) {
    const name = this.#namespace(host);
    ip('netns', 'add', name);
    ip('link', 'set', this.#inside(host), 'netns', name);
    ip('-n', name, 'address', 'add', `${ADDRESSES[host]}/24`, 'dev', this.#inside(host));
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', this.#inside(host), 'up');
  }

  /** What is there of it: it may have failed in the middle. */
  #remove() {
    this.#wire?.kill('SIGKILL');
    for (const host of Object.keys(ADDRESSES)) {
      spawnSync('ip', ['netns', 'delete', this.#namespace(host)]);
      spawnSync('ip', ['link', 'delete', `${this.#name}${host[0]}`]);
    }
  }
}

module.exports = { Network };
