'use strict';

const { KINDS } = require('./data');

/** A route as one lane needs it: the handlers as plain properties, and how they get data. */
class LaneRoute {
  /**
   * @param {import('./lane').Lane} lane
   * @param {import('./options').RouteSettings} settings
   */
  constructor(lane, settings) {
    this.lane = lane;
    this.open = settings.open;
    this.message = settings.message;
    this.dropped = settings.dropped;
    this.drain = settings.drain;
    this.ping = settings.ping;
    this.pong = settings.pong;
    this.close = settings.close;
    this.binaryKind = KINDS[settings.binaryType];
    this.textKind = KINDS[settings.textType];
    this.maxBackpressure = settings.maxBackpressure;
    this.closeOnBackpressureLimit = settings.closeOnBackpressureLimit;
  }
}

module.exports = { LaneRoute };
