/** The package for ES modules: the names of `index.js`, and all of them as the default. */

import tidewire from './index.js';

export const {
  App,
  us_listen_socket_close,
  us_socket_local_port,
  LIBUS_LISTEN_DEFAULT,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  DISABLED,
} = tidewire;

export default tidewire;
