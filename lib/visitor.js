'use strict';

/**
 * Who a connection belongs to, for `app.filter`: a response that knows the address, as uWebSockets.js
 * passes one, and cannot be written to, since there is no request.
 */

const { addressOf } = require('./address');
const errors = require('./errors');
const { HttpRequest } = require('./http_request');
const { HttpResponse } = require('./http_response');

/** @typedef {import('./http_response').Exchange} Exchange */

const ROUTE = { subject: 'A callback of App.filter()' };

/** @returns {never} */
function refuse() {
  throw errors.noRequest();
}

/** @implements {Exchange} */
class Visitor {
  respond = refuse;
  respondWithoutBody = refuse;
  begin = refuse;
  content = refuse;
  watch = refuse;
  grant = refuse;
  terminate = refuse;
  decline = refuse;
  upgrade = refuse;
  #lane;
  #family;
  #address;
  #port;

  /**
   * @param {import('./http_lane').HttpLane} lane
   * @param {number} family
   * @param {Uint8Array} address
   * @param {number} port
   */
  constructor(lane, family, address, port) {
    this.#lane = lane;
    this.#family = family;
    this.#address = address;
    this.#port = port;
    this.response = new HttpResponse(this, ROUTE, new HttpRequest('\n\n', ''), 0);
  }

  remoteAddress() {
    return addressOf(this.#family, new Uint8Array(this.#address));
  }

  remotePort() {
    return this.#port;
  }

  /** @param {unknown} error */
  report(error) {
    this.#lane.report(error);
  }
}

module.exports = { Visitor };
