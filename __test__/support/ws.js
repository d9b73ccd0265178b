'use strict';

/**
 * The `ws` package by its path: by its name, Bun gives one of its own, which has no sockets to look at. Scripts of child
 * processes take it from here, too.
 */

module.exports = /** @type {typeof import('ws')} */ (require('../../node_modules/ws'));
