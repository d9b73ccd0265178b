'use strict';

/** Headless Chromium, for the length of one test. It speaks to addresses of the loopback only. */

const { existsSync, mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Where Debian's package puts it, unless the environment says another place. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

/** Why there is none, or false: the option `skip` of a test. */
const noBrowser = reason();

function reason() {
  if (Number(process.versions.node.split('.', 1)[0]) < 20) return 'playwright-core is for Node 20 and newer';
  if (existsSync(CHROMIUM)) return false;
  return `no Chromium at ${CHROMIUM}: install it (Debian: apt-get install chromium), or set CHROMIUM to its path`;
}

/**
 * A browser that has nothing of earlier ones.
 * @param {import('node:test').TestContext} context
 * @param {string[]} [flags] of Chromium, beside those that it has in any case
 * @returns {Promise<import('playwright-core').BrowserContext>}
 */
async function openBrowser(context, flags = []) {
  const { chromium } = require('playwright-core');
  const profile = mkdtempSync(path.join(os.tmpdir(), 'tidewire-chromium-'));
  let browser;
  context.after(async () => {
    await browser?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [...FLAGS, ...flags],
  });
  return browser;
}

module.exports = { noBrowser, openBrowser };
