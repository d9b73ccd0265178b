'use strict';

/** The code blocks of the documents, so that tests run what a reader copies. */

const { readFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

/** A document as text. @param {string} file from the root of the package */
function read(file) {
  return readFileSync(path.join(ROOT, file), 'utf8').replaceAll('\r\n', '\n');
}

/**
 * The fenced blocks of a document, in order. `words` are those behind the language: a program has `program` and its
 * name, a file that belongs to one has `file` and its name.
 * @param {string} file
 * @returns {{ language: string, words: string[], text: string, line: number }[]}
 */
function blocksOf(file) {
  const document = read(file);
  return [...document.matchAll(/^( *)```(\S*)(.*)\n([\s\S]*?)^\1```$/gm)].map(
    ({ 1: indentation, 2: language, 3: rest, 4: text, index }) => ({
      language,
      words: rest.split(' ').filter((word) => word !== ''),
      // One that stands in a list is indented as a whole.
      text: text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
      line: document.slice(0, index).split('\n').length,
    }),
  );
}

/**
 * A block in which a test has put its own ports and files for those of the document.
 * @param {string} text
 * @param {Record<string, string>} places all of which are in there
 */
function adapt(text, places) {
  let adapted = text;
  for (const [written, own] of Object.entries(places)) {
    if (!adapted.includes(written)) throw new Error(`'${written}' is not in:\n${text}`);
    adapted = adapted.replaceAll(written, own);
  }
  return adapted;
}

module.exports = { adapt, blocksOf, read };
