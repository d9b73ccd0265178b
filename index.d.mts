/** The typings for ES modules: the names of `index.d.ts`, and all of them as the default. */

export * from './index.js';
export { default } from './index.js';
