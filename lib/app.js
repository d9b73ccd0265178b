'use strict';

/**
 * The App: routes and listeners of one engine. Everything here runs when the application starts or
 * ends; messages go between the engine and the handlers without it.
 */

const { textGiven } = require('./data');
const { instructionsOf } = require('./declarative_response');
const { Engine } = require('./engine');
const errors = require('./errors');
const { ListenSocket } = require('./listen_socket');
const { appOptions, listenOptions, listenUnixOptions, routeOptions, shutdownOptions } = require('./options');

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
   * @param {unknown} given the pattern, as text or bytes
   * @param {import('../index').WebSocketBehavior<any> | null} behavior
   */
  ws(given, behavior) {
    // What is no text is refused with the options.
    const pattern = /** @type {string} */ (textGiven(given));
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
   * Names a server for TLS, of which there is none here: without it no client says whom it wants.
   * @param {unknown} hostname
   * @param {unknown} [options]
   */
  addServerName(hostname, options) {
    void options;
    checkServerName('addServerName', hostname);
    return this;
  }

  /** @param {unknown} hostname */
  removeServerName(hostname) {
    checkServerName('removeServerName', hostname);
    return this;
  }

  /** @param {(hostname: string) => unknown} callback never called without TLS */
  missingServerName(callback) {
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of App.missingServerName()', 'a function', callback);
    }
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
    return this.#listen(
      () => this.#engine.listen({ host, port, exclusive }),
      (error) => errors.listenFailed(host, port, error),
      callback,
    );
  }

  /**
   * Listens on a Unix domain socket; otherwise as `listen`.
   * @param {unknown[]} values `[callback,] path`
   * @returns {any}
   */
  listen_unix(...values) {
    const { path, shown, callback } = listenUnixOptions(values);
    return this.#listen(
      () => this.#engine.listenUnix(path),
      (error) => errors.listenUnixFailed(shown, error),
      callback,
    );
  }

  /** Closes the listeners and every connection at once: close handlers get 1006. */
  close() {
    this.#engine.close();
    return this;
  }

  /**
   * Closes the listeners, and every connection with a closing handshake; ends at once when called again.
   * @param {unknown} [options]
   */
  shutdown(options) {
    return this.#engine.shutdown(shutdownOptions(options));
  }

  /**
   * The number by which an App in another thread passes its connections to this one. This one waits for
   * them from now on, and keeps its thread alive.
   */
  getDescriptor() {
    return this.#engine.offer();
  }

  /**
   * Passes connections to an App, in turn with others that were added.
   * @param {unknown} descriptor
   */
  addChildAppDescriptor(descriptor) {
    const number = checkedDescriptor('App.addChildAppDescriptor()', descriptor);
    if (!this.#engine.addChild(number)) throw errors.unknownDescriptor(number);
    return this;
  }

  /**
   * Passes an App nothing any more. One that has ended was removed already.
   * @param {unknown} descriptor
   */
  removeChildAppDescriptor(descriptor) {
    const number = checkedDescriptor('App.removeChildAppDescriptor()', descriptor);
    if (!this.#engine.removeChild(number)) throw errors.unknownDescriptor(number);
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
   * @param {unknown} given the pattern, as text or bytes
   * @param {any} handler
   */
  #route(name, given, handler) {
    const pattern = textGiven(given);
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
   * Listens, and tells the token to the callback, or by a Promise. That the host refused the place is
   * `false` to the callback; everything else is thrown where there is no Promise to reject.
   * @param {() => { id: number, port: number }} bind
   * @param {(error: Error & { code: string }) => Error} refused adds the place to the host's error
   * @param {((token: any) => void) | undefined} callback
   */
  #listen(bind, refused, callback) {
    let outcome;
    try {
      const { id, port } = bind();
      outcome = new ListenSocket(this.#engine, id, port);
    } catch (error) {
      const isRefusal = isHostFault(error) && error.syscall !== 'start';
      if (callback === undefined) return Promise.reject(isRefusal ? refused(error) : error);
      if (!isRefusal) throw error;
      outcome = false;
    }
    if (callback === undefined) return Promise.resolve(outcome);
    callback(outcome);
    return this;
  }
}

/**
 * @param {string} method
 * @param {unknown} hostname
 */
function checkServerName(method, hostname) {
  if (typeof textGiven(hostname) === 'string') return;
  throw errors.invalidType(`\`hostname\` of App.${method}()`, 'a string', hostname);
}

/**
 * @param {string} caller
 * @param {unknown} descriptor
 */
function checkedDescriptor(caller, descriptor) {
  if (typeof descriptor === 'number') return descriptor;
  throw errors.invalidType(
    `\`descriptor\` of ${caller}`,
    'the number that App.getDescriptor() gave',
    descriptor,
  );
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
