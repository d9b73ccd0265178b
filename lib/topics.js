'use strict';

/**
 * The topics of one App: their names, and how many subscribers each has. Who they are is known to the
 * lanes (`lib/lane_topics.js`), which hand published messages to their reactors. A topic lives while
 * it has a subscriber; its number is used again at once, since every reactor hears of the old use and
 * of the new one in order.
 */

const { FLAG_COMPRESS, FLAG_FIN, OPCODE_BINARY, OPCODE_TEXT } = require('./commands');
const { KINDS, bytesOf, wholeOf } = require('./data');

/** Begins the names that are no UTF-8, so that no text is the same. */
const NOT_TEXT = '\udfff';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Topic {
  /**
   * @param {string} name
   * @param {number} id
   */
  constructor(name, id) {
    this.name = name;
    this.id = id;
    /** In all lanes. */
    this.subscribers = 0;
  }
}

/** In the place of a number that no topic has. */
const NOBODY = new Topic('', -1);

class Topics {
  /** @type {Map<string, Topic>} */
  #byName = new Map();
  /** @type {Topic[]} */
  #byId = [];
  /** @type {number[]} Numbers that no topic has. */
  #free = [];

  constructor() {
    /** @type {import('./lane_topics').LaneTopics[]} those of the reactors that run */
    this.lanes = [];
    /** Messages that were published and had a subscriber. */
    this.publishes = 0;
  }

  /** Topics that have a subscriber. */
  get size() {
    return this.#byName.size;
  }

  /**
   * The topic of a name, if it has a subscriber.
   * @param {unknown} name text or data
   */
  find(name) {
    return this.#byName.get(textOf(name));
  }

  /**
   * The topic of a name, which is to get a subscriber.
   * @param {unknown} name text or data
   */
  made(name) {
    const text = textOf(name);
    const found = this.#byName.get(text);
    if (found !== undefined) return found;
    const topic = new Topic(text, this.#free.pop() ?? this.#byId.length);
    this.#byName.set(text, topic);
    this.#byId[topic.id] = topic;
    return topic;
  }

  /**
   * The topic of a number that a subscription has.
   * @param {number} id
   */
  at(id) {
    return this.#byId[id];
  }

  /**
   * One subscriber less.
   * @param {Topic} topic
   */
  left(topic) {
    topic.subscribers--;
    if (topic.subscribers > 0) return;
    this.#byName.delete(topic.name);
    if (this.#byName.size === 0) {
      this.#byId = [];
      this.#free = [];
    } else {
      this.#byId[topic.id] = NOBODY;
      this.#free.push(topic.id);
    }
  }

  /**
   * Hands a message to every reactor that has a subscriber other than the sender.
   * @param {unknown} name
   * @param {unknown} message
   * @param {boolean | undefined} isBinary
   * @param {boolean | undefined} compress
   * @param {import('./lane_topics').LaneTopics | null} [lane] of the connection that publishes
   * @param {number} [index] its place
   * @returns {boolean} whether there was one
   */
  publish(name, message, isBinary, compress, lane = null, index = -1) {
    const opcode = isBinary ? OPCODE_BINARY : OPCODE_TEXT;
    const flags = compress ? FLAG_FIN | FLAG_COMPRESS | opcode : FLAG_FIN | opcode;
    const topic = this.find(name);
    const data = typeof message === 'string' ? message : bytesOf(message);
    if (topic === undefined) return false;
    let reached = false;
    for (const one of this.lanes) {
      if (one.publish(topic.id, flags, data, one === lane ? index : -1)) reached = true;
    }
    if (reached) this.publishes++;
    return reached;
  }
}

/**
 * A topic's name as text. Names that are no UTF-8 stay apart from each other and from all text.
 * @param {unknown} name
 */
function textOf(name) {
  if (typeof name === 'string') return name;
  const bytes = bytesOf(name);
  try {
    return utf8.decode(bytes);
  } catch {
    return NOT_TEXT + Buffer.from(bytes).toString('latin1');
  }
}

/**
 * A topic's name as a handler gets it.
 * @param {number} kind
 * @param {string} name
 * @returns {any}
 */
function nameAs(kind, name) {
  if (kind === KINDS.string) return name;
  const bytes = name.startsWith(NOT_TEXT) ? Buffer.from(name.slice(1), 'latin1') : Buffer.from(name);
  return wholeOf(kind, new Uint8Array(bytes).buffer);
}

module.exports = { Topics, nameAs };
