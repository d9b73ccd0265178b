'use strict';

/**
 * Loaded before a program of a document: tells the test, which is the parent process, each port that the program
 * listens on, in order.
 */

const { App, us_socket_local_port } = require('tidewire');

const { listen } = App.prototype;

App.prototype.listen = function (...values) {
  const callback = values.pop();
  return listen.call(this, ...values, (token) => {
    // A worker thread has nobody to tell.
    if (token) process.send?.({ port: us_socket_local_port(token) });
    callback(token);
  });
};
