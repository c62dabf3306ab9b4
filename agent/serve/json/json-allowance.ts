import { SkerryError } from '#shared/kernel/errors.js';

/** How many tensor elements one request, or one answer, may still carry as JSON. */
export class JsonAllowance {
  readonly #elements: number;
  #taken = 0;

  constructor(elements: number) {
    this.#elements = elements;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes the elements of a tensor; `SERVE_JSON_TOO_LARGE` with the `remedy` when there are too many. */
  take(elements: number, what: string, remedy: string): void {
    this.#taken += elements;
    if (this.#taken <= this.#elements) return;
    const already = this.#taken > elements ? ` after ${this.#taken - elements} of others` : '';
    throw new SkerryError(
      'SERVE_JSON_TOO_LARGE',
      `${what} has ${elements} elements${already}; JSON may carry at most ${this.#elements}. ${remedy}`,
    );
  }
}
