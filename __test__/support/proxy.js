'use strict';

/** A reverse proxy of the machine, as a process of its own, for the length of one test. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout } = require('node:timers/promises');

/** Between two attempts to reach it. */
const LOOK_MILLISECONDS = 20;

/** A port that is free now. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a program, and returns once its port takes connections. The limit of time is the test's.
 * @param {import('node:test').TestContext} context
 * @param {string[]} command
 * @param {number} port
 * @param {NodeJS.ProcessEnv} [env]
 */
async function startProxy(context, [program = '', ...words], port, env = {}) {
  const child = spawn(program, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece) => {
      said += piece;
    });
  }
  const ended = once(child, 'close');
  context.after(async () => {
    // To its end: the workers of nginx would outlive a master that is killed.
    child.kill('SIGTERM');
    await ended;
  });
  while (!(await isReached(port))) {
    const end = child.exitCode ?? child.signalCode;
    if (end !== null) throw new Error(`${program} ended with ${end}: ${said}`);
    await setTimeout(LOOK_MILLISECONDS);
  }
}

/** @param {number} port */
function isReached(port) {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

module.exports = { freePort, startProxy };
