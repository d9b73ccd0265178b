'use strict';

const { encoded } = require('./data');

/**
 * Takes a setting of uWebSockets.js by its name, such as `'silent'`. None of them means anything here.
 * @type {typeof import('../index')._cfg}
 */
function _cfg(key) {
  encoded(key);
}

module.exports = { _cfg };
