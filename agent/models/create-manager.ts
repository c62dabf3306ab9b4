import { isDeepStrictEqual } from 'node:util';
import type { ModelName } from '#shared/bundle/names.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { refreshMinimum } from '#agent/install/admission.js';
import { allIdle } from '#agent/install/serial-worker.js';
import type { ModelManager, ModelManagerDeps } from './manager.js';
import { desiredModel, type ManagerParts, openParts } from './manager-parts.js';
import { reportModels } from './report.js';

export function createModelManager(deps: ModelManagerDeps): ModelManager {
  return new Manager(deps);
}

/**
 * Plans and works model by model.
 * INVARIANTS: one step at a time per model, and one that makes space for all (install/step-loop.ts). A fetch is cancelled as soon as the
 * plan says something else; other steps run to their end.
 */
class Manager implements ModelManager {
  readonly #deps: ModelManagerDeps;
  readonly #listeners = new Set<() => void>();
  /** The desired state that the loops were last planned for. */
  #followed: DesiredState | undefined;
  #parts: ManagerParts | undefined;
  #stopListening: () => void = () => undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: ModelManagerDeps) {
    this.#deps = deps;
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  reportedModels(): Reported['models'] {
    if (this.#parts === undefined) return [];
    return reportModels({ ...this.#parts.context, desired: (model) => desiredModel(this.#deps.desired, model) });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  retryNow(): void {
    for (const loop of this.#parts?.loops.all() ?? []) loop.retryNow();
  }

  makeSpace(): void {
    this.#parts?.space.noteDiskFull();
  }

  idle(): Promise<void> {
    const parts = this.#parts;
    return allIdle(() => (parts === undefined ? [] : [...parts.loops.all(), parts.space.worker]));
  }

  async #start(): Promise<void> {
    this.#parts = await openParts(this.#deps, () => this.#changed());
    const { loops, space } = this.#parts;
    await this.#forgiveInnocent(this.#parts);
    await this.#refreshMinimums();
    this.#followed = this.#deps.desired.current();
    this.#stopListening = this.#deps.desired.onAccepted(() => void this.#onDesired());
    for (const model of this.#modelNames()) loops.of(model).kick();
    space.worker.kick();
  }

  async #forgiveInnocent({ context }: ManagerParts): Promise<void> {
    const { suspects, logger } = this.#deps;
    if (suspects === undefined) return;
    await context.ledger.forgiveInnocent(suspects).catch((cause: unknown) => {
      logger.warn({ code: asSkerryError(cause).code }, 'the boot counter of a version could not be reduced');
    });
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#stopListening();
    if (this.#parts === undefined) return;
    const { loops, space, context } = this.#parts;
    await Promise.all([space.worker.close(), ...loops.all().map((loop) => loop.close())]);
    context.runtime.close();
    await context.ledger.forgiveStarts().catch((cause: unknown) => {
      this.#deps.logger.warn({ code: asSkerryError(cause).code }, 'the boot counters of versions on trial could not be reduced');
    });
  }

  async #onDesired(): Promise<void> {
    const raised = await this.#refreshMinimums();
    if (this.#closing !== undefined) return; // A loop made now would outlive the manager.
    const { loops, space } = this.#opened();
    loops.keepOnly(this.#modelNames());
    for (const model of this.#affected(raised)) {
      loops.of(model).renew();
    }
    space.worker.kick();
  }

  /** Models for which a new desired state may change something; all others are left at rest, however many there are. */
  #affected(raised: ReadonlySet<ModelName>): readonly ModelName[] {
    const before = this.#followed;
    this.#followed = this.#deps.desired.current();
    const { loops } = this.#opened();
    const wishes = new Map(before?.models.map((wish) => [wish.model, wish]));
    const isAffected = (model: ModelName): boolean =>
      before === undefined ||
      raised.has(model) ||
      loops.of(model).holds.list().length > 0 ||
      !isDeepStrictEqual(wishes.get(model), desiredModel(this.#deps.desired, model));
    return [...this.#modelNames()].filter(isAffected);
  }

  /** The models whose lowest allowed version changed. */
  async #refreshMinimums(): Promise<ReadonlySet<ModelName>> {
    const changed = new Set<ModelName>();
    const { context } = this.#opened();
    for (const model of this.#modelNames()) {
      if (await refreshMinimum(context, model)) changed.add(model);
    }
    return changed;
  }

  #modelNames(): ReadonlySet<ModelName> {
    const wanted = this.#deps.desired.current()?.models.map(({ model }) => model) ?? [];
    return new Set<ModelName>([...this.#opened().context.ledger.models(), ...wanted]);
  }

  #opened(): ManagerParts {
    if (this.#parts === undefined) throw new SkerryError('CLOSED', 'the model manager is not started');
    return this.#parts;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
