import type { FileHandle } from 'node:fs/promises';
import { nodeTrustFs, type TrustFs } from '#agent/sync/trust-folder.js';

/** File operations that work until the power is cut: the call of that number (0 first) and all after it fail. */
export class PowerCutFs {
  calls = 0;
  cutAt = Number.POSITIVE_INFINITY;
  readonly fs: TrustFs;

  constructor() {
    const handleCalls = new Set<PropertyKey>(['sync', 'writeFile']);
    const guardHandle = (handle: FileHandle): FileHandle =>
      new Proxy(handle, {
        get: (target, property) => {
          const value: unknown = Reflect.get(target, property);
          if (typeof value !== 'function') return value;
          return (...input: unknown[]): unknown => {
            if (handleCalls.has(property)) this.#count(String(property));
            // The power is cut between calls: what the disk has not synced is not looked at, and syncing costs most of a test.
            if (property === 'sync') return Promise.resolve();
            return Reflect.apply(value, target, input);
          };
        },
      });
    this.fs = {
      open: async (...input) => guardHandle(await this.#run('open', () => nodeTrustFs.open(...input))),
      rename: (...input) => this.#run('rename', () => nodeTrustFs.rename(...input)),
      rm: (...input) => this.#run('rm', () => nodeTrustFs.rm(...input)),
      mkdir: new Proxy(nodeTrustFs.mkdir, this.#guard('mkdir')),
      readdir: new Proxy(nodeTrustFs.readdir, this.#guard('readdir')),
      readFile: new Proxy(nodeTrustFs.readFile, this.#guard('readFile')),
    };
  }

  #guard<T extends (...input: never[]) => unknown>(name: string): ProxyHandler<T> {
    return {
      apply: (target, self: unknown, input: unknown[]): unknown => {
        this.#count(name);
        return Reflect.apply(target, self, input);
      },
    };
  }

  async #run<T>(name: string, call: () => Promise<T>): Promise<T> {
    this.#count(name);
    return call();
  }

  #count(name: string): void {
    const number = this.calls;
    this.calls += 1;
    if (number >= this.cutAt) throw new Error(`power cut at ${name}, call ${number}`);
  }
}
