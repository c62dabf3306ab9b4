import type { z } from 'zod';
import { ROWS, type Rows } from './rows.js';
import type { Sums } from './sums.js';

type VersionKey = { [K in keyof Rows]: Rows[K]['of'] extends 'version' ? K : never }[keyof Rows];
type DeviceKey = { [K in keyof Rows]: Rows[K]['of'] extends 'device' ? K : never }[keyof Rows];

type Member<S extends z.ZodType, R extends boolean> = R extends true ? S : z.ZodOptional<S>;

/** Members of a window, by the table. */
type WindowShape = { [K in VersionKey as Rows[K]['field']]: Member<Rows[K]['wire'], Rows[K]['required']> };
type WindowFields = z.infer<z.ZodObject<WindowShape>>;
/** Members of a device's health, by the table. */
type HealthShape = { [K in DeviceKey as Rows[K]['field']]: Rows[K]['wire'] };

export function windowShape(): WindowShape;
export function windowShape(): Record<string, z.ZodType> {
  return shapeOf('version');
}

/** Sums as the members of a window. */
export function windowFields(sums: Sums): WindowFields;
export function windowFields(sums: Sums): Record<string, unknown> {
  return sums.toWindow();
}

export function healthShape(): HealthShape;
export function healthShape(): Record<string, z.ZodType> {
  return shapeOf('device');
}

function shapeOf(whose: 'version' | 'device'): Record<string, z.ZodType> {
  const rows = Object.values(ROWS).filter((row) => row.of === whose);
  return Object.fromEntries(rows.map(({ field, wire, of, required }) => [field, of === 'version' && !required ? wire.optional() : wire]));
}
