import type { SkerryError } from '#shared/kernel/errors.js';
import type { Millis } from '#shared/kernel/time.js';

/**
 * What a failed attempt did to the server. `unsent`: nothing left this process. `put off`: the server says that it did nothing and when
 * it may be asked again. `idle lost`: a connection kept from an earlier call ended before a byte of the answer came, nearly always
 * because the server closed it as idle just then. `final`: all else.
 */
export type Effect = 'unsent' | 'put off' | 'idle lost' | 'final';

/** A failed attempt of a call. */
export class CallFailure extends Error {
  readonly error: SkerryError;
  readonly effect: Effect;
  /** How long the server wants to be left alone. */
  readonly retryAfter: Millis;

  constructor(error: SkerryError, effect: Effect, retryAfter: Millis = 0) {
    super(error.message, { cause: error });
    this.error = error;
    this.effect = effect;
    this.retryAfter = retryAfter;
  }
}
