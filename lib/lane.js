'use strict';

/**
 * One reactor thread as JavaScript sees it: calls the handlers of its events, and gathers the commands
 * for it. This is the message path: no message makes a native call by itself, neither in nor out, unless
 * it is large.
 */

const commands = require('./commands');
const events = require('./events');
const { Backlog, DROPPED, SENT } = require('./backlog');
const { closePayload } = require('./close_frame');
const errors = require('./errors');
const { Connections, PAGE_MASK } = require('./connections');
const { Crossing } = require('./crossing');
const { KINDS, wholeOf, ownCopy, bytesOf } = require('./data');
const { Fragments } = require('./fragments');
const { LaneRoute } = require('./lane_route');
const { LaneTopics } = require('./lane_topics');
const { Requests } = require('./requests');
const { routeOf, indexOf, retire } = require('./websocket');

/** @typedef {import('./websocket').WebSocket} WebSocket */

/** Why a connection ends, by the flags of the command that closes it at once. */
const TERMINATIONS = [events.CAUSE_LOCAL, events.CAUSE_BACKPRESSURE, events.CAUSE_SHUTDOWN];

/** The place in a command that is for no connection. */
const NO_PLACE = 0xffff_ffff;

class Lane extends Crossing {
  /** @type {LaneRoute[]} by route id */
  #routes = [];
  #connections = new Connections();
  #backlog;
  #requests = new Requests(this);
  /** @type {number[]} The places of the connections whose close handlers run, one within the other. */
  #closing = [];
  /** @type {number[]} Why each of them closes. */
  #causes = [];

  /**
   * @param {any} native the addon's `Engine`
   * @param {number} number of the reactor
   * @param {import('./lane_route').Settings[]} routes by id; more may be added
   * @param {import('./topics').Topics} topics
   */
  constructor(native, number, routes, topics) {
    super(native, number);
    this.#backlog = new Backlog(this, this.outgoing);
    this.settings = routes;
    this.topics = new LaneTopics(this, topics);
    this.fragments = new Fragments(this);
    /** @type {(error: ReturnType<typeof errors.engineFailed>) => void} Called behind a panic of the engine, before its connections are closed here. */
    this.failed = () => {};
    /** Messages that were dropped here, before the reactor saw them. */
    this.dropped = 0;
  }

  /** Bytes that this side keeps: columns of connections and subscriptions, and what the crossing needs. */
  get memory() {
    return {
      connections: this.#connections.bytes,
      subscriptions: this.topics.bytes,
      buffers: this.bufferBytes,
    };
  }

  /** Has every connection closed with this close frame, some at a time. @param {Uint8Array} payload */
  shutDown(payload) {
    this.outgoing.write(commands.SHUTDOWN, 0, NO_PLACE, 0, payload);
    this.flush();
  }

  /**
   * Closes every connection, and ends every request; tells how many of those. The close handlers run;
   * those whose open event is on its way get both later.
   */
  terminateAll(flags = 0) {
    // Not `socket.close()`: the application may have a property of that name.
    const aborted = this.#requests.abortAll();
    for (const socket of this.#connections.open()) this.terminate(socket, indexOf(socket), flags);
    this.outgoing.writeBare(commands.TERMINATE_ALL, flags, NO_PLACE, 0);
    this.flush();
    return aborted;
  }

  /** @param {WebSocket} socket @param {number} index */
  isOpen(socket, index) {
    return this.#connections.page(index).sockets[index & PAGE_MASK] === socket;
  }

  /**
   * Sends one frame.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} flags
   * @param {unknown} message
   * @returns {number} 1: handed over; 0: behind others that wait, or that may; 2: dropped
   */
  send(socket, index, flags, message) {
    const page = this.#connections.page(index);
    const at = index & PAGE_MASK;
    const status = this.#backlog.isEmpty ? SENT : this.#backlog.admit(socket, index, flags, message);
    const payload = typeof message === 'string' ? message : bytesOf(message);
    if (status === DROPPED || page.sockets[at] !== socket) return DROPPED;
    const bytes = this.outgoing.write(commands.SEND, flags, index, page.generations[at], payload);
    return this.#backlog.sent(socket, page, index, bytes, status);
  }

  /**
   * Sends one frame to all subscribers of a topic.
   * @param {number} topic
   * @param {number} flags
   * @param {number} sender the place of a connection that does not get it; -1: none
   * @param {string | Uint8Array} message
   */
  publish(topic, flags, sender, message) {
    const place = sender === -1 ? NO_PLACE : sender;
    const generation = sender === -1 ? 0 : this.#generation(sender);
    this.outgoing.writePublish(topic, flags, place, generation, message);
  }

  /**
   * Writes a command of a connection whose payload is one or two numbers.
   * @param {number} kind
   * @param {number} index
   * @param {number} first
   * @param {number} [second]
   */
  writeWords(kind, index, first, second) {
    this.outgoing.writeWords(kind, index, this.#generation(index), first, second);
  }

  /**
   * Bytes that are not known to be written. A drain event will follow if there are any.
   * @param {WebSocket} socket
   * @param {number} index
   */
  bufferedAmount(socket, index) {
    if (!this.isOpen(socket, index)) return 0;
    return this.#backlog.asked(this.#connections.page(index), index);
  }

  /**
   * Says goodbye: a close frame, then FIN. The close handler has run when this returns.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} code 0: none
   * @param {Uint8Array} reason
   */
  end(socket, index, code, reason) {
    if (!this.isOpen(socket, index)) return;
    const payload = code === 0 ? reason.subarray(0, 0) : closePayload(code, reason);
    this.outgoing.write(commands.END, 0, index, this.#generation(index), payload);
    const { binaryKind } = routeOf(socket);
    this.#finish(socket, index, events.CAUSE_LOCAL, code === 0 ? 1005 : code, ownCopy(binaryKind, reason));
  }

  /**
   * Closes the socket at once. The close handler has run when this returns.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} [flags]
   */
  terminate(socket, index, flags = 0) {
    if (!this.isOpen(socket, index)) return;
    this.command(commands.TERMINATE, index, flags);
    const reason = ownCopy(routeOf(socket).binaryKind, new Uint8Array(0));
    this.#finish(socket, index, TERMINATIONS[flags], 1006, reason);
  }

  /**
   * Answers a request.
   * @param {number} index
   * @param {number} flags
   * @param {string | Uint8Array} answer
   */
  answer(index, flags, answer) {
    this.outgoing.write(commands.ANSWER, flags, index, this.#generation(index), answer);
  }

  /**
   * A socket is open: its place is a new connection's, or that of a request which was upgraded.
   * @param {WebSocket} socket
   * @param {number} index
   */
  open(socket, index) {
    this.#connections.page(index).sockets[index & PAGE_MASK] = socket;
    const { open } = routeOf(socket);
    if (open === null) return;
    try {
      open(socket);
    } catch (error) {
      this.native.report(error);
    }
  }

  /**
   * Gives a place back.
   * @param {number} index
   */
  release(index) {
    this.live--;
    this.command(commands.RELEASE, index);
  }

  /**
   * Why a connection closes whose close handler runs.
   * @param {number} index
   */
  causeOf(index) {
    return this.#causes[this.#closing.lastIndexOf(index)] ?? 0;
  }

  /** @param {number} index */
  remoteAddress(index) {
    return this.#connections.remoteAddress(index);
  }

  /** @param {number} index */
  remotePort(index) {
    return this.#connections.page(index).ports[index & PAGE_MASK];
  }

  /**
   * @override
   * @param {number} index
   * @param {number} tag
   * @param {number} offset
   * @param {number} length
   */
  handle(index, tag, offset, length) {
    const kind = tag & 0xff;
    if (kind !== events.MESSAGE) {
      if (kind === events.APPLIED) {
        this.#backlog.confirmed = offset | 0;
        return;
      }
      if (kind === events.OPEN || kind === events.REQUEST) {
        this.#arrived(index, tag, offset, length);
        return;
      }
      if (kind === events.FAILED) {
        this.#failed((tag >>> 8) & 0xff, this.view(KINDS.string, offset, length));
        return;
      }
    }
    const page = this.#connections.page(index);
    const at = index & PAGE_MASK;
    const socket = page.sockets[at];
    const current = socket !== null && page.generations[at] === tag >>> 16;
    if (kind === events.MESSAGE) {
      if (((tag >>> 8) & events.FLAG_LARGE) !== 0) {
        this.#large(current ? socket : null, tag);
        return;
      }
      if (!current) return;
      const route = routeOf(socket);
      if (route.message === null) return;
      const isBinary = ((tag >>> 8) & events.FLAG_BINARY) !== 0;
      const as = isBinary ? route.binaryKind : route.textKind;
      const message = route.message;
      message(socket, this.view(as, offset, length), isBinary);
      return;
    }
    if (kind === events.DROPPED && ((tag >>> 8) & events.FLAG_LARGE) !== 0) {
      this.#large(current ? socket : null, tag);
      return;
    }
    if (current) this.#rare(socket, index, tag, offset, length);
    else if (kind === events.ABORTED && page.generations[at] === tag >>> 16) this.#requests.abort(index);
  }

  /**
   * Events that are no messages.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} tag
   * @param {number} offset or an amount
   * @param {number} length
   */
  #rare(socket, index, tag, offset, length) {
    const route = routeOf(socket);
    // Taken out of the route: handlers are called without a receiver.
    const { ping, pong, dropped, drain } = route;
    switch (tag & 0xff) {
      case events.PING:
        ping?.(socket, this.view(route.binaryKind, offset, length));
        break;
      case events.PONG:
        pong?.(socket, this.view(route.binaryKind, offset, length));
        break;
      case events.DROPPED: {
        const isBinary = ((tag >>> 8) & events.FLAG_BINARY) !== 0;
        const as = isBinary ? route.binaryKind : route.textKind;
        dropped?.(socket, this.view(as, offset, length), isBinary);
        break;
      }
      case events.BACKLOG:
        this.#backlog.grew(index, offset);
        break;
      case events.DRAIN:
        if (this.#backlog.drained(this.#connections.page(index), index, offset)) drain?.(socket);
        break;
      case events.ABORTED:
        // Upgraded while the word of it was on its way.
        this.#finish(socket, index, events.CAUSE_RESET, 1006, ownCopy(route.binaryKind, new Uint8Array(0)));
        break;
      case events.CLOSE: {
        const code = this.slab.readUInt16LE(offset);
        const reason = route.close && this.view(route.binaryKind, offset + 2, length - 2);
        this.#finish(socket, index, (tag >>> 8) & 0xff, code, reason);
        break;
      }
    }
  }

  /**
   * A message, or a dropped one, whose payload is taken by a call of its own. It is taken even if
   * nobody is there to get it: the next one is behind it.
   * @param {WebSocket | null} socket
   * @param {number} tag
   */
  #large(socket, tag) {
    const payload = this.native.takeLarge(this.number);
    if (socket === null) return;
    const route = routeOf(socket);
    const handler = (tag & 0xff) === events.MESSAGE ? route.message : route.dropped;
    if (handler === null) return;
    const isBinary = ((tag >>> 8) & events.FLAG_BINARY) !== 0;
    handler(socket, wholeOf(isBinary ? route.binaryKind : route.textKind, payload), isBinary);
  }

  /**
   * A thread of the engine has panicked. If it is this reactor, it has begun anew: of the connections and requests that
   * are here it has none any more.
   * @param {number} what
   * @param {string} text how many connections it had, where it was, and what was said, in lines
   */
  #failed(what, text) {
    const [connections, place, ...message] = text.split('\n');
    this.failed(errors.engineFailed(what, this.number, Number(connections), place, message.join('\n')));
    if (what !== events.FAILED_REACTOR) return;
    this.#requests.failAll();
    for (const socket of this.#connections.open()) {
      const reason = ownCopy(routeOf(socket).binaryKind, Buffer.from(events.FAILED_REASON));
      this.#finish(socket, indexOf(socket), events.CAUSE_FAILURE, events.FAILED_STATUS_CODE, reason);
    }
  }

  /**
   * A connection was established, or a request came.
   * @param {number} index
   * @param {number} tag
   * @param {number} offset
   * @param {number} length
   */
  #arrived(index, tag, offset, length) {
    const slab = this.slab;
    const route = this.#route(slab.readUInt16LE(offset));
    const end = this.#connections.arrive(index, tag, slab, offset + 2);
    this.live++;
    if ((tag & 0xff) === events.OPEN) {
      this.open(new route.Socket(route, index), index);
    } else {
      this.#requests.ask(route, index, this.view(KINDS.string, end, offset + length - end));
    }
  }

  /**
   * Ends a socket on this side: the close handler, once, and the slot is given back.
   * @param {WebSocket} socket
   * @param {number} index
   * @param {number} cause
   * @param {number} code
   * @param {any} reason as the handler gets it
   */
  #finish(socket, index, cause, code, reason) {
    const page = this.#connections.page(index);
    page.sockets[index & PAGE_MASK] = null;
    this.#backlog.forget(index);
    if (this.fragments.open !== 0) this.fragments.forget(index);
    this.#closing.push(index);
    this.#causes.push(cause);
    this.topics.leave(socket, index);
    const close = routeOf(socket).close;
    if (close !== null) {
      try {
        close(socket, code, reason);
      } catch (error) {
        this.native.report(error);
      }
    }
    this.#closing.pop();
    this.#causes.pop();
    retire(socket, cause);
    this.release(index);
  }

  /** @param {number} id */
  #route(id) {
    this.#routes[id] ??= new LaneRoute(this, this.settings[id]);
    return this.#routes[id];
  }

  /** @param {number} kind @param {number} index @param {number} [flags] */
  command(kind, index, flags = 0) {
    this.outgoing.writeBare(kind, flags, index, this.#generation(index));
  }

  /** @param {number} index */
  #generation(index) {
    return this.#connections.page(index).generations[index & PAGE_MASK];
  }
}

module.exports = { Lane };
