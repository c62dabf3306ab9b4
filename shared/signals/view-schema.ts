import type { z } from 'zod';
import type { Form } from './form.js';
import { ROWS, type Rows } from './rows.js';
import type { Sums } from './sums.js';

type ViewOf<F> = F extends Form<infer _O, infer _V, infer _W, infer S> ? S : never;

/** What clients see of the sums of a version, by the name of the signal; what was not measured is left out. */
type SignalViews = { [K in keyof Rows]?: ViewOf<Rows[K]['form']> };
type ViewShape = { [K in keyof Rows]: z.ZodOptional<z.ZodType<ViewOf<Rows[K]['form']>>> };

export function viewShape(): ViewShape;
export function viewShape(): Record<string, z.ZodType> {
  const shown = Object.values(ROWS).filter((row) => row.shown);
  return Object.fromEntries(
    shown.map(({ name, form, help, unit }) => [name, form.view.optional().meta({ description: `${help} (${unit})` })]),
  );
}

export function showSums(sums: Sums): SignalViews;
export function showSums(sums: Sums): Record<string, unknown> {
  return Object.fromEntries(
    sums.table.shown.flatMap((signal) => {
      const value = sums.of(signal);
      return value === undefined ? [] : [[signal.name, signal.form.show(value, signal.zero)]];
    }),
  );
}
