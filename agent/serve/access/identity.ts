import type { SkerryError } from '#shared/kernel/errors.js';
import type { Standing } from './access-file.js';

/** Who sends a request, as far as it could be told. */
export interface Identity extends Standing {
  /** As logs name it: the name of a key, the subject of a token, `anonymous` or `socket`. */
  readonly name: string;
  /** It gave no credentials, or wrong ones. */
  readonly anonymous: boolean;
  /** Whose requests are counted together where they are limited. */
  readonly client: string;
  /** What is wrong with its credentials: such a request is refused. */
  readonly problem?: SkerryError;
}
