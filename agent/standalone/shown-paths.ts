import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { OVERRIDE_PREFIX } from './override.js';
import type { ModelSource } from './layouts/layout.js';

/** What clients are told of files: where they lie within the repository, not on this machine. */
export class ShownPaths {
  readonly #folders: readonly string[];

  constructor({ folders }: Pick<ModelSource, 'folders'>) {
    // The longest first, since one may lie in another.
    this.#folders = [...new Set(folders)].filter((folder) => folder !== '/').toSorted((one, other) => other.length - one.length);
  }

  text(text: string): string {
    const within = this.#folders.reduce((rest, folder) => rest.replaceAll(`${folder}/`, '').replaceAll(folder, 'the repository'), text);
    return within.replaceAll(SENT, '');
  }

  error(error: SkerryError): SkerryError {
    const { code, details } = error;
    return new SkerryError(code, this.text(error.message), { cause: error, ...(details === undefined ? {} : { details }) });
  }
}

/** Folders of files that clients sent. */
const SENT = new RegExp(`${join(tmpdir(), OVERRIDE_PREFIX).replaceAll(/[^\w/-]/g, '\\$&')}[^/\\s]*/`, 'g');
