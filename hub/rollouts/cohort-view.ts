import { z } from 'zod';
import { cohortNameSchema } from './document-parts.js';

export const savedCohortSchema = z.object({
  name: cohortNameSchema,
  selector: z.string(),
  updatedAt: z.iso.datetime(),
  updatedBy: z.string(),
});
export type SavedCohort = z.infer<typeof savedCohortSchema>;

export const cohortListSchema = z.object({ cohorts: z.array(savedCohortSchema) });
