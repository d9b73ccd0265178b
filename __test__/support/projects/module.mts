/** A TypeScript program that is an ES module. Compiled, and never run. */

import tidewire, { App, type WebSocket } from 'tidewire';
import * as all from 'tidewire';

interface User {
  name: string;
}

export const sockets: (tidewire.WebSocket<User> | WebSocket<User> | all.WebSocket<User>)[] = [];
export const apps: all.TemplatedApp[] = [App(), new tidewire.App(), all.App(), all.default.App()];
export const compression: 1 = tidewire.SHARED_COMPRESSOR;

// @ts-expect-error the default has no default: it is what CommonJS gets
tidewire.default;
// @ts-expect-error there is no such name
all.NoSuchName;
