import { isDeepStrictEqual } from 'node:util';
import { parseTopic } from '#shared/protocol/topics.js';
import { type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import { type TappedMessage, tapMqtt } from '../kit/mqtt-tap.js';
import type { Device } from './device.js';

/** Reads the statements that pass the cable of a device; one that is delivered again (it is retained) is the same statement. */
export class Told {
  readonly device: Device;
  readonly #seen: readonly TappedMessage[];
  #mark = 0;

  constructor(device: Device) {
    this.device = device;
    this.#seen = tapMqtt(device.cable);
  }

  /** From now on only what comes on top counts. */
  mark(): void {
    this.#mark = Math.max(0, ...this.#statements().keys());
  }

  /** Versions of a model the device was told of since the mark, one for each statement, in order. */
  versions(model: string): readonly (number | undefined)[] {
    const since = [...this.#statements()].filter(([counter]) => counter > this.#mark).toSorted(([a], [b]) => a - b);
    return since.map(([, { models }]) => models.find((entry) => entry.model === model)?.version);
  }

  #statements(): ReadonlyMap<number, DesiredState> {
    const byCounter = new Map<number, DesiredState>();
    for (const { from, topic, payload } of this.#seen) {
      const parsed = parseTopic(topic);
      if (from !== 'target' || parsed?.kind !== 'device' || parsed.channel !== 'desired' || payload.length === 0) continue;
      const statement = read(payload);
      const before = byCounter.get(statement.counter);
      if (before !== undefined && !isDeepStrictEqual(before, statement))
        throw new Error(`${this.device.name} was sent two statements with the counter ${statement.counter}`);
      byCounter.set(statement.counter, statement);
    }
    return byCounter;
  }
}

/** The statement in its envelope (DSSE); whether its signature holds is the device's business. */
function read(envelope: Buffer): DesiredState {
  const { payload } = JSON.parse(envelope.toString()) as { payload: string };
  return desiredStateSchema.parse(JSON.parse(Buffer.from(payload, 'base64').toString()));
}
