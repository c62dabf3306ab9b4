import { runScript } from './script.js';

/** Bundling puts the name of the script here. */
declare const SCRIPT: string;
declare const require: unknown;

// Entry of every thread of an executable; all the rest of its code comes compiled (packaging/build/code-cache.ts).
runScript(SCRIPT, require);
