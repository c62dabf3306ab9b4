import { z } from 'zod';

/** What the process that is measured is given as its argument, as JSON. */
export const targetSchema = z.object({
  folder: z.string(),
  instances: z.int(),
});

/** Where it listens, which it tells once it serves. */
export const addressSchema = z.object({ http: z.int(), grpc: z.int(), bare: z.int(), socket: z.string() });

export type TargetSettings = z.infer<typeof targetSchema>;
export type TargetAddress = z.infer<typeof addressSchema>;
