/** A TypeScript program that leaves it to the compiler what kind of module it is. Compiled, and never run. */

import tidewire, { App, type WebSocket } from 'tidewire';

export const sockets: (tidewire.WebSocket<string> | WebSocket<string>)[] = [];
export const apps: tidewire.TemplatedApp[] = [App(), new tidewire.App()];
export const compression: 1 = tidewire.SHARED_COMPRESSOR;

// @ts-expect-error there is no such name
tidewire.NoSuchName;
