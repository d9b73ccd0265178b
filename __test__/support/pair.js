'use strict';

/** A server and one client of it, for a test that looks at what passes between them. */

const { connect } = require('./client');
const { observe } = require('./server');

/**
 * Serves, connects, and takes the open event.
 * @param {import('node:test').TestContext} context
 * @param {object} [behavior] as of `observe`
 * @param {object} [place] likewise
 */
async function pair(context, behavior, place) {
  const server = observe(context, behavior, place);
  const client = await connect(context, server.url);
  const [, ws] = await server.events.next();
  return { ...server, client, ws };
}

/**
 * The same with two clients; the second is `other`.
 * @param {import('node:test').TestContext} context
 * @param {object} [behavior]
 */
async function two(context, behavior) {
  const first = await pair(context, behavior);
  const client = await connect(context, first.url);
  for (;;) {
    const [name, ws] = await first.events.next();
    if (name === 'open') return { ...first, other: { ws, client } };
  }
}

/**
 * What the close handler gets next: code and reason.
 * @param {import('./queue').Queue} events
 */
async function nextClose(events) {
  for (;;) {
    const [name, , code, reason] = await events.next();
    if (name === 'close') return [code, reason];
  }
}

/**
 * Upgrades as every program does it.
 * @param {any} res
 * @param {any} req
 * @param {any} context
 * @param {unknown} [userData]
 */
function accept(res, req, context, userData = {}) {
  const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
    req.getHeader(`sec-websocket-${name}`),
  );
  res.upgrade(userData, key, protocol, extensions, context);
}

module.exports = { pair, two, nextClose, accept };
