'use strict';

/** A program of a document, run as a reader would: in a folder of its own that has tidewire installed. */

const { spawn } = require('node:child_process');
const { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { Child } = require('./child');
const { Queue } = require('./queue');

const ROOT = path.join(__dirname, '../..');

/** A port as the documents have it. The system picks others. */
const PORT = /(?<=\.listen\()(?:9001|9002|9100)\b/g;

/**
 * A folder with these files, that lasts for as long as the test.
 * @param {import('node:test').TestContext} context
 * @param {Record<string, string>} files
 */
function folderOf(context, files) {
  const folder = mkdtempSync(path.join(tmpdir(), 'tidewire-program-'));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const modules = path.join(folder, 'node_modules');
  mkdirSync(modules);
  for (const [name, target] of [
    ['tidewire', ROOT],
    ['ws', path.join(ROOT, 'node_modules/ws')],
  ]) {
    symlinkSync(target, path.join(modules, name), 'junction');
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

/**
 * Runs a file of a folder. `port()` is the next port that it listens on.
 * @param {import('node:test').TestContext} context
 * @param {string} folder
 * @param {string} file
 * @param {NodeJS.ProcessEnv} [env]
 */
function runProgram(context, folder, file, env = {}) {
  const running = spawn(process.execPath, ['-r', path.join(__dirname, 'told_port.js'), file], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  });
  context.after(() => running.kill('SIGKILL'));
  const child = new Child(running);
  const ports = new Queue();
  running.on('message', ({ port }) => ports.push(port));
  const port = async () => {
    const next = await Promise.race([ports.next(), child.exited]);
    if (typeof next === 'number') return next;
    throw new Error(`${file} ended with ${next.code ?? next.signal}: ${child.errors}`);
  };
  return { child, port };
}

/** The text of a program that listens on other ports. @param {string} text */
function withAnyPort(text) {
  return text.replaceAll(PORT, '0');
}

module.exports = { folderOf, runProgram, withAnyPort };
