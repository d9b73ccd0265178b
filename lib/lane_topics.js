'use strict';

/**
 * Publish/subscribe in one lane: what sockets ask, and what their reactor is told. The reactor gets
 * subscriptions and published messages in the buffer in which it gets sends, so all of them keep the order of
 * the calls. What a publish costs here does not depend on how many subscribers there are.
 */

const { Column } = require('./column');
const { SUBSCRIBE, UNSUBSCRIBE } = require('./commands');
const { Subscriptions } = require('./subscriptions');
const { nameAs } = require('./topics');
const { routeOf } = require('./websocket');

/** @typedef {import('./websocket').WebSocket} WebSocket */

class LaneTopics {
  #subscriptions = new Subscriptions();
  /** Subscribers in this lane, by the topic's number. */
  #counts = new Column();

  /**
   * @param {import('./lane').Lane} lane
   * @param {import('./topics').Topics} topics
   */
  constructor(lane, topics) {
    this.lane = lane;
    this.topics = topics;
  }

  /** Subscriptions of this lane's connections. */
  get size() {
    return this.#subscriptions.size;
  }

  /** Bytes of those, and of the counts. */
  get bytes() {
    return this.#subscriptions.bytes + this.#counts.bytes;
  }

  /**
   * @param {WebSocket} socket
   * @param {number} index
   * @param {unknown} name
   * @returns {boolean} whether it holds the topic now: not if it is closing
   */
  subscribe(socket, index, name) {
    if (!this.lane.isOpen(socket, index)) {
      this.topics.find(name);
      return false;
    }
    const topic = this.topics.made(name);
    if (topic.subscribers > 0 && this.#subscriptions.find(index, topic.id) !== -1) return true;
    const id = this.#subscriptions.add(index, topic.id);
    this.#counts.set(topic.id, this.#counts.at(topic.id) + 1);
    topic.subscribers++;
    this.lane.writeWords(SUBSCRIBE, index, topic.id, id);
    this.#tell(socket, topic.name, topic.subscribers, topic.subscribers - 1);
    return true;
  }

  /**
   * @param {WebSocket} socket
   * @param {number} index
   * @param {unknown} name
   * @returns {boolean} whether it held the topic
   */
  unsubscribe(socket, index, name) {
    const topic = this.topics.find(name);
    if (topic === undefined) return false;
    const id = this.#subscriptions.find(index, topic.id);
    if (id === -1) return false;
    this.#drop(socket, index, id);
    return true;
  }

  /**
   * @param {number} index
   * @param {unknown} name
   */
  holds(index, name) {
    const topic = this.topics.find(name);
    return topic !== undefined && this.#subscriptions.find(index, topic.id) !== -1;
  }

  /**
   * The names of a connection's topics, the oldest first.
   * @param {number} index
   */
  names(index) {
    const names = [];
    for (let id = this.#subscriptions.first(index); id !== -1; id = this.#subscriptions.next(id)) {
      names.push(this.topics.at(this.#subscriptions.topic(id)).name);
    }
    return names.reverse();
  }

  /**
   * A connection closes: it gives up all of its topics.
   * @param {WebSocket} socket
   * @param {number} index
   */
  leave(socket, index) {
    for (let id = this.#subscriptions.first(index); id !== -1; id = this.#subscriptions.first(index)) {
      this.#drop(socket, index, id);
    }
  }

  /**
   * Publishes to the subscribers of this lane.
   * @param {number} id the topic's
   * @param {number} flags
   * @param {string | Uint8Array} message
   * @param {number} sender the place of a connection that does not get it; -1: none
   * @returns {boolean} whether there was one
   */
  publish(id, flags, message, sender) {
    const count = this.#counts.at(id);
    if (count === 0) return false;
    if (count === 1 && sender !== -1 && this.#subscriptions.find(sender, id) !== -1) return false;
    this.lane.publish(id, flags, sender, message);
    return true;
  }

  /**
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} id
   */
  #drop(socket, index, id) {
    const topic = this.topics.at(this.#subscriptions.topic(id));
    this.#counts.set(topic.id, this.#counts.at(topic.id) - 1);
    this.#subscriptions.remove(id);
    if (this.#subscriptions.size === 0) this.#counts.shrink();
    this.lane.writeWords(UNSUBSCRIBE, index, id);
    this.topics.left(topic);
    this.#tell(socket, topic.name, topic.subscribers, topic.subscribers + 1);
  }

  /**
   * Calls the subscription handler.
   * @param {WebSocket} socket
   * @param {string} name
   * @param {number} count
   * @param {number} before
   */
  #tell(socket, name, count, before) {
    const { subscription, textKind } = routeOf(socket);
    if (subscription === null) return;
    try {
      subscription(socket, nameAs(textKind, name), count, before);
    } catch (error) {
      this.lane.native.report(error);
    }
  }
}

module.exports = { LaneTopics };
