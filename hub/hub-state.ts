import { z } from 'zod';

/** `<data>/hub.json`: where the hub that runs on a data folder is reached; written at every start, removed at the end. */
export const hubStateSchema = z.object({
  pid: z.int(),
  version: z.string(),
  fleet: z.string(),
  startedAt: z.iso.datetime(),
  /** Address of the API, as reached from this machine. */
  httpUrl: z.url(),
  /** Address told to others, where one was set. */
  publicUrl: z.url().optional(),
  /** Broker address told to devices. */
  mqttUrl: z.url(),
  /** The broker inside the hub, or an external one. */
  broker: z.enum(['embedded', 'external']),
});
export type HubState = z.infer<typeof hubStateSchema>;
