'use strict';

/**
 * The App: routes and listeners of one engine. Everything here runs when the application starts or
 * ends; messages go between the engine and the handlers without it.
 */

const { instructionsOf } = require('./declarative_response');
const { Engine } = require('./engine');
const errors = require('./errors');
const { ListenSocket } = require('./listen_socket');
const { appOptions, listenOptions, routeOptions } = require('./options');

class Application {
  #engine;
  #settings;

  /** @param {unknown} [options] */
  constructor(options) {
    this.#settings = appOptions(options);
    this.#engine = new Engine(this.#settings);
  }

  /**
   * Adds a WebSocket route, or replaces the one with the same pattern; null removes it.
   * @param {string} pattern
   * @param {import('../index').WebSocketBehavior<any> | null} behavior
   */
  ws(pattern, behavior) {
    const route = routeOptions(pattern, behavior === null ? {} : behavior, this.#settings);
    return this.#changeRoutes(() => {
      if (behavior === null) this.#engine.removeRoute(pattern);
      else this.#engine.addRoute(pattern, route);
    });
  }

  /**
   * Adds a handler of GET, or replaces the one with the same pattern; null removes it. So do those below.
   * @param {string} pattern
   * @param {unknown} handler
   */
  get(pattern, handler) {
    return this.#route('get', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  post(pattern, handler) {
    return this.#route('post', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  options(pattern, handler) {
    return this.#route('options', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  del(pattern, handler) {
    return this.#route('del', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  patch(pattern, handler) {
    return this.#route('patch', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  put(pattern, handler) {
    return this.#route('put', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  head(pattern, handler) {
    return this.#route('head', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  connect(pattern, handler) {
    return this.#route('connect', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  trace(pattern, handler) {
    return this.#route('trace', pattern, handler);
  }

  /**
   * @param {string} pattern
   * @param {unknown} handler
   */
  any(pattern, handler) {
    return this.#route('any', pattern, handler);
  }

  /**
   * Tells of connections that come and go, beside others that it tells already.
   * @param {(response: any, count: number) => unknown} callback
   */
  filter(callback) {
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of App.filter()', 'a function', callback);
    }
    this.#engine.addFilter(callback);
    return this;
  }

  /**
   * Listens. With a callback it returns the App, and the callback has run; without one it returns a
   * Promise of the token.
   * @param {unknown[]} values `[host,] port, [options,] [callback]`
   * @returns {any}
   */
  listen(...values) {
    const { host, port, exclusive, callback } = listenOptions(values);
    const outcome = this.#listen({ host, port, exclusive });
    if (callback === undefined) {
      return outcome instanceof ListenSocket ? Promise.resolve(outcome) : Promise.reject(outcome);
    }
    if (!(outcome instanceof ListenSocket) && outcome.syscall === 'start') throw outcome;
    callback(outcome instanceof ListenSocket ? outcome : false);
    return this;
  }

  /** Closes the listeners and every connection at once: close handlers get 1006. */
  close() {
    this.#engine.close();
    return this;
  }

  /**
   * Sends a message to all subscribers of a topic.
   * @param {unknown} topic
   * @param {unknown} message
   * @param {boolean} [isBinary]
   * @param {boolean} [compress]
   */
  publish(topic, message, isBinary, compress) {
    return this.#engine.publish(topic, message, isBinary, compress);
  }

  /** @param {unknown} topic */
  numSubscribers(topic) {
    return this.#engine.numSubscribers(topic);
  }

  /** What the App has done and holds, in numbers. */
  stats() {
    return this.#engine.stats();
  }

  /**
   * @param {import('./http_route').MethodName} name
   * @param {string} pattern
   * @param {any} handler
   */
  #route(name, pattern, handler) {
    if (typeof pattern !== 'string') {
      throw errors.invalidType(`\`pattern\` of App.${name}()`, 'a string', pattern);
    }
    const instructions = instructionsOf(handler);
    if (handler !== null && instructions === null && typeof handler !== 'function') {
      const subject = `\`handler\` of App.${name}(${errors.shown(pattern)})`;
      throw errors.invalidType(subject, 'a function, what DeclarativeResponse.end() gave, or null', handler);
    }
    return this.#changeRoutes(() => {
      if (handler === null) this.#engine.removeHttpRoute(name, pattern);
      else if (instructions !== null) this.#engine.addDeclaredRoute(name, pattern, instructions);
      else this.#engine.addHttpRoute(name, pattern, handler);
    });
  }

  /** @param {() => void} change what the engine may refuse */
  #changeRoutes(change) {
    try {
      change();
    } catch (error) {
      throw errors.routeRefused(error);
    }
    return this;
  }

  /**
   * The token, or the error when it is the host that refused. Everything else is thrown.
   * @param {{ host: string | undefined, port: number, exclusive: boolean }} place
   */
  #listen(place) {
    try {
      const { id, port } = this.#engine.listen(place);
      return new ListenSocket(this.#engine, id, port);
    } catch (error) {
      if (!isHostFault(error)) throw error;
      return error.syscall === 'start' ? error : errors.listenFailed(place.host, place.port, error);
    }
  }
}

/**
 * Whether it is the host that refused, by its code: the system's or the resolver's (`EADDRINUSE`,
 * `ENOTFOUND`), or the engine's own for a failure that has no name.
 * @param {unknown} error
 * @returns {error is Error & { code: string, syscall?: string }}
 */
function isHostFault(error) {
  return error instanceof Error && 'code' in error && /^E[A-Z0-9]+$|_LISTEN_FAILED$/.test(String(error.code));
}

/**
 * The constructor that is exported: a class cannot be called without `new`, a function can. A
 * subclass gets its own prototype by `new.target`.
 * @param {unknown} [options]
 * @this {any}
 */
function App(options) {
  return Reflect.construct(Application, [options], new.target ?? App);
}

Object.defineProperty(App, 'name', { value: 'uWS.App' });
App.prototype = Application.prototype;
Object.defineProperty(App.prototype, 'constructor', { value: App });

module.exports = { App };
