'use strict';

/**
 * A number above 0 of the command line. Throws where it is none.
 *
 * @param {Record<string, string | boolean | undefined>} values as they were given
 * @param {string} name of the option
 * @param {number} unless it is given
 */
function positive(values, name, unless) {
  const value = Number(values[name] ?? unless);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} is ${values[name]}, but must be a number above 0`);
}

/**
 * The same for a whole number.
 *
 * @param {Record<string, string | boolean | undefined>} values
 * @param {string} name
 * @param {number} unless
 */
function whole(values, name, unless) {
  const value = positive(values, name, unless);
  if (Number.isInteger(value)) return value;
  throw new Error(`--${name} is ${value}, but must be whole`);
}

module.exports = { positive, whole };
