import { z } from 'zod';
import { outcomeSchema } from './decide/trial-outcome.js';
import { hours } from '#shared/kernel/time.js';

// Everything a decision may rest on. Figures are recorded with each decision as JSON and read back for a replay
// (R8), so they are plain data with a schema, and the gates see nothing else.

const count = z.number().min(0);
const stratumSchema = z.object({ canaryEvents: count, canaryExposure: count, controlEvents: count, controlExposure: count });

/** Two event rates over time. `withoutWorst` leaves out the canary device with the largest excess (absent below 3 devices). */
const comparedSchema = z.object({
  strata: z.array(stratumSchema).max(256),
  withoutWorst: z.array(stratumSchema).max(256).optional(),
});
export type Compared = z.infer<typeof comparedSchema>;

/** What harms only after a while is looked for among windows of devices that had run the version for this long. */
export const AGES = [hours(1), hours(2), hours(6)] as const;

const tallySchema = z.object({ events: count, exposure: count });

const base = { gate: z.string().max(128) };
const gateFiguresSchema = z.discriminatedUnion('kind', [
  z.object({
    ...base,
    kind: z.literal('install'),
    installed: count,
    failed: count,
    silent: count,
    pending: count,
    /** Of the failed ones: devices that ran the version and rolled back on their own. */
    tookBack: count.default(0),
  }),
  z.object({
    ...base,
    kind: z.literal('comparison'),
    /**
     * Counted against `tolerate`, since the evidence began, and against `ruleOut`, in this wave; the same events for rates,
     * different thresholds for quantiles.
     */
    tolerated: comparedSchema,
    /** The same for windows of devices that had run the version for some while only, in the order of `AGES`. */
    aged: z.array(comparedSchema).max(AGES.length).optional(),
    ruledOut: comparedSchema,
    /** Variation between control devices beyond chance, 1 or more. */
    dispersion: z.number().min(1),
    canaryDevices: count,
    controlDevices: count,
    /** The canary's own events and exposure, unadjusted. */
    events: count,
    exposure: count,
  }),
  z.object({ ...base, kind: z.literal('rate'), events: count, exposure: count, devices: count }),
  /** Outputs of the model counted in the same bins for both, each output on its own. */
  z.object({
    ...base,
    kind: z.literal('distance'),
    outputs: z
      .array(
        z.object({
          name: z.string().max(128),
          canary: z.array(count).max(256),
          control: z.array(count).max(256),
          dispersion: z.number().min(1),
        }),
      )
      .min(1)
      .max(64),
  }),
  /** Values beyond a fixed limit, and beyond what has to be ruled out. */
  z.object({
    ...base,
    kind: z.literal('level'),
    events: count,
    beyond: count,
    exposure: count,
    dispersion: z.number().min(1),
    devices: count,
  }),
  /** Failed predictions over a long and a short time, for each of the gate's windows. */
  z.object({
    ...base,
    kind: z.literal('burn'),
    windows: z
      .array(z.object({ long: tallySchema, short: tallySchema }))
      .min(1)
      .max(8),
  }),
  /** What the gate needs was not reported. */
  z.object({ ...base, kind: z.literal('missing'), why: z.string().max(512) }),
  /** What the gate needs could not be read or worked out. */
  z.object({ ...base, kind: z.literal('failed'), why: z.string().max(512) }),
]);
export type GateFigures = z.infer<typeof gateFiguresSchema>;

/** How far the devices of the wave (and those of earlier waves told again) are. */
export const progressSchema = z.object({
  /** Devices in the wave; `waiting` ones are not told yet. */
  total: count,
  waiting: count,
  told: count,
  installed: count,
  failed: count,
  silent: count,
  /** Devices that were in the wave and are out of the rollout; not in `total`. */
  released: count.default(0),
});
export type WaveProgress = z.infer<typeof progressSchema>;

export const waveFiguresSchema = z.object({
  progress: progressSchema,
  /** Predictions by the new version, and devices that made some, since the wave began. */
  evidence: z.object({ predictions: count, devices: count }),
  gates: z.array(gateFiguresSchema).max(64),
  /** How much of the wave's deadline has run: time in which the schedule let somebody be told. */
  deadlineRan: count.optional(),
  /** Of a shadow or an A/B that came to its end: both sides, kept with the decision. Decides nothing. */
  outcome: outcomeSchema.optional(),
});
export type WaveFigures = z.infer<typeof waveFiguresSchema>;
