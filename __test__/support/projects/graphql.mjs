/**
 * A GraphQL server of graphql-ws on uWebSockets.js. Tells what happens by a line of JSON each; says
 * goodbye to its clients, and ends, at the first byte of its input.
 */

import { App, us_listen_socket_close, us_socket_local_port } from 'uWebSockets.js';
import { setImmediate } from 'node:timers/promises';
import { buildSchema } from 'graphql';
import { makeBehavior } from 'graphql-ws/use/uWebSockets';

const tell = (...values) => console.log(JSON.stringify(values));

const schema = buildSchema(`
  type Query { greeting: String!, yielded: Int! }
  type Subscription { count(to: Int!): Int!, endless(bytes: Int! = 0): String! }
`);

async function* count({ to }) {
  for (let number = 1; number <= to; number++) yield { count: number };
}

/** How many values `endless` has yielded. */
let yielded = 0;

async function* endless({ bytes }) {
  try {
    for (;;) {
      yield { endless: `${++yielded}`.padEnd(bytes) };
      await setImmediate();
    }
  } finally {
    tell('returned');
  }
}

const sockets = new Set();
const behavior = makeBehavior(
  {
    schema,
    roots: { query: { greeting: 'hello', yielded: () => yielded }, subscription: { count, endless } },
    onConnect: ({ connectionParams }) => connectionParams?.secret !== 'wrong',
    onComplete: (_context, id) => tell('complete', typeof id),
    onClose: ({ extra }, code, reason) => {
      sockets.delete(extra.socket);
      tell('close', code, reason, extra.persistedRequest.url);
    },
  },
  { open: (socket) => sockets.add(socket) },
  // No pings: they would end a connection that a test lets wait for long.
  0,
);

App()
  .ws('/graphql', behavior)
  .listen('127.0.0.1', 0, (token) => {
    tell(us_socket_local_port(token));
    process.stdin.once('data', () => {
      us_listen_socket_close(token);
      for (const socket of sockets) socket.end(1001, 'Going away');
      process.stdin.destroy();
    });
  });
