'use strict';

/** A part of a text that a script writes, between two lines that say so. */

/**
 * @param {string} text
 * @param {string} begin the line before the part
 * @param {string} end the line behind it
 * @returns {[before: string, part: string, after: string]} without the two lines
 */
function split(text, begin, end) {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`there is no '${begin}' with '${end}' behind it`);
  return [text.slice(0, from), text.slice(from + begin.length, to).trim(), text.slice(to + end.length)];
}

/**
 * @param {string} text
 * @param {string} begin
 * @param {string} end
 * @param {string} part
 * @returns {string} the text with another part between the two lines
 */
function replace(text, begin, end, part) {
  const [before, , after] = split(text, begin, end);
  return `${before}${begin}\n\n${part}\n\n${end}${after}`;
}

module.exports = { replace, split };
