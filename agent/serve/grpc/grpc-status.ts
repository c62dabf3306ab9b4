import type { Metadata, StatusObject } from '@grpc/grpc-js';
import type { SkerryError } from '#shared/kernel/errors.js';
import { STATUSES } from '#shared/kernel/status.js';

/** Entry of the metadata of an answer that has the code of an error. */
const CODE_FIELD = 'skerry-code';

/** Characters of a message. It goes as a header, of which clients accept 8 KiB together, and each character may take nine bytes there. */
const MAX_MESSAGE = 512;

/** How a call ends with an error. */
export class CallFailed extends Error implements StatusObject {
  override readonly name = 'CallFailed';
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;

  /** `told`: what the caller is told beside the error. */
  constructor(error: SkerryError, told: Metadata) {
    super(error.message, { cause: error });
    told.set(CODE_FIELD, error.code);
    this.code = STATUSES[error.status].grpc;
    const { message } = error;
    const details = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)} ...` : message;
    // Half of a character outside of the basic plane, which no header can carry.
    this.details = details.replaceAll(/\p{Surrogate}/gu, '\ufffd');
    this.metadata = told;
  }
}
