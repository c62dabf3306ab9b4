import { AGENT_MODEL, type VersionNumber } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { UpdateContext } from './update-context.js';

/** Feeds at least this far apart, however short a time a release may hang. */
const MIN_FEED_MS = 250;

/**
 * What a release on trial does beside its steps: it winds up the kernel's timer while the agent does its work, and asks the hub
 * for a word.
 * INVARIANT: after `stop`, and once the trial is over, the timer is not wound up any more.
 */
export class TrialWatch {
  readonly #context: UpdateContext;
  readonly #heard: () => void;
  #stopped = false;
  #cancelFeed: () => void = () => undefined;

  /** `heard` is called once the hub has acknowledged what the release said. */
  constructor(context: UpdateContext, heard: () => void) {
    this.#context = context;
    this.#heard = heard;
  }

  start(version: VersionNumber): void {
    const { settings, logger } = this.#context.deps;
    void this.#feed(Math.max(MIN_FEED_MS, settings.alive / 4));
    this.#askHub(version).catch((cause: unknown) => {
      logger.warn({ code: asSkerryError(cause).code }, 'the release on trial could not be reported to the hub');
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelFeed();
  }

  async #askHub(version: VersionNumber): Promise<void> {
    const from = this.#context.slots.good?.version ?? null;
    await this.#context.deps.confirm({ kind: 'version.served', model: AGENT_MODEL, version, detail: { from } });
    this.#context.confirmed = true;
    this.#heard();
  }

  async #feed(every: Millis): Promise<void> {
    const { program, settings, isAlive, clock, logger } = this.#context.deps;
    try {
      await isAlive();
    } catch (cause) {
      logger.error({ reason: asSkerryError(cause).message }, 'the agent hangs; the process will be stopped soon');
      return;
    }
    if (this.#context.onTrial === undefined || this.#stopped) return;
    program?.endAfter(Math.ceil(settings.alive / 1_000));
    this.#cancelFeed = clock.schedule(every, () => void this.#feed(every));
  }
}
