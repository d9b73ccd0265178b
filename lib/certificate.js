'use strict';

/**
 * A certificate as text (RFC 7468), from what the gate notes in the head of a request.
 */

/** Characters of a line (RFC 7468 §2). */
const LINE = /.{1,64}/g;

/** @param {string} hexadecimal the DER of a certificate; '' for none */
function pemOf(hexadecimal) {
  if (hexadecimal === '') return '';
  const lines = Buffer.from(hexadecimal, 'hex').toString('base64').match(LINE) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

module.exports = { pemOf };
