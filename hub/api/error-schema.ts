import { z } from 'zod';

/** ErrorBody (shared/kernel/errors.ts) as the OpenAPI document describes it and clients read it. */
export const errorBodySchema = z
  .object({
    code: z.string().meta({ description: 'Stable; docs/ERRORS.md lists all of them.' }),
    message: z.string(),
    fault: z.string().meta({ description: 'ours, caller, peer or environment' }),
    action: z.string().meta({ description: 'What to do about it.' }),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'ErrorBody', description: 'How every error is answered.' });
