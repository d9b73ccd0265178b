'use strict';

/**
 * The certificates of an App with TLS, by the host names that clients ask for (SNI, RFC 6066 §3), and the name
 * whose routes are being added. The table itself is the engine's; handshakes look there without JavaScript.
 */

const { domainToASCII } = require('node:url');
const { TLS_OPTIONS, credentialsOf } = require('./credentials');
const errors = require('./errors');
const { Given } = require('./given');

/** What an added name may begin with, to mean all names of one label more. */
const WILDCARD = '*.';

class ServerNames {
  #engine;
  /** @type {Map<string | undefined, import('./credentials').Kept>} by name; undefined: the default */
  #kept = new Map();

  /** @type {string | undefined} The name that routes are added to; undefined: the default ones. */
  domain;

  /**
   * @param {import('./engine').Engine} engine
   * @param {import('./credentials').Credentials} credentials the default, which the engine has already
   */
  constructor(engine, credentials) {
    this.#engine = engine;
    this.#keep(undefined, credentials);
  }

  /**
   * Adds a name, or replaces what it has.
   * @param {string} hostname
   * @param {unknown} options
   */
  add(hostname, options) {
    const name = canonical('`hostname` of App.addServerName()', hostname);
    this.#set(name, `App.addServerName(${errors.shown(hostname)})`, options);
  }

  /**
   * Takes a name away, with its routes. One that was not added is no error.
   * @param {string} hostname
   */
  remove(hostname) {
    const name = canonical('`hostname` of App.removeServerName()', hostname);
    this.#engine.removeServerName(name);
    this.#kept.delete(name);
    if (this.domain === name) this.domain = undefined;
  }

  /**
   * Replaces a certificate. What is not given of `ca` and `ssl_ciphers` stays: nobody renews a certificate to let
   * clients in without theirs.
   * @param {string | undefined} hostname as it was added; undefined: the default
   * @param {unknown} options
   */
  replace(hostname, options) {
    if (hostname === undefined) {
      this.#set(undefined, 'App.setCertificate()', options, this.#kept.get(undefined));
      return;
    }
    const name = canonical('`hostname` of App.setCertificate()', hostname);
    const kept = this.#kept.get(name);
    if (kept === undefined) throw errors.unknownServerName(hostname);
    this.#set(name, `App.setCertificate(${errors.shown(hostname)})`, options, kept);
  }

  /**
   * Has routes added to a name from now on; to the default ones by a name that was not added, as '' is none.
   * @param {string} hostname
   */
  choose(hostname) {
    const name = hostname === '' ? '' : canonical('`hostname` of App.domain()', hostname);
    this.domain = this.#kept.has(name) ? name : undefined;
  }

  /**
   * @param {string | undefined} name
   * @param {string} owner
   * @param {unknown} options
   * @param {import('./credentials').Kept} [kept]
   */
  #set(name, owner, options, kept) {
    new Given(owner, options).warnUnknown(TLS_OPTIONS);
    const credentials = credentialsOf(owner, options, kept);
    this.#engine.setIdentity(name, credentials);
    this.#keep(name, credentials);
  }

  /**
   * @param {string | undefined} name
   * @param {import('./credentials').Credentials} credentials
   */
  #keep(name, { ca, ciphers }) {
    this.#kept.set(name, { ca, ciphers });
  }
}

/** A host name that clients may send as it is, but for its case: also one that is of no use as a URL's. */
const SENDABLE = /^(?=.{1,254}$)[\w-]{1,63}(?:\.[\w-]{1,63})*\.?$/;

/**
 * A host name as clients send it: in lower case, and in ASCII (RFC 5890 §2.3.2.1), without a dot at its end.
 * @param {string} subject
 * @param {string} hostname
 */
function canonical(subject, hostname) {
  const isWildcard = hostname.startsWith(WILDCARD);
  const given = isWildcard ? hostname.slice(WILDCARD.length) : hostname;
  const ascii = SENDABLE.test(given) ? given.toLowerCase() : domainToASCII(given);
  const name = ascii.replace(/\.$/, '');
  // Of an address with a path or a port, domainToASCII() takes the host. Deno's leaves spaces and bars as they are.
  if (name === '' || name.includes('*') || /[\s/\\?#@:|]/.test(hostname)) {
    throw errors.outOfRange(subject, "a host name such as 'example.org' or '*.example.org'", hostname);
  }
  return isWildcard ? WILDCARD + name : name;
}

module.exports = { ServerNames };
