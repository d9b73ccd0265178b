'use strict';

/**
 * Writes THIRD_PARTY.md: the crates that are linked into the addon on any platform, and the licences that ask to be
 * passed on with it. `node scripts/notices.js`; with `--check` it writes nothing, and ends with status 1 if the file
 * is not what it would write.
 */

const { execFileSync } = require('node:child_process');
const { readFileSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const FILE = path.join(ROOT, 'THIRD_PARTY.md');

const HEAD = `# Notices

The addon is a binary that other people's work is linked into. These are the crates, on all platforms together, and the
licences under which they are used here; where a crate leaves a choice, the MIT licence was taken. Rust's standard library is
in it as well, by the Rust project's contributors, under MIT or Apache-2.0. The JavaScript files have no dependencies.

Written by \`node scripts/notices.js\` from what the crates say of themselves.
`;

/** @param {string[]} values */
function cargo(...values) {
  return execFileSync('cargo', values, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** What is linked, as `name version`: neither macros nor what only builds. */
function linked() {
  const tree = cargo(
    ...['tree', '--locked', '-p', 'tidewire', '-e', 'normal,no-proc-macro', '--target', 'all'],
    ...['--prefix', 'none', '--no-dedupe', '--format', '{p}'],
  );
  const lines = tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ').replace(' v', ' '));
  return new Set(lines.filter((line) => line !== '' && !line.startsWith('tidewire ')));
}

/**
 * The texts of a crate's licence: that of MIT alone where it may be chosen and has a file.
 * @param {{ manifest_path: string, license: string, license_file: string | null }} crate
 */
function texts({ manifest_path, license, license_file }) {
  const folder = path.dirname(manifest_path);
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && /^(licen[cs]e|copying|copyright|notice|unlicense)/i.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  const chosen = files.filter((file) => /mit/i.test(file));
  const isChoice = /\bMIT\b/.test(license) && !/\bAND\b/.test(license);
  const taken = isChoice && chosen.length > 0 ? chosen : files;
  if (taken.length === 0 && license_file !== null) taken.push(license_file);
  return taken.map((file) => readFileSync(path.join(folder, file), 'utf8'));
}

/** The whole file. */
function notices() {
  const wanted = linked();
  const { packages } = JSON.parse(cargo('metadata', '--locked', '--format-version', '1'));
  const crates = packages
    .filter((/** @type {any} */ { name, version }) => wanted.has(`${name} ${version}`))
    .sort((/** @type {any} */ a, /** @type {any} */ b) => (a.name < b.name ? -1 : 1));
  /** Names of crates by a licence's text, which are compared without their line breaks. @type {Map<string, { text: string, names: string[] }>} */
  const groups = new Map();
  const list = [];
  for (const crate of crates) {
    const name = `${crate.name} ${crate.version}`;
    const found = texts(crate);
    // Names alone: the addresses of authors are nobody's business here.
    const authors = crate.authors.map((/** @type {string} */ author) => author.replace(/ *<.*>/, ''));
    const by = ['', ...authors].join(', by ');
    list.push(
      `- ${name}: ${crate.license}${found.length === 0 ? ` (the crate has no text of it)${by}` : ''}`,
    );
    for (const text of found) {
      const key = text.replaceAll(/\s+/g, ' ').trim();
      const group = groups.get(key) ?? { text: text.replaceAll('\r\n', '\n').trim(), names: [] };
      group.names.push(name);
      groups.set(key, group);
    }
  }
  const sections = [...groups.values()].map(
    ({ text, names }) =>
      `### ${names.join(', ')}\n\n\`\`\`text\n${text.replaceAll(/[ \t]+$/gm, '')}\n\`\`\`\n`,
  );
  return [HEAD, '## Crates\n', `${list.join('\n')}\n`, '## Licences\n', ...sections].join('\n');
}

const written = notices();
if (process.argv[2] !== '--check') {
  writeFileSync(FILE, written);
} else if (readFileSync(FILE, 'utf8').replaceAll('\r\n', '\n') !== written) {
  console.error('THIRD_PARTY.md is not of this Cargo.lock: run node scripts/notices.js.');
  process.exit(1);
}
