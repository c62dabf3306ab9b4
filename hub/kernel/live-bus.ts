import { z } from 'zod';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { eventSchema, reportedSchema } from '#shared/protocol/messages.js';

const at = z.iso.datetime({ offset: true });

/** What the live feed carries; a listener that missed some asks the REST routes, which always know the state. */
export const liveEventSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('device.enrolled'), at, device: deviceIdSchema }),
  z.object({ kind: z.literal('device.changed'), at, device: deviceIdSchema }),
  z.object({ kind: z.literal('device.removed'), at, device: deviceIdSchema }),
  z.object({ kind: z.literal('device.presence'), at, device: deviceIdSchema, state: z.enum(['online', 'offline']) }),
  z.object({ kind: z.literal('device.reported'), at, device: deviceIdSchema, reported: reportedSchema }),
  z.object({ kind: z.literal('device.event'), at, event: eventSchema }),
  z.object({ kind: z.literal('device.noticed'), at, device: deviceIdSchema, event: z.string().max(64), message: z.string() }),
  z.object({ kind: z.literal('deployment.changed'), at, deployment: z.string().max(64) }),
  z.object({ kind: z.literal('rollout.changed'), at, rollout: z.string().max(128), state: z.string().max(32) }),
  z.object({
    kind: z.literal('telemetry.window'),
    at,
    device: deviceIdSchema,
    models: z.array(z.object({ model: modelNameSchema, version: versionNumberSchema, predictions: z.int().min(0) })),
  }),
  z.object({
    kind: z.literal('version.published'),
    at,
    model: modelNameSchema,
    version: versionNumberSchema,
    manifest: digestSchema,
  }),
  z.object({ kind: z.literal('hub.clock'), at, state: z.enum(['credible', 'suspect']), reason: z.string() }),
  z.object({ kind: z.literal('version.deleted'), at, model: modelNameSchema, version: versionNumberSchema }),
  z.object({ kind: z.literal('trust.changed'), at, files: z.array(z.string()) }),
]);
const liveKindSchema = z.object({ kind: z.string() });
const LIVE_KINDS: ReadonlySet<string> = new Set(liveEventSchema.options.flatMap(({ shape }) => [...shape.kind.values]));

/** Reads an event of the live feed; `undefined` for a kind that only a later release knows. Throws `HUB_ANSWER_MALFORMED`. */
export function readLiveEvent(bytes: Uint8Array): LiveEvent | undefined {
  const options = { what: 'live event', maxBytes: LIMITS.apiBodyBytes, code: 'HUB_ANSWER_MALFORMED' as const };
  const { kind } = parseJson(liveKindSchema, bytes, options);
  return LIVE_KINDS.has(kind) ? parseJson(liveEventSchema, bytes, options) : undefined;
}

export type LiveEvent = z.infer<typeof liveEventSchema>;
type LiveListener = (event: LiveEvent) => void;

/** Tells everyone inside the process what just happened. Nothing waits for a listener and none can break another. */
export class LiveBus {
  readonly #listeners = new Set<LiveListener>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  publish(event: LiveEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (cause) {
        this.#logger.error({ cause, kind: event.kind }, 'a listener of the live feed failed');
      }
    }
  }

  /** The returned function ends it. */
  subscribe(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}
