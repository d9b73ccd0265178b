'use strict';

/** The soak's server, but one message in a hundred goes wrong, as $FAULT says: what the soak must notice. */

const { serve } = require('../../bench/soak/server');

const WAYS = {
  lost: () => {},
  doubled: (send) => {
    send();
    send();
  },
  // A sleep that other echoes of the connection overtake.
  reordered: (send) => setTimeout(send, 2_000),
  corrupt: (send, data) => {
    const changed = Buffer.from(data);
    if (changed.length > 0) changed[changed.length - 1] ^= 1;
    send(changed);
  },
};

let messages = 0;
serve((ws, data, isBinary) => {
  const send = (bytes = data) => ws.readyState === 1 && ws.send(bytes, isBinary, true);
  messages += 1;
  if (messages % 100 === 0) WAYS[process.env.FAULT](send, data);
  else send();
});
