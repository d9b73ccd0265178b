'use strict';

/**
 * The native addon. It is looked for beside `package.json` first, where a source checkout builds it,
 * then in the optional package of this platform. Loading fails with `TIDEWIRE_NO_BINARY`.
 */

const { existsSync } = require('node:fs');
const path = require('node:path');
const errors = require('./errors');
const { developmentBuild, platformPackage } = require('./platform');

function load() {
  const file = path.join(__dirname, '..', developmentBuild);
  const specifier = existsSync(file) ? file : platformPackage;
  try {
    return require(specifier);
  } catch (cause) {
    throw errors.noBinary(`${process.platform}-${process.arch}`, specifier, cause);
  }
}

module.exports = load();
