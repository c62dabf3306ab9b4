import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseDuration } from '#shared/kernel/duration.js';
import type { Millis } from '#shared/kernel/time.js';

// How arguments that several commands share are read. All throw `CLI_USAGE`.

interface ModelVersion {
  readonly model: string;
  readonly version: number | undefined;
}

/** `name` or `name@version`. */
export function parseModelVersion(text: string): ModelVersion {
  const at = text.lastIndexOf('@');
  const name = modelNameSchema.safeParse(at === -1 ? text : text.slice(0, at));
  if (!name.success) throw new SkerryError('CLI_USAGE', `"${text}" does not begin with the name of a model`);
  if (at === -1) return { model: name.data, version: undefined };
  const digits = text.slice(at + 1);
  const version = versionNumberSchema.safeParse(/^\d{1,15}$/.test(digits) ? Number(digits) : undefined);
  if (!version.success)
    throw new SkerryError('CLI_USAGE', `"${digits}" is not a version; versions are whole numbers from 1, as in ${name.data}@1`);
  return { model: name.data, version: version.data };
}

/** `key=value`, and with `removable` also `key-` (undefined), as kubectl reads labels. */
export function parseLabels(texts: readonly string[], removable: true): Record<string, string | null>;
export function parseLabels(texts: readonly string[], removable?: false): Record<string, string>;
export function parseLabels(texts: readonly string[], removable = false): Record<string, string | null> {
  const labels: Record<string, string | null> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at > 0) labels[text.slice(0, at)] = text.slice(at + 1);
    else if (removable && at === -1 && text.endsWith('-') && text.length > 1) labels[text.slice(0, -1)] = null;
    else throw new SkerryError('CLI_USAGE', `"${text}" is not a label; write key=value${removable ? ', or key- to remove a label' : ''}`);
  }
  return labels;
}

/** A duration such as `90s`, `15m`, `2h`, `30d`. */
export function parseSpan(text: string, option: string): Millis {
  const span = parseDuration(text);
  if (span !== undefined && span > 0) return span;
  throw new SkerryError('CLI_USAGE', `${option}: "${text}" is not a duration such as 90s, 15m or 2h`);
}

export function parseWhole(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new SkerryError('CLI_USAGE', `${option} takes a whole number from ${min} to ${max}`);
}
