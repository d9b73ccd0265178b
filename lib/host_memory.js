'use strict';

/**
 * How much memory this process may have: the smallest limit of its control groups, or what the host has. Read
 * when an App without a `memoryBudget` is made.
 */

const { readFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Where Linux shows control groups, by their version: the root, and the file of a group that has its limit. */
const GROUPS = {
  1: { root: 'sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  2: { root: 'sys/fs/cgroup', limit: 'memory.max' },
};

/** Where the files of {@link GROUPS} are: elsewhere anybody might put some there, as in the root of a Windows drive. */
const ROOT = process.platform === 'linux' ? '/' : null;

/**
 * Bytes that the process may have.
 * @param {string | null} [root] of a file system with control groups
 */
function hostMemoryBytes(root = ROOT) {
  const limits = root === null ? [] : groupsOf(root).map((file) => limitIn(path.join(root, file)));
  return Math.min(os.totalmem(), ...limits);
}

/**
 * The files that may have a limit: of the groups of this process, and of all groups that those are in. In a container
 * that does not see the host's groups, those are missing, and the root is its own.
 * @param {string} root
 */
function groupsOf(root) {
  const files = [];
  for (const line of read(path.join(root, 'proc/self/cgroup')).split('\n')) {
    const [, hierarchy, controllers, group] = line.match(/^(\d+):([^:]*):(\/.*)$/) ?? [];
    if (group === undefined) continue;
    const isUnified = hierarchy === '0' && controllers === '';
    if (!isUnified && !controllers.split(',').includes('memory')) continue;
    const { root: mount, limit } = GROUPS[isUnified ? 2 : 1];
    const names = group.split('/').filter((name) => name !== '' && name !== '..');
    for (let depth = names.length; depth >= 0; depth--) {
      files.push(path.join(mount, ...names.slice(0, depth), limit));
    }
  }
  return files;
}

/** The limit in a file; none is infinite. @param {string} file */
function limitIn(file) {
  const text = read(file).trim();
  return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}

/** What is in a file, '' where there is none. @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

module.exports = { hostMemoryBytes };
