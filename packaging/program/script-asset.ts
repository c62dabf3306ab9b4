/** Asset of the executable with the code of a script: `main`, or the name of a worker thread. */
export function scriptAsset(name: string): string {
  return `script/${name}.js`;
}

/** Asset with what the engine made of that script when the executable was built. */
export function codeCacheAsset(name: string): string {
  return `script/${name}.cache`;
}

/** Asset with the few lines a worker thread is started with; they run its script. */
export function starterAsset(name: string): string {
  return `start/${name}.js`;
}

/** A script is one function of these; what it exports nobody asks for. */
export const SCRIPT_WRAPPER = ['(function(exports,require,module,__filename,__dirname){', '\n})'] as const;
