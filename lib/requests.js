'use strict';

/**
 * The requests of one lane that JavaScript answers: opening handshakes of routes with an `upgrade` handler.
 * Asks the handlers, and turns what they write into commands. A request has its place among the lane's
 * connections from its event on; answered otherwise than by an upgrade, or aborted, it gives the place
 * back. A refusal crosses whole: what a handler streams is gathered here.
 */

const commands = require('./commands');
const errors = require('./errors');
const { HttpRequest } = require('./http_request');
const { HttpResponse, arrived, finish, isOver, placeOf, taken } = require('./http_response');
const { fail, settle } = require('./outcome');

/** Taken once: applications replace the global one where they test with scripted time. */
const { queueMicrotask } = globalThis;

/** @typedef {import('./lane_route').LaneRoute} LaneRoute */
/** @typedef {import('./http_response').Exchange} Exchange */

const FORBIDDEN = '403 Forbidden\nconnection: close\n\n';
/** As the engine says it for other rules: `src/http/`. */
const FORBIDDEN_ORIGIN = 'pages of this origin may not open a WebSocket here';

/**
 * A refusal that is streamed.
 * @typedef {{ head: string, length: number, pieces: Uint8Array[], bytes: number }} Gathered
 */

/** @implements {Exchange} */
class Requests {
  #lane;
  /** @type {Map<number, HttpResponse>} by place */
  #pending = new Map();
  /** @type {Map<number, Gathered>} by place */
  #streams = new Map();

  /** @param {import('./lane').Lane} lane */
  constructor(lane) {
    this.#lane = lane;
  }

  /**
   * A request came: calls the handler. One that returns without an answer must have said, by
   * `onAborted`, that it will answer later.
   * @param {LaneRoute} route
   * @param {number} index
   * @param {string} head
   */
  ask(route, index, head) {
    const request = new HttpRequest(head, route.pattern);
    const response = new HttpResponse(this, route, request, index);
    this.#pending.set(index, response);
    try {
      const { origins, upgrade } = route;
      if (typeof origins === 'function' && !this.#admits(origins, request)) {
        finish(response);
        return this.respond(index, FORBIDDEN, FORBIDDEN_ORIGIN);
      }
      settle(this, route, response, request, (upgrade ?? accept)(response, request, route.context));
    } catch (error) {
      fail(this, response, error);
    }
  }

  /**
   * The peer is gone before its request was answered.
   * @param {number} index
   */
  abort(index) {
    const response = this.#pending.get(index);
    if (response === undefined) return;
    const aborted = finish(response);
    this.#release(index);
    this.#call(aborted);
  }

  /** The reactor has forgotten every request: to the handlers their clients are gone. */
  failAll() {
    // A handler may answer another one, which changes nothing for that.
    for (const index of [...this.#pending.keys()]) this.abort(index);
  }

  /** Ends every request without an answer, and tells how many there were. */
  abortAll() {
    let ended = 0;
    for (const [index, response] of [...this.#pending]) {
      // A handler may have ended it.
      if (isOver(response)) continue;
      const aborted = finish(response);
      ended++;
      this.terminate(index);
      this.#call(aborted);
    }
    return ended;
  }

  /**
   * Answers a request.
   * @param {number} index
   * @param {string} head status line and header lines, with the empty line behind them
   * @param {string | Uint8Array} body
   */
  respond(index, head, body) {
    const answer = typeof body === 'string' ? head + body : Buffer.concat([Buffer.from(head), body]);
    this.#answer(index, commands.ANSWER_RESPONSE, answer);
  }

  /**
   * Of an opening handshake, whose method is GET, no other length than that of the body can be reported.
   * @param {number} index
   * @param {string} status
   * @param {string} fields
   */
  respondWithoutBody(index, status, fields) {
    this.respond(index, `${status}\n${fields}\n`, '');
  }

  /**
   * @param {number} index
   * @param {string} status
   * @param {string} fields
   * @param {number} length
   */
  begin(index, status, fields, length) {
    this.#streams.set(index, { head: `${status}\n${fields}\n`, length, pieces: [], bytes: 0 });
  }

  /**
   * @param {number} index
   * @param {number} flags
   * @param {string | Uint8Array} piece
   */
  content(index, flags, piece) {
    const stream = /** @type {Gathered} */ (this.#streams.get(index));
    // A copy: the handler may write into its memory when this has returned.
    const bytes = Buffer.from(/** @type {string} */ (piece));
    stream.pieces.push(bytes);
    stream.bytes += bytes.length;
    if ((flags & commands.FLAG_FIN) !== 0) {
      // Shorter than promised: as of other responses, the end of the connection says so.
      if (stream.bytes < stream.length) this.terminate(index);
      else this.respond(index, stream.head, Buffer.concat(stream.pieces));
    }
    return bytes.length;
  }

  /**
   * Nothing waits for the client here.
   * @param {number} index
   */
  watch(index) {
    const response = this.#pending.get(index);
    const stream = this.#streams.get(index);
    queueMicrotask(() => {
      if (response !== undefined && stream !== undefined) taken(response, stream.bytes >>> 0);
    });
  }

  /**
   * An opening handshake has no content.
   * @param {number} index
   */
  grant(index) {
    const response = this.#pending.get(index);
    queueMicrotask(() => {
      if (response !== undefined) arrived(response, new ArrayBuffer(0), true);
    });
  }

  /**
   * Closes the connection without an answer.
   * @param {number} index
   */
  terminate(index) {
    this.#answer(index, commands.ANSWER_CLOSE, '');
  }

  /** @param {HttpResponse} response */
  decline(response) {
    const index = placeOf(response);
    finish(response);
    this.#answer(index, commands.ANSWER_YIELD, '');
  }

  /**
   * Makes a request's connection a WebSocket.
   * @param {HttpResponse} response
   * @param {LaneRoute} route
   * @param {number} index
   * @param {unknown} userData
   * @param {boolean} isPlain whether no extension is wanted
   * @param {string} answer subprotocol and header lines
   */
  upgrade(response, route, index, userData, isPlain, answer) {
    const socket = new route.Socket(route, index);
    // Whatever this throws, the request is as it was.
    adopt(socket, userData);
    finish(response);
    this.#pending.delete(index);
    this.#lane.answer(index, commands.ANSWER_UPGRADE | (isPlain ? commands.ANSWER_PLAIN : 0), answer);
    this.#lane.open(socket, index);
  }

  /** @param {number} index */
  remoteAddress(index) {
    return this.#lane.remoteAddress(index);
  }

  /** @param {number} index */
  remotePort(index) {
    return this.#lane.remotePort(index);
  }

  /** @param {unknown} error */
  report(error) {
    this.#lane.native.report(error);
  }

  /**
   * Asks whether an origin is let in. As with other rules, who sends none is no browser, and passes.
   * @param {Function} origins
   * @param {HttpRequest} request
   */
  #admits(origins, request) {
    /** @type {string[]} */
    const given = [];
    request.forEach((name, value) => {
      if (name === 'origin') given.push(value);
    });
    if (given.length === 0) return true;
    if (given.length > 1) return false;
    const admitted = origins(given[0], request);
    if (typeof admitted?.then === 'function') {
      const error = errors.invalidType('What `origins` returns', 'true or false, at once', admitted);
      this.#lane.native.report(error);
    }
    return admitted === true;
  }

  /**
   * @param {number} index
   * @param {number} flags
   * @param {string | Uint8Array} answer
   */
  #answer(index, flags, answer) {
    this.#lane.answer(index, flags, answer);
    this.#release(index);
  }

  /** @param {number} index */
  #release(index) {
    this.#pending.delete(index);
    this.#streams.delete(index);
    this.#lane.release(index);
  }

  /** @param {(() => unknown) | null} handler */
  #call(handler) {
    try {
      handler?.();
    } catch (error) {
      this.#lane.native.report(error);
    }
  }
}

/**
 * Accepts a request of a route that has no `upgrade` handler, as the engine would.
 * @param {HttpResponse} response
 * @param {HttpRequest} request
 * @param {unknown} context
 */
function accept(response, request, context) {
  const key = request.getHeader('sec-websocket-key');
  const protocol = request.getHeader('sec-websocket-protocol');
  const extensions = request.getHeader('sec-websocket-extensions');
  response.upgrade(undefined, key, protocol, extensions, context);
}

/**
 * Copies the own properties of the user data onto a socket.
 * @param {any} socket
 * @param {any} userData
 */
function adopt(socket, userData) {
  if (typeof userData !== 'object' || userData === null) return;
  for (const key of Object.keys(userData)) {
    const value = userData[key];
    // What the socket inherits, such as an accessor or `__proto__`, is not to be called or replaced by this.
    if (key in socket) {
      Object.defineProperty(socket, key, { value, writable: true, enumerable: true, configurable: true });
    } else socket[key] = value;
  }
}

module.exports = { Requests };
