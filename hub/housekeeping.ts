import { schedule, type ScheduledTask } from 'node-cron';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';

/** Work that comes round by the clock. */
export interface Chore {
  readonly name: string;
  /** Five-field cron expression, UTC. */
  readonly when: string;
  readonly run: () => Promise<unknown>;
}

/** Runs chores on their schedule, never one over itself; a chore that fails is logged and comes round again. */
export class Housekeeping implements Service {
  readonly #chores: readonly Chore[];
  readonly #logger: Logger;
  readonly #running = new Set<Promise<void>>();
  #tasks: readonly ScheduledTask[] = [];

  constructor(chores: readonly Chore[], logger: Logger) {
    this.#chores = chores;
    this.#logger = logger;
  }

  start(): Promise<void> {
    this.#tasks = this.#chores.map((chore) =>
      schedule(chore.when, () => this.#track(chore), {
        name: chore.name,
        timezone: 'UTC',
        noOverlap: true,
        logger: cronLogger(this.#logger.child({ chore: chore.name })),
      }),
    );
    return Promise.resolve();
  }

  /** Stops the schedule and waits for what is under way. */
  async close(): Promise<void> {
    for (const task of this.#tasks) await task.destroy();
    this.#tasks = [];
    await Promise.all(this.#running);
  }

  #track(chore: Chore): Promise<void> {
    const run = this.#run(chore).finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  async #run(chore: Chore): Promise<void> {
    try {
      const result = await chore.run();
      this.#logger.debug({ chore: chore.name, result }, 'housekeeping done');
    } catch (cause) {
      const error = asSkerryError(cause);
      this.#logger.error({ chore: chore.name, code: error.code, cause: error.message }, 'housekeeping failed');
    }
  }
}

/** What node-cron has to say (a round left out, a round missed while the machine slept) in the hub's own log. */
function cronLogger(logger: Logger): NonNullable<NonNullable<Parameters<typeof schedule>[2]>['logger']> {
  const text = (message: string | Error): string => (message instanceof Error ? message.message : message);
  return {
    info: (message) => logger.info({}, message),
    warn: (message) => logger.warn({}, message),
    error: (message, cause) => logger.error(cause === undefined ? {} : { cause: cause.message }, text(message)),
    debug: (message) => logger.debug({}, text(message)),
  };
}
