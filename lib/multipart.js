'use strict';

/**
 * The parts of a form (multipart/form-data: RFC 7578, RFC 2046 §5.1). Bodies come from anybody: the work
 * grows with the length of the body and with nothing else, and what is no part is left out.
 */

const { encoded } = require('./data');
const { textOf } = require('./http_request');

const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';

/** A boundary (RFC 2046 §5.1.1); quoted, or a token as browsers send it. */
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s";,]{1,70}))\s*(?:;|$)/i;

/** Header fields of a part, at most: browsers send some hundred bytes. What parses them is not made for millions. */
const HEAD_BYTES = 16 * 1024;

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
const BLANKS = [0x20, 0x09];

/** @typedef {import('../index').MultipartField} MultipartField */

/**
 * @param {unknown} body
 * @param {unknown} contentType the value of the request's header field
 * @returns {MultipartField[] | undefined} undefined: it is no such form
 */
function getParts(body, contentType) {
  const type = textOf(contentType);
  const boundary = /^\s*multipart\//i.test(type) ? BOUNDARY.exec(type) : null;
  if (boundary === null) return undefined;
  /** @type {MultipartField[]} */
  const parts = [];
  const { buffer, byteOffset, byteLength } = encoded(body);
  const whole = Buffer.from(/** @type {ArrayBuffer} */ (buffer), byteOffset, byteLength);
  for (const piece of pieces(whole, Buffer.from(`${LINE_END}--${boundary[1] ?? boundary[2]}`))) {
    const part = partOf(piece);
    if (part !== null) parts.push(part);
  }
  return parts;
}

/**
 * What lies between two delimiters, each with the line end of the first of them before it. What is behind
 * the last delimiter, or was cut off, is no piece.
 * @param {Buffer} body
 * @param {Buffer} delimiter with the line end before it
 */
function* pieces(body, delimiter) {
  // The first may begin the body, without a line end.
  let at = body.indexOf(delimiter.subarray(LINE_END.length)) === 0 ? -LINE_END.length : 0;
  if (at === 0) at = body.indexOf(delimiter);
  let start = -1;
  while (at !== -1) {
    const behind = at + delimiter.length;
    const isLast = body[behind] === DASH && body[behind + 1] === DASH;
    const lineEnd = isLast ? behind : behindBlanks(body, behind);
    if (isLast || (body[lineEnd] === CR && body[lineEnd + 1] === LF)) {
      if (start >= 0) yield body.subarray(start, at);
      if (isLast) return;
      start = lineEnd;
    }
    at = body.indexOf(delimiter, behind);
  }
}

/**
 * @param {Buffer} body
 * @param {number} at
 */
function behindBlanks(body, at) {
  let behind = at;
  while (BLANKS.includes(body[behind])) behind++;
  return behind;
}

/**
 * A part, if it has a name, and a head of a length that one has.
 * @param {Buffer} piece header fields and data, with a line end before them
 * @returns {MultipartField | null}
 */
function partOf(piece) {
  const end = piece.indexOf(HEAD_END);
  if (end < 0 || end > HEAD_BYTES) return null;
  let disposition = '';
  let type;
  for (const line of piece.toString('utf8', 0, end).split(LINE_END)) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, Math.max(colon, 0)).trim().toLowerCase()) {
      case 'content-disposition':
        disposition = value;
        break;
      case 'content-type':
        type = value;
        break;
    }
  }
  const { name, filename } = parametersOf(disposition);
  if (name === undefined) return null;
  return {
    name,
    data: new Uint8Array(piece.subarray(end + HEAD_END.length)).buffer,
    ...(type === undefined ? {} : { type }),
    ...(filename === undefined ? {} : { filename }),
  };
}

/**
 * The parameters of a Content-Disposition that a form has (RFC 7578 §4.2).
 * @param {string} disposition
 */
function parametersOf(disposition) {
  /** @type {{ name?: string, filename?: string }} */
  const parameters = {};
  if (!/^form-data\s*(?:;|$)/i.test(disposition)) return parameters;
  for (const [, key, quoted, token] of disposition.matchAll(
    /;\s*(\w+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g,
  )) {
    const name = key.toLowerCase();
    // Browsers encode quotes as %22, and leave backslashes alone; others escape both.
    const value = quoted?.replace(/\\(["\\])/g, '$1') ?? token;
    if (name === 'name' || name === 'filename') parameters[name] ??= value;
  }
  return parameters;
}

module.exports = { getParts };
