/** What follows a phase: the phases after it, with what they have to know. */
export type Next<Context, Result> = (context: Context) => Promise<Result>;

/**
 * One part of a piece of work. It is given what the phases before it found out, hands on what the next one needs to know, and may look at
 * the result, or the error, on the way back. One that does not call `next` ends the work with a result of its own.
 */
export type Phase<Context, After, Result> = (context: Context, next: Next<After, Result>) => Promise<Result>;

/**
 * Work as a row of named phases, each typed by what it is given and what it hands on. A row is put together once: a call then costs one
 * function call for each phase.
 */
export class Phases<Start, Context, Result> {
  readonly #names: readonly string[];
  readonly #compose: (last: Next<Context, Result>) => Next<Start, Result>;

  private constructor(names: readonly string[], compose: (last: Next<Context, Result>) => Next<Start, Result>) {
    this.#names = names;
    this.#compose = compose;
  }

  /** An empty row, for work that starts with this context. */
  static from<Start, Result>(): Phases<Start, Start, Result> {
    return new Phases<Start, Start, Result>([], (last) => last);
  }

  /** The row with one more phase behind it. */
  phase<After>(name: string, step: Phase<Context, After, Result>): Phases<Start, After, Result> {
    return new Phases<Start, After, Result>([...this.#names, name], (last) => this.#compose((context) => step(context, last)));
  }

  /** The work; its last phase gives the result that none before it gave. */
  end(name: string, last: Next<Context, Result>): Row<Start, Result> {
    return { names: [...this.#names, name], run: this.#compose(last) };
  }
}

/** A row that is complete. */
export interface Row<Start, Result> {
  readonly names: readonly string[];
  readonly run: Next<Start, Result>;
}
