/** What follows a phase: the phases after it, with what they have to know. */
export type Next<Context, Result> = (context: Context) => Promise<Result>;

/**
 * One part of a piece of work. It is given what the phases before it found out, hands on what the next one needs to know, and may look at
 * the result, or the error, on the way back. One that does not call `next` ends the work with a result of its own.
 */
export type Phase<Context, After, Result> = (context: Context, next: Next<After, Result>) => Promise<Result>;

/**
 * A part that waits for nothing and tells the next one nothing new. Observers that follow each other cost one promise together, where each
 * phase that looks at the result costs one of its own.
 */
export interface Observer<Context, Result> {
  /** On the way in; may throw. */
  readonly enter?: (context: Context) => void;
  /** On the way back; gives the result, which may be another, and may throw. */
  readonly leave?: (context: Context, result: Result) => Result;
  /** On the way back with an error of what follows; gives the error, which may be another. Must not throw. */
  readonly failed?: (context: Context, cause: unknown) => unknown;
}

/**
 * Work as a row of named phases, each typed by what it is given and what it hands on. A row is put together once: a call then costs one
 * function call for each phase.
 */
export class Phases<Start, Context, Result> {
  readonly #names: readonly string[];
  readonly #compose: (last: Next<Context, Result>) => Next<Start, Result>;
  /** Those that come last so far. */
  readonly #observers: readonly Observer<Context, Result>[];

  private constructor(
    names: readonly string[],
    compose: (last: Next<Context, Result>) => Next<Start, Result>,
    observers: readonly Observer<Context, Result>[] = [],
  ) {
    this.#names = names;
    this.#compose = compose;
    this.#observers = observers;
  }

  /** An empty row, for work that starts with this context. */
  static from<Start, Result>(): Phases<Start, Start, Result> {
    return new Phases<Start, Start, Result>([], (last) => last);
  }

  /** The row with one more phase behind it. */
  phase<After>(name: string, step: Phase<Context, After, Result>): Phases<Start, After, Result> {
    return new Phases<Start, After, Result>([...this.#names, name], (last) => this.#end((context) => step(context, last)));
  }

  /** The row with one more part behind it that only looks. */
  observe(name: string, observer: Observer<Context, Result>): Phases<Start, Context, Result> {
    return new Phases([...this.#names, name], this.#compose, [...this.#observers, observer]);
  }

  /** The work; its last phase gives the result that none before it gave. */
  end(name: string, last: Next<Context, Result>): Row<Start, Result> {
    return { names: [...this.#names, name], run: this.#end(last) };
  }

  #end(last: Next<Context, Result>): Next<Start, Result> {
    return this.#compose(this.#observers.length === 0 ? last : observed(this.#observers, last));
  }
}

function observed<Context, Result>(observers: readonly Observer<Context, Result>[], last: Next<Context, Result>): Next<Context, Result> {
  return async (context) => {
    let entered = 0;
    try {
      for (; entered < observers.length; entered++) observers[entered]?.enter?.(context);
      let result: Result = await last(context);
      while (entered > 0) result = observers[--entered]?.leave?.(context, result) ?? result;
      return result;
    } catch (cause) {
      let told: unknown = cause;
      while (entered > 0) told = observers[--entered]?.failed?.(context, told) ?? told;
      throw told;
    }
  };
}

/** A row that is complete. */
export interface Row<Start, Result> {
  readonly names: readonly string[];
  readonly run: Next<Start, Result>;
}
