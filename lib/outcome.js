'use strict';

/**
 * What becomes of a request when its handler has returned: answered, to be answered later, left to the
 * next route; or the handler has failed its client, who gets 500 then, or the end of the connection
 * where a response was begun.
 */

const errors = require('./errors');
const { isYielded } = require('./http_request');
const { finish, isAwaited, isBegun, isOver, placeOf } = require('./http_response');

/** @typedef {import('./http_response').HttpResponse} HttpResponse */
/** @typedef {import('./http_response').Exchange} Exchange */

/** What a client gets when the handler fails it. */
const FAILURE = '500 Internal Server Error\n\n';

/**
 * Looks at what a handler has done. Throws if it has done nothing.
 * @param {Exchange} exchange
 * @param {import('./http_response').Route} route
 * @param {HttpResponse} response
 * @param {import('./http_request').HttpRequest} request
 * @param {any} result what the handler has returned
 */
function settle(exchange, route, response, request, result) {
  if (isOver(response)) return;
  if (isYielded(request) && !isBegun(response)) {
    exchange.decline(response);
  } else if (!isAwaited(response)) {
    if (typeof result?.then !== 'function') throw errors.unanswered(route.subject);
    abandon(exchange, response);
    reportUnanswered(exchange, route.subject, result);
  } else if (typeof result?.then === 'function') {
    // The error stays a rejection that nobody handles; the client does not wait for ever.
    result.then(undefined, (/** @type {unknown} */ error) => {
      abandon(exchange, response);
      throw error;
    });
  }
}

/**
 * An `async` handler has returned without an answer. Where it has thrown before its first `await`, that is the error
 * to be told, and the only one: it stays a rejection that nobody handles.
 * @param {Exchange} exchange
 * @param {string} subject
 * @param {PromiseLike<unknown>} result
 */
function reportUnanswered(exchange, subject, result) {
  let isRejected = false;
  result.then(undefined, (error) => {
    isRejected = true;
    throw error;
  });
  // Behind the one above, if that is called at once.
  queueMicrotask(() => {
    if (!isRejected) exchange.report(errors.unanswered(subject));
  });
}

/**
 * A handler has thrown, or done nothing.
 * @param {Exchange} exchange
 * @param {HttpResponse} response
 * @param {unknown} error
 */
function fail(exchange, response, error) {
  abandon(exchange, response);
  exchange.report(error);
}

/**
 * @param {Exchange} exchange
 * @param {HttpResponse} response
 */
function abandon(exchange, response) {
  if (isOver(response)) return;
  const index = placeOf(response);
  const begun = isBegun(response);
  finish(response);
  if (begun) exchange.terminate(index);
  else exchange.respond(index, FAILURE, '');
}

module.exports = { settle, fail };
