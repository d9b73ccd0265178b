'use strict';

const { Application } = require('./app');

/**
 * The constructor that is exported of an App with TLS: as `App` in every way, and a class of its own name.
 * @param {unknown} [options]
 * @this {any}
 */
function SSLApp(options) {
  return Reflect.construct(Application, [options, true], new.target ?? SSLApp);
}

Object.defineProperty(SSLApp, 'name', { value: 'uWS.SSLApp' });
SSLApp.prototype = Object.create(Application.prototype, {
  constructor: { value: SSLApp, writable: true, configurable: true },
});

module.exports = { SSLApp };
