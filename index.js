'use strict';

/** The package for CommonJS. Plain names in one object, so that `import { App }` finds them, too. */

const { App } = require('./lib/app');
const { us_listen_socket_close, us_socket_local_port } = require('./lib/listen_socket');

const LIBUS_LISTEN_DEFAULT = 0;
const LIBUS_LISTEN_EXCLUSIVE_PORT = 1;
const DISABLED = 0;

module.exports = {
  App,
  us_listen_socket_close,
  us_socket_local_port,
  LIBUS_LISTEN_DEFAULT,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  DISABLED,
};
