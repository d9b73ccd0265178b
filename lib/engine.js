'use strict';

/**
 * One App's engine: the native threads, one lane for each reactor, one for the gate if there is HTTP to
 * be answered, and the wake-ups between them.
 *
 * The threads run from the first `listen` until nothing listens and no connection is left; while
 * they run, the process lives. A wake-up takes batches for a bounded time, then lets the event loop
 * of Node have its turn.
 */

// Taken once, as `lib/outgoing.js` takes `queueMicrotask`.
const { setImmediate } = require('node:timers');
const native = require('./binding');
const { closePayload } = require('./close_frame');
const { FLAG_SHUTDOWN } = require('./commands');
const errors = require('./errors');
const { hostMemoryBytes } = require('./host_memory');
const { HttpLane } = require('./http_lane');
const { HttpRoute, METHODS } = require('./http_route');
const { Lane } = require('./lane');
const { BUDGET_MEMORY_PART } = require('./limits');
const { Shutdown } = require('./shutdown');
const { statsOf } = require('./stats');
const { Topics } = require('./topics');

/** A wake-up handles at most so many events, or works for so long, before other work gets its turn. */
const WAKE_EVENTS = 1_000;
const WAKE_MILLISECONDS = 5;

class Engine {
  #native;
  #threads;
  #isSecure;
  /** @type {import('./lane_route').Settings[]} by route id */
  #routes = [];
  /** @type {HttpRoute[]} likewise, of the same numbers: with gaps */
  #httpRoutes = [];
  /** @type {((response: any, count: number) => unknown)[]} */
  #filters = [];
  /** @type {((hostname: string) => unknown) | null} called with server names that have no certificate */
  #missingServerName = null;
  /** Whether the gate has anything to tell. */
  #hasHttp = false;
  /** @type {Lane[]} empty while the threads do not run */
  #lanes = [];
  /** @type {(Lane | HttpLane)[]} the same, and that of the gate if there is one */
  #crossings = [];
  #topics = new Topics();
  /** @type {Set<number>} */
  #listeners = new Set();
  /** @type {Shutdown | null} */
  #shutdown = null;
  #onError;
  /** The lane that had the first turn last time. */
  #first = 0;
  #wakeSoon = () => this.#wake();

  /**
   * @param {import('./options').AppSettings} settings
   * @param {import('./credentials').Credentials} [credentials] of TLS
   */
  constructor(settings, credentials) {
    const memoryBudget = settings.memoryBudget ?? Math.floor(hostMemoryBytes() / BUDGET_MEMORY_PART);
    this.#onError = settings.onError;
    this.#native = new native.Engine({ ...settings, memoryBudget }, credentials);
    this.#threads = settings.threads;
    this.#isSecure = credentials !== undefined;
  }

  /**
   * Adds a certificate, or replaces one; throws for one that is none, and nothing has changed then.
   * @param {string | undefined} serverName undefined: the default
   * @param {import('./credentials').Credentials} credentials
   */
  setIdentity(serverName, credentials) {
    this.#native.setIdentity(serverName, credentials);
  }

  /**
   * Takes away a certificate, if there is one.
   * @param {string} serverName
   */
  removeServerName(serverName) {
    this.#native.removeServerName(serverName);
  }

  /** @param {(hostname: string) => unknown} callback for names without a certificate */
  askServerNames(callback) {
    this.#missingServerName = callback;
    this.#native.setAsksServerName(true);
    this.#addHttp();
  }

  /**
   * @param {string} pattern
   * @param {import('./options').RouteSettings} route
   * @param {string} [domain] the server name whose route it is, as of those below; undefined: the default's
   */
  addRoute(pattern, route, domain) {
    const settings = {
      maxPayloadLength: route.maxPayloadLength,
      maxFragments: route.maxFragments,
      idleTimeout: route.idleTimeout,
      sendPingsAutomatically: route.sendPingsAutomatically,
      maxLifetime: route.maxLifetime,
      maxBackpressure: route.maxBackpressure,
      closeOnBackpressureLimit: route.closeOnBackpressureLimit,
      compression: route.compression,
      asks: route.upgrade !== null || typeof route.origins === 'function',
      wantsPing: route.ping !== null,
      wantsPong: route.pong !== null,
      wantsDropped: route.dropped !== null,
      origins: typeof route.origins === 'function' ? undefined : route.origins,
    };
    const id = this.#native.addRoute(pattern, settings, domain);
    this.#routes[id] = { ...route, pattern, isSecure: this.#isSecure };
  }

  /**
   * Removes a WebSocket route, if there is one.
   * @param {string} pattern
   * @param {string} [domain]
   */
  removeRoute(pattern, domain) {
    this.#native.removeRoute(pattern, domain);
  }

  /**
   * @param {import('./http_route').MethodName} name
   * @param {string} pattern
   * @param {(response: any, request: any) => unknown} handler
   * @param {string} [domain]
   */
  addHttpRoute(name, pattern, handler, domain) {
    const id = this.#native.addHttpRoute(METHODS[name], pattern, domain);
    this.#httpRoutes[id] = new HttpRoute(name, pattern, handler);
    this.#addHttp();
  }

  /**
   * Adds a route that the gate answers by itself.
   * @param {import('./http_route').MethodName} name
   * @param {string} pattern
   * @param {Uint8Array} instructions
   * @param {string} [domain]
   */
  addDeclaredRoute(name, pattern, instructions, domain) {
    this.#native.addDeclaredRoute(METHODS[name], pattern, instructions, domain);
  }

  /**
   * Removes an HTTP route, if there is one.
   * @param {import('./http_route').MethodName} name
   * @param {string} pattern
   * @param {string} [domain]
   */
  removeHttpRoute(name, pattern, domain) {
    this.#native.removeHttpRoute(METHODS[name], pattern, domain);
  }

  /** @param {(response: any, count: number) => unknown} filter */
  addFilter(filter) {
    this.#filters.push(filter);
    this.#native.setFilter(true);
    this.#addHttp();
  }

  /**
   * Binds at once; throws an error with the system's code.
   * @param {{ host: string | undefined, port: number, exclusive: boolean }} place
   * @returns {{ id: number, port: number }}
   */
  listen({ host, port, exclusive }) {
    return this.#listen(() => this.#native.listen(host, port, exclusive));
  }

  /**
   * The same on a Unix domain socket.
   * @param {Uint8Array} path
   * @returns {{ id: number, port: number }}
   */
  listenUnix(path) {
    return this.#listen(() => this.#native.listenUnix(path));
  }

  /** @param {number} id */
  closeListener(id) {
    if (!this.#listeners.delete(id)) return;
    this.#native.closeListener(id);
    // Nothing is accepted for them any more, so they need not wait.
    if (this.#listeners.size === 0) this.#native.removeChildren();
    this.#stopIfVacant();
  }

  /** Closes the listeners and every connection; ends a shutdown at once. */
  close() {
    if (this.#shutdown !== null) {
      this.#cutOff(this.#shutdown);
      return;
    }
    this.#closeListeners();
    this.#native.closeHandshakes();
    for (const crossing of this.#crossings) crossing.terminateAll();
    this.#stopIfVacant();
  }

  /** The number by which other Apps of the process pass connections here; the threads run from now on. */
  offer() {
    if (this.#shutdown !== null) throw errors.shuttingDown();
    this.#start();
    return this.#native.offer();
  }

  /**
   * @param {number} descriptor
   * @returns {boolean} whether there is such an App
   */
  addChild(descriptor) {
    return this.#native.addChild(descriptor);
  }

  /**
   * @param {number} descriptor
   * @returns {boolean} whether there ever was such an App
   */
  removeChild(descriptor) {
    return this.#native.removeChild(descriptor);
  }

  /**
   * Closes the listeners, and every connection behind what was sent to it. The second call ends it at once.
   * @param {{ code: number, reason: Uint8Array, timeout: number }} how
   */
  shutdown({ code, reason, timeout }) {
    const running = this.#shutdown;
    if (running !== null) {
      this.#cutOff(running);
      return running.promise;
    }
    const payload = closePayload(code, reason);
    const shutdown = new Shutdown(timeout, payload, () => this.#cutOff(shutdown));
    this.#shutdown = shutdown;
    this.#closeListeners();
    this.#native.windDown();
    for (const lane of this.#lanes) lane.shutDown(payload);
    if (timeout === 0) this.#cutOff(shutdown);
    this.#stopIfVacant();
    return shutdown.promise;
  }

  /**
   * @param {unknown} topic
   * @param {unknown} message
   * @param {boolean} [isBinary]
   * @param {boolean} [compress]
   */
  publish(topic, message, isBinary, compress) {
    return this.#topics.publish(topic, message, isBinary, compress);
  }

  /** @param {unknown} topic */
  numSubscribers(topic) {
    return this.#topics.find(topic)?.subscribers ?? 0;
  }

  /** The numbers of this App; zeros while the threads do not run. */
  stats() {
    return statsOf(this.#native.stats(), this.#lanes, this.#topics);
  }

  /** @param {() => { id: number, port: number }} bind */
  #listen(bind) {
    if (this.#shutdown !== null) throw errors.shuttingDown();
    this.#start();
    try {
      const listening = bind();
      this.#listeners.add(listening.id);
      return listening;
    } finally {
      this.#stopIfVacant();
    }
  }

  /** Closes the listeners, and the ways from and to other Apps. */
  #closeListeners() {
    for (const id of this.#listeners) this.#native.closeListener(id);
    this.#listeners.clear();
    this.#native.removeChildren();
    this.#native.withdraw();
  }

  /**
   * Ends all that a shutdown waits for.
   * @param {Shutdown} shutdown
   */
  #cutOff(shutdown) {
    if (shutdown.isOver) return;
    shutdown.isOver = true;
    this.#native.closeHandshakes();
    for (const crossing of this.#crossings) shutdown.aborted += crossing.terminateAll(FLAG_SHUTDOWN);
    this.#stopIfVacant();
  }

  #start() {
    if (this.#native.isRunning) return;
    this.#lanes = Array.from({ length: this.#threads }, (_, number) => this.#newLane(number));
    try {
      this.#native.start(this.#wakeSoon);
    } catch (error) {
      this.#lanes = [];
      throw errors.startFailed(error);
    }
    this.#topics.lanes = this.#lanes.map((lane) => lane.topics);
    this.#crossings = [...this.#lanes];
    if (this.#hasHttp) this.#crossings.push(this.#newHttpLane());
  }

  /** @param {number} number */
  #newLane(number) {
    const lane = new Lane(this.#native, number, this.#routes, this.#topics);
    lane.failed = (error) => {
      // The order may have been lost with others.
      if (this.#shutdown?.isOver) lane.terminateAll(FLAG_SHUTDOWN);
      else if (this.#shutdown !== null) lane.shutDown(this.#shutdown.payload);
      this.#report(error);
    };
    return lane;
  }

  /**
   * Tells the application of a failure of the engine's own.
   * @param {ReturnType<typeof errors.engineFailed>} error
   */
  #report(error) {
    const onError = this.#onError;
    if (onError === null) {
      process.emitWarning(error.message, { type: 'TidewireWarning', code: error.code });
      return;
    }
    try {
      onError(error);
    } catch (thrown) {
      this.#native.report(thrown);
    }
  }

  /** From now on the gate has something to tell. Who serves WebSockets alone does not look for it. */
  #addHttp() {
    if (this.#hasHttp) return;
    this.#hasHttp = true;
    if (this.#crossings.length > 0) this.#crossings.push(this.#newHttpLane());
  }

  #newHttpLane() {
    const lane = new HttpLane(this.#native, this.#threads, this.#httpRoutes, this.#filters);
    lane.missingServerName = (hostname) => this.#missingServerName?.(hostname);
    return lane;
  }

  /** Called by the bell, and by itself when a wake-up has to go on. */
  #wake() {
    const deadline = performance.now() + WAKE_MILLISECONDS;
    let left = WAKE_EVENTS;
    for (const crossing of this.#crossings) crossing.settle();
    do {
      let idle = true;
      const crossings = this.#crossings;
      for (const crossing of this.#crossingsInTurn()) {
        // A handler may have ended the threads and begun others, to which the numbers of these lanes belong now.
        if (this.#crossings !== crossings) break;
        const handled = left > 0 ? crossing.turn(left, deadline) : 0;
        left = crossing.mustSettle ? 0 : left - handled;
        // Behind a batch there are its commands to hand over, which takes the next batch as well.
        if (left <= 0 || (handled > 0 && !crossing.isIdle)) idle = false;
      }
      if (idle && this.#native.rest()) {
        this.#stopIfVacant();
        return;
      }
    } while (left > 0 && performance.now() <= deadline);
    for (const crossing of this.#crossings) crossing.flush();
    setImmediate(this.#wakeSoon);
  }

  /** The lanes, each time beginning with another one, so that a busy one leaves some events for the others. */
  #crossingsInTurn() {
    const crossings = this.#crossings;
    if (crossings.length < 2) return crossings;
    this.#first = (this.#first + 1) % crossings.length;
    return [...crossings.slice(this.#first), ...crossings.slice(0, this.#first)];
  }

  /** Ends the threads, and lets the process end, when there is nothing left to serve. */
  #stopIfVacant() {
    if (this.#listeners.size > 0 || this.#crossings.some((crossing) => crossing.live > 0)) return;
    if (!this.#native.isVacant()) return;
    this.#lanes = [];
    this.#crossings = [];
    this.#topics.lanes = [];
    const departed = this.#native.stop();
    this.#shutdown?.end(departed);
    this.#shutdown = null;
  }
}

module.exports = { Engine };
