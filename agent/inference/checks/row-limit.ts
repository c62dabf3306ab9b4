import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { ServableSpec } from '../contract.js';

/** Refuses more rows in one request than the version may be given, and inputs with different numbers of rows. */
export function checkRowLimit(
  { model, version, maxRows }: Pick<ServableSpec, 'model' | 'version' | 'maxRows'>,
  inputs: NamedTensors,
): void {
  if (maxRows === undefined) return;
  const all = Object.entries(inputs).map(([name, { shape }]) => ({ name, rows: shape[0] ?? 0 }));
  const [first] = all;
  if (first === undefined) return;
  const odd = all.find(({ rows }) => rows !== first.rows);
  if (odd !== undefined) {
    const text = `input ${JSON.stringify(odd.name)} has ${odd.rows} rows, and ${JSON.stringify(first.name)} has ${first.rows}`;
    throw new SkerryError('INFERENCE_ROWS_DIFFER', text, { details: { model, version, input: odd.name } });
  }
  if (first.rows <= maxRows) return;
  const text = `the request has ${first.rows} rows (sizes of the first dimension), and ${model}@${version} takes at most ${maxRows}`;
  throw new SkerryError('INFERENCE_TOO_MANY_ROWS', text, { details: { model, version, rows: first.rows, maxRows } });
}
