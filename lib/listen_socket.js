'use strict';

/**
 * The token of a listening socket: what `App.listen()` gives, and the two functions that take it.
 * It shows nothing of itself. It keeps its App's engine alive until it is closed.
 */

const errors = require('./errors');

/** @typedef {{ closeListener(id: number): void }} ListenerOwner the part of an Engine that is needed here */

/** Opaque to the application: `us_listen_socket` in the typings. */
class ListenSocket {
  /** @type {ListenerOwner | null} null once closed */
  #engine;
  #id;
  #port;

  /**
   * @param {ListenerOwner} engine
   * @param {number} id
   * @param {number} port the port that was bound
   */
  constructor(engine, id, port) {
    this.#engine = engine;
    this.#id = id;
    this.#port = port;
    Object.freeze(this);
  }

  /**
   * Closes the listener; open connections go on. Does nothing the second time.
   * @param {unknown} token
   */
  static close(token) {
    const socket = ListenSocket.#checked(token, 'us_listen_socket_close()');
    const engine = socket.#engine;
    socket.#engine = null;
    engine?.closeListener(socket.#id);
  }

  /**
   * The port that was bound, also after it was closed.
   * @param {unknown} token
   */
  static port(token) {
    return ListenSocket.#checked(token, 'us_socket_local_port()').#port;
  }

  /**
   * @param {unknown} token
   * @param {string} caller
   */
  static #checked(token, caller) {
    const isToken = typeof token === 'object' && token !== null && #id in token;
    if (!isToken)
      throw errors.invalidType(`The argument of ${caller}`, 'the token that App.listen() gave', token);
    return /** @type {ListenSocket} */ (token);
  }
}

/** @type {typeof import('../index').us_listen_socket_close} */
function us_listen_socket_close(token) {
  ListenSocket.close(token);
}

/** @type {typeof import('../index').us_socket_local_port} */
function us_socket_local_port(token) {
  return ListenSocket.port(token);
}

module.exports = { ListenSocket, us_listen_socket_close, us_socket_local_port };
