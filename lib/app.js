'use strict';

/**
 * The App: routes and listeners of one engine. Everything here runs when the application starts or
 * ends; messages go between the engine and the handlers without it.
 */

const { credentialsOf } = require('./credentials');
const { textGiven } = require('./data');
const { instructionsOf } = require('./declarative_response');
const { Engine } = require('./engine');
const errors = require('./errors');
const { ListenSocket } = require('./listen_socket');
const { appOptions, listenOptions, listenUnixOptions, routeOptions, shutdownOptions } = require('./options');
const { ServerNames } = require('./server_names');

class Application {
  #engine;
  #settings;
  /** @type {ServerNames | null} null: without TLS */
  #names = null;

  /**
   * @param {unknown} [options]
   * @param {boolean} [isSecure] whether it speaks TLS
   */
  constructor(options, isSecure = false) {
    this.#settings = appOptions(options, isSecure);
    if (!isSecure) {
      this.#engine = new Engine(this.#settings);
      return;
    }
    try {
      const credentials = credentialsOf('SSLApp()', options ?? {});
      this.#engine = new Engine(this.#settings, credentials);
      this.#names = new ServerNames(this.#engine, credentials);
    } catch (error) {
      throw errors.constructionFailed(error);
    }
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
    return this.#changeRoutes((domain) => {
      if (behavior === null) this.#engine.removeRoute(pattern, domain);
      else this.#engine.addRoute(pattern, route, domain);
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
   * Adds a certificate for a host name, or replaces the one it has. Without TLS no client says whom it wants, so this
   * and those below have no effect there: libraries call them of every App.
   * @param {unknown} hostname
   * @param {unknown} [options]
   */
  addServerName(hostname, options) {
    const name = serverName('addServerName', hostname);
    this.#names?.add(name, options);
    return this;
  }

  /** @param {unknown} hostname */
  removeServerName(hostname) {
    const name = serverName('removeServerName', hostname);
    this.#names?.remove(name);
    return this;
  }

  /** @param {(hostname: string) => unknown} callback for names that were not added; the last one counts */
  missingServerName(callback) {
    if (typeof callback !== 'function') {
      throw errors.invalidType('The argument of App.missingServerName()', 'a function', callback);
    }
    if (this.#names !== null) this.#engine.askServerNames(callback);
    return this;
  }

  /**
   * Has routes added, from now on, for one of the server names alone.
   * @param {unknown} hostname as it was added; '': for all names without routes of their own
   */
  domain(hostname) {
    const name = serverName('domain', hostname);
    this.#names?.choose(name);
    return this;
  }

  /**
   * Replaces a certificate, for the handshakes that begin from now on.
   * @param {unknown[]} values `[hostname,] options`
   */
  setCertificate(...values) {
    if (this.#names === null) throw errors.noTls();
    const isNamed = values.length > 1 || typeof textGiven(values[0]) === 'string';
    const name = isNamed ? serverName('setCertificate', values[0]) : undefined;
    this.#names.replace(name, values[isNamed ? 1 : 0]);
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
    return this.#changeRoutes((domain) => {
      if (handler === null) this.#engine.removeHttpRoute(name, pattern, domain);
      else if (instructions !== null) this.#engine.addDeclaredRoute(name, pattern, instructions, domain);
      else this.#engine.addHttpRoute(name, pattern, handler, domain);
    });
  }

  /** @param {(domain: string | undefined) => void} change of the routes of a server name, which the engine may refuse */
  #changeRoutes(change) {
    try {
      change(this.#names?.domain);
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
 * A host name that was passed to a method, as text.
 * @param {string} method
 * @param {unknown} given
 */
function serverName(method, given) {
  const name = textGiven(given);
  if (typeof name === 'string') return name;
  throw errors.invalidType(`\`hostname\` of App.${method}()`, 'a string', name);
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

module.exports = { App, Application };
