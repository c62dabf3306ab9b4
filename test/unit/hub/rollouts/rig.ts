import { RolloutController } from '#hub/rollouts/controller.js';
import { readRollout, type RolloutDocument } from '#hub/rollouts/document.js';
import type { RolloutStore } from '#hub/rollouts/ports.js';
import type { Actor, Decision } from '#hub/rollouts/record.js';
import { minutes } from '#shared/kernel/time.js';
import type { Labels } from '#shared/protocol/device.js';
import { recordingLogger } from '../../../kit/recorder.js';
import { KitEvidence, KitFleet } from '../../../kit/rollout-fleet.js';
import { MemoryRolloutStore } from '../../../kit/rollout-store.js';
import { VirtualClock } from '../../../kit/virtual-clock.js';

export const OPERATOR: Actor = { name: 'ada', role: 'operator', source: '192.0.2.7' };

/** A controller on a fleet that is stepped by hand. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly evidence = new KitEvidence();
  readonly log = recordingLogger();
  readonly fleet: KitFleet;
  readonly store: RolloutStore;
  controller: RolloutController;

  constructor(devices: number, labels?: (index: number) => Labels, store?: (fleet: KitFleet) => RolloutStore) {
    this.fleet = new KitFleet(this.clock, devices, labels);
    this.store =
      store?.(this.fleet) ??
      new MemoryRolloutStore(
        (wishes) => this.fleet.store(wishes),
        (standing) => this.fleet.stand('rollout-1', standing),
      );
    this.controller = this.#controller();
  }

  #controller(): RolloutController {
    let next = 1;
    const { store, fleet, evidence, clock } = this;
    return new RolloutController({
      store,
      fleet,
      evidence,
      clock,
      registry: fleet,
      cohorts: fleet,
      alerts: fleet,
      outcomes: evidence,
      logger: this.log.logger,
      newId: () => `rollout-${next++}`,
    });
  }

  /** A hub process that died: what was in its memory is gone, what was stored is not. */
  async restart(): Promise<void> {
    this.controller = this.#controller();
    await this.controller.start();
    await this.controller.close();
  }

  /** Time passes, devices react and report, the hub looks. */
  async step(by = minutes(1), react = true): Promise<void> {
    await this.clock.advance(by);
    if (react) this.fleet.react();
    await this.controller.tick();
  }

  /** Steps until the rollout is in one of the states, or 500 steps. */
  async until(id: string, ...states: string[]): Promise<string> {
    for (let i = 0; i < 500; i++) {
      const { state } = await this.store.read(id);
      if (states.includes(state)) return state;
      await this.step();
    }
    return (await this.store.read(id)).state;
  }

  /** The chain of states a rollout went through, and each event with its actor. */
  async chain(id: string): Promise<string[]> {
    return (await this.store.decisions(id)).map((decision: Decision) => `${decision.event} -> ${decision.to}`);
  }
}

export function documentOf(changes: Record<string, unknown> = {}): RolloutDocument {
  return readRollout({
    model: 'vad',
    version: 2,
    cohort: '',
    waves: ['5%', '100%'],
    gates: [{ gate: 'install' }, { gate: 'errors' }],
    bake: '10m',
    deadline: '4h',
    ...changes,
  });
}
