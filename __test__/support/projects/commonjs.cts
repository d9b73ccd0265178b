/** A TypeScript program for CommonJS. Compiled, and never run. */

import tidewire = require('tidewire');

const { App, SHARED_COMPRESSOR } = tidewire;
const apps: tidewire.TemplatedApp[] = [App(), new tidewire.App()];
const compression: 1 = SHARED_COMPRESSOR;

// @ts-expect-error there is no default
tidewire.default;

export = { apps, compression };
