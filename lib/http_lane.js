'use strict';

/**
 * The gate as JavaScript sees it: asks the handlers of HTTP routes, and turns what they write into
 * commands. A request has its place from its event on until the last command of its response, or until
 * its client is gone.
 */

const commands = require('./commands');
const { Crossing } = require('./crossing');
const { KINDS } = require('./data');
const errors = require('./errors');
const events = require('./events');
const { HttpPlaces } = require('./http_places');
const { HttpRequest } = require('./http_request');
const { HttpResponse, arrived, finish, isOver, placeOf, taken } = require('./http_response');
const { fail, settle } = require('./outcome');
const { LARGE_BYTES } = require('./outgoing');
const { Visitor } = require('./visitor');

/** @typedef {import('./http_route').HttpRoute} HttpRoute */
/** @typedef {import('./http_response').Exchange} Exchange */

/** @implements {Exchange} */
class HttpLane extends Crossing {
  #routes;
  #filters;
  #places = new HttpPlaces();
  /**
   * Called with a server name that a client asks for and that has no certificate; it may add one before it returns.
   * @type {((serverName: string) => unknown) | null}
   */
  missingServerName = null;

  /**
   * @param {any} native the addon's `Engine`
   * @param {number} number behind those of the reactors
   * @param {HttpRoute[]} routes by id, with gaps; more may be added
   * @param {((res: any, count: number) => unknown)[]} filters likewise
   */
  constructor(native, number, routes, filters) {
    super(native, number);
    this.#routes = routes;
    this.#filters = filters;
  }

  /**
   * @override
   * @param {number} index
   * @param {number} tag
   * @param {number} offset
   * @param {number} length
   */
  handle(index, tag, offset, length) {
    switch (tag & 0xff) {
      case events.REQUEST:
        this.#asked(index, tag, offset, length);
        break;
      case events.CONTENT:
        this.#content(index, tag, offset, length);
        break;
      case events.TAKEN: {
        const response = this.#places.find(index, tag >>> 16);
        if (response !== null) taken(response, offset);
        break;
      }
      case events.ABORTED:
        this.#aborted(index, tag >>> 16);
        break;
      case events.CONNECTED:
      case events.DISCONNECTED:
        this.#passed(tag, offset);
        break;
      case events.FAILED:
        this.#failed();
        break;
      case events.SERVER_NAME:
        this.#missed(index, tag >>> 16, this.view(KINDS.string, offset, length));
        break;
    }
  }

  /** Ends every request without an answer, and tells how many. */
  terminateAll() {
    let ended = 0;
    for (const response of [...this.#places.all()]) {
      // A handler may have ended it.
      if (isOver(response)) continue;
      const index = placeOf(response);
      const aborted = finish(response);
      this.terminate(index);
      ended++;
      this.#call(aborted);
    }
    this.flush();
    return ended;
  }

  /**
   * @param {number} index
   * @param {string} head
   * @param {string | Uint8Array} body
   */
  respond(index, head, body) {
    const generation = this.#places.generation(index);
    if (typeof body === 'string') {
      this.outgoing.write(commands.ANSWER, commands.ANSWER_RESPONSE, index, generation, head + body);
    } else if (body.length < LARGE_BYTES) {
      this.outgoing.writeParts(commands.ANSWER, commands.ANSWER_RESPONSE, index, generation, head, body);
    } else {
      // In two commands: the body is copied once less.
      const sized = head.replace('\n', `\n:length:${body.length}\n`);
      this.outgoing.write(commands.BEGIN, 0, index, generation, sized);
      this.outgoing.write(commands.CONTENT, commands.FLAG_FIN, index, generation, body);
    }
    this.#release(index, generation);
  }

  /**
   * @param {number} index
   * @param {string} status
   * @param {string} fields
   * @param {number} length
   */
  respondWithoutBody(index, status, fields, length) {
    this.respond(index, headOf(status, fields, length), '');
  }

  /**
   * @param {number} index
   * @param {string} status
   * @param {string} fields
   * @param {number} length
   */
  begin(index, status, fields, length) {
    const head = headOf(status, fields, length);
    this.outgoing.write(commands.BEGIN, 0, index, this.#places.generation(index), head);
  }

  /**
   * @param {number} index
   * @param {number} flags
   * @param {string | Uint8Array} piece
   */
  content(index, flags, piece) {
    const generation = this.#places.generation(index);
    const bytes = this.outgoing.write(commands.CONTENT, flags, index, generation, piece);
    if ((flags & commands.FLAG_FIN) !== 0) this.#release(index, generation);
    return bytes;
  }

  /** @param {number} index */
  watch(index) {
    this.outgoing.writeBare(commands.WATCH_DRAIN, 0, index, this.#places.generation(index));
  }

  /**
   * @param {number} index
   * @param {number} bytes
   */
  grant(index, bytes) {
    this.outgoing.writeWords(commands.GRANT, index, this.#places.generation(index), bytes);
  }

  /** @param {number} index */
  terminate(index) {
    const generation = this.#places.generation(index);
    this.outgoing.writeBare(commands.TERMINATE, 0, index, generation);
    this.#release(index, generation);
  }

  /** @param {HttpResponse} response */
  decline(response) {
    const index = placeOf(response);
    const generation = this.#places.generation(index);
    finish(response);
    this.outgoing.writeBare(commands.ANSWER, commands.ANSWER_YIELD, index, generation);
    this.#release(index, generation);
  }

  /**
   * @param {HttpResponse} _response
   * @param {HttpRoute} route
   */
  upgrade(_response, route) {
    throw errors.noUpgrade(route.subject);
  }

  /** @param {number} index */
  remoteAddress(index) {
    return this.#places.remoteAddress(index);
  }

  /** @param {number} index */
  remotePort(index) {
    return this.#places.remotePort(index);
  }

  /** @param {unknown} error */
  report(error) {
    this.native.report(error);
  }

  /**
   * A request came: calls the handler.
   * @param {number} index
   * @param {number} tag
   * @param {number} offset
   * @param {number} length
   */
  #asked(index, tag, offset, length) {
    const slab = this.slab;
    const route = this.#routes[slab[offset] | (slab[offset + 1] << 8)];
    const head = offset + 4 + events.ADDRESS_BYTES[(tag >>> 8) & 0xff];
    const text = this.view(KINDS.string, head, offset + length - head);
    const request = new HttpRequest(text, route.pattern);
    const response = new HttpResponse(this, route, request, index);
    this.#places.arrive(index, tag, response, slab, offset + 2);
    this.live++;
    const { handler } = route;
    try {
      settle(this, route, response, request, handler(response, request));
    } catch (error) {
      fail(this, response, error);
    }
  }

  /**
   * Content of a request came. Its payload is taken even if nobody is there to get it: the next large one is
   * behind it.
   * @param {number} index
   * @param {number} tag
   * @param {number} offset
   * @param {number} length
   */
  #content(index, tag, offset, length) {
    const flags = (tag >>> 8) & 0xff;
    const isLarge = (flags & events.FLAG_LARGE) !== 0;
    const large = isLarge ? this.native.takeLarge(this.number) : null;
    const response = this.#places.find(index, tag >>> 16);
    if (response === null) return;
    const chunk = large ?? this.view(KINDS.arraybuffer, offset, length);
    arrived(response, chunk, (flags & events.FLAG_LAST) !== 0);
  }

  /** The gate has panicked, and forgotten every request: to the handlers their clients are gone. */
  #failed() {
    for (const response of [...this.#places.all()]) {
      // A handler may have ended it.
      if (isOver(response)) continue;
      const index = placeOf(response);
      this.#aborted(index, this.#places.generation(index));
    }
  }

  /**
   * The client is gone.
   * @param {number} index
   * @param {number} generation
   */
  #aborted(index, generation) {
    const response = this.#places.find(index, generation);
    if (response === null) return;
    const aborted = finish(response);
    this.#release(index, generation);
    this.#call(aborted);
  }

  /**
   * A connection came, or went.
   * @param {number} tag
   * @param {number} offset
   */
  #passed(tag, offset) {
    const family = (tag >>> 8) & 0xff;
    // A copy: a callback may keep what knows the address. `slice` of a Buffer is none.
    const address = new Uint8Array(this.slab.subarray(offset + 4, offset + 4 + events.ADDRESS_BYTES[family]));
    const visitor = new Visitor(this, family, address, this.slab.readUInt16LE(offset + 2));
    const count = (tag & 0xff) === events.CONNECTED ? 1 : -1;
    for (const filter of this.#filters) {
      this.#call(() => filter(visitor.response, count));
    }
  }

  /**
   * A client asks for a server name that is not there. The gate looks again behind this, whatever came of it.
   * @param {number} index
   * @param {number} generation
   * @param {string} serverName
   */
  #missed(index, generation, serverName) {
    this.#call(() => this.missingServerName?.(serverName));
    this.outgoing.writeBare(commands.SERVER_NAME_LOOKED, 0, index, generation);
  }

  /**
   * Gives a place back: no command follows.
   * @param {number} index
   * @param {number} generation
   */
  #release(index, generation) {
    this.#places.leave(index);
    this.live--;
    this.outgoing.writeBare(commands.RELEASE, 0, index, generation);
  }

  /** @param {(() => unknown) | null} handler */
  #call(handler) {
    try {
      handler?.();
    } catch (error) {
      this.native.report(error);
    }
  }
}

/**
 * A head as the gate reads it.
 * @param {string} status
 * @param {string} fields
 * @param {number} length of the content; -1: unknown
 */
function headOf(status, fields, length) {
  return length < 0 ? `${status}\n${fields}\n` : `${status}\n:length:${length}\n${fields}\n`;
}

module.exports = { HttpLane };
