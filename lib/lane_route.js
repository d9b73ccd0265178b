'use strict';

const { KINDS } = require('./data');
const { shown } = require('./errors');
const { SSLWebSocket, WebSocket } = require('./websocket');

/**
 * What a route was asked for, with its pattern, and whether its connections speak TLS.
 * @typedef {import('./options').RouteSettings & { pattern: string, isSecure: boolean }} Settings
 */

/** Bytes sent to one connection without a word from the reactor, from which on `send` says 0 in any case. */
const SURGE_BYTES = 16 * 1024 * 1024;

/** A route as one lane needs it: the handlers as plain properties, and how they get data. */
class LaneRoute {
  /**
   * @param {import('./lane').Lane} lane
   * @param {Settings} settings
   */
  constructor(lane, settings) {
    this.lane = lane;
    this.pattern = settings.pattern;
    /** The class of its sockets. */
    this.Socket = settings.isSecure ? SSLWebSocket : WebSocket;
    /** The third argument of `upgrade`, which `res.upgrade` wants back. */
    this.context = Object.freeze({});
    this.origins = settings.origins;
    this.upgrade = settings.upgrade;
    this.open = settings.open;
    this.message = settings.message;
    this.dropped = settings.dropped;
    this.drain = settings.drain;
    this.ping = settings.ping;
    this.pong = settings.pong;
    this.close = settings.close;
    this.subscription = settings.subscription;
    this.binaryKind = KINDS[settings.binaryType];
    this.textKind = KINDS[settings.textType];
    this.maxBackpressure = settings.maxBackpressure;
    /** The same for this route: beyond it, the reactor would drop the next message if none of them were written. */
    this.surgeBytes = Math.min(settings.maxBackpressure || SURGE_BYTES, SURGE_BYTES);
    this.closeOnBackpressureLimit = settings.closeOnBackpressureLimit;
    /** Whether methods of a closed socket do nothing, instead of throwing. */
    this.ignoresClosed = settings.closedSend === 'ignore';
  }

  /** What an error calls its `upgrade` handler. */
  get subject() {
    return `The upgrade handler of App.ws(${shown(this.pattern)})`;
  }
}

module.exports = { LaneRoute };
