import { z } from 'zod';

// Everything a decision may rest on. Figures are recorded with each decision as JSON and read back for a replay (DESIGN
// R8), so they are plain data with a schema, and the gates see nothing else.

const count = z.number().min(0);
const stratumSchema = z.object({ canaryEvents: count, canaryExposure: count, controlEvents: count, controlExposure: count });

/** Two event rates over time. `withoutWorst` leaves out the canary device with the largest excess (absent below 3 devices). */
const comparedSchema = z.object({
  strata: z.array(stratumSchema).max(256),
  withoutWorst: z.array(stratumSchema).max(256).optional(),
});
export type Compared = z.infer<typeof comparedSchema>;

const base = { gate: z.string().max(128) };
export const gateFiguresSchema = z.discriminatedUnion('kind', [
  z.object({ ...base, kind: z.literal('install'), installed: count, failed: count, silent: count, pending: count }),
  z.object({
    ...base,
    kind: z.literal('comparison'),
    /** Counted against `tolerate` and against `ruleOut`; the same for rates, different thresholds for quantiles. */
    tolerated: comparedSchema,
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
  z.object({
    ...base,
    kind: z.literal('burn'),
    long: z.object({ events: count, exposure: count }),
    short: z.object({ events: count, exposure: count }),
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
});
export type WaveProgress = z.infer<typeof progressSchema>;

export const waveFiguresSchema = z.object({
  progress: progressSchema,
  /** Predictions by the new version, and devices that made some, since the wave began. */
  evidence: z.object({ predictions: count, devices: count }),
  gates: z.array(gateFiguresSchema).max(64),
});
export type WaveFigures = z.infer<typeof waveFiguresSchema>;
