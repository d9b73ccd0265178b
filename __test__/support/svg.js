'use strict';

const assert = require('node:assert/strict');

/** Elements of an SVG, from a reader that knows no more of XML than the chart uses, and is strict in that. */
function elements(svg) {
  const found = [];
  const open = [];
  let at = 0;
  for (const match of svg.matchAll(/<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<]*")*)(\/?)>/g)) {
    const between = svg.slice(at, match.index);
    assert.ok(!/[<>]/.test(between), `stray markup: ${between}`);
    assert.ok(!/&(?!#\d+;)/.test(between), `a bare ampersand: ${between}`);
    const [, isEnd, name, attributes, isEmpty] = match;
    if (isEnd) assert.equal(open.pop(), name);
    else found.push({ name, attributes });
    if (!isEnd && !isEmpty) open.push(name);
    at = match.index + match[0].length;
  }
  assert.deepEqual(open, []);
  assert.equal(svg.slice(at), '\n');
  return found;
}

module.exports = { elements };
