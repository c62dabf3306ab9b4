import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { asSkerryError, errnoOf, SkerryError } from './errors.js';

/** One setting of a program: where its value can come from, and what it is for. */
export interface SettingEntry {
  /** `--flag` on the command line, and the same word in the settings file. */
  readonly flag: string;
  /** What the flag takes, as `--help` names it: `--flag <duration>`. */
  readonly value: string;
  readonly env: string;
  /** A variable by which a platform says the same. */
  readonly platformEnv?: string;
  /** Left out: no value. */
  readonly default?: string | number;
  readonly doc: string;
}

export type SettingTable<Key extends string> = readonly (readonly [Key, SettingEntry])[];

export interface SettingSources<Key extends string> {
  /** By setting key, as the command line gave them. */
  readonly flags: Readonly<Partial<Record<Key, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** YAML or JSON file; it has to be there. Left out: `usualFile`, if it is there. */
  readonly configFile?: string | undefined;
}

interface SettingRules<Key extends string, Config> {
  readonly schema: z.ZodType<Config>;
  readonly table: SettingTable<Key>;
  readonly usualFile: string;
  /** What is known before any source was asked, e.g. the data folder; taken where no source says otherwise. */
  readonly known: Readonly<Partial<Record<Key, string>>>;
}

/** Compiles the settings: flag before environment before file before default. `CONFIG_INVALID` lists every bad one with its source. */
export async function loadSettings<Key extends string, Config>(
  rules: SettingRules<Key, Config>,
  sources: SettingSources<Key>,
): Promise<Config> {
  const fromFile = await readSettingsFile(sources.configFile ?? rules.usualFile, sources.configFile !== undefined, rules.table);
  const origin = new Map<string, string>();
  const values: Record<string, unknown> = {};
  for (const [key, entry] of rules.table) {
    const found = firstOf([
      [`--${entry.flag}`, sources.flags[key]],
      [entry.env, sources.env[entry.env]],
      ...(entry.platformEnv === undefined ? [] : [[entry.platformEnv, sources.env[entry.platformEnv]] as const]),
      [`"${entry.flag}" in the settings file`, fromFile[entry.flag]],
      ['its default', rules.known[key] ?? entry.default],
    ]);
    if (found === undefined) continue;
    values[key] = found.value;
    origin.set(key, found.source);
  }
  const result = rules.schema.safeParse(values);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${origin.get(String(issue.path[0])) ?? String(issue.path[0])}: ${issue.message}`);
  throw new SkerryError('CONFIG_INVALID', `invalid settings: ${issues.join('; ')}`, { details: { issues } });
}

/** A whole number within bounds, as a number or as the text of one. */
export const wholeNumber = (min: number, max: number): z.ZodType<number> =>
  z
    .union([
      z.int(),
      z
        .string()
        .regex(/^\d{1,15}$/)
        .transform(Number),
    ])
    .catch(Number.NaN)
    .pipe(
      z
        .int({ error: range(min, max) })
        .min(min, range(min, max))
        .max(max, range(min, max)),
    );

const range = (min: number, max: number): string =>
  max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;

/** A base folder of the XDG Base Directory Specification; set to nothing, a variable counts as not set. */
export function xdgFolder(env: Readonly<Record<string, string | undefined>>, variable: string, below: string): string {
  const folder = env[variable];
  return folder === undefined || folder === '' ? join(homeOf(env), below) : folder;
}

/** Throws `CONFIG_INVALID` for a user who has none, as the numbered ones of containers. */
function homeOf(env: Readonly<Record<string, string | undefined>>): string {
  const home = env['HOME'];
  if (home !== undefined && home !== '') return home;
  try {
    return userInfo().homedir;
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', 'this user has no home folder; name a data folder with --data', { cause });
  }
}

function firstOf(candidates: readonly (readonly [string, unknown])[]): { source: string; value: unknown } | undefined {
  const found = candidates.find(([, value]) => value !== undefined && value !== '');
  return found === undefined ? undefined : { source: found[0], value: found[1] };
}

async function readSettingsFile(path: string, mustExist: boolean, table: SettingTable<string>): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (!mustExist && errnoOf(cause) === 'ENOENT') return {};
    throw new SkerryError('CONFIG_INVALID', `the settings file ${path} could not be read: ${asSkerryError(cause).message}`, { cause });
  }
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', `the settings file ${path} is neither YAML nor JSON`, { cause });
  }
  const settings = z.record(z.string(), z.unknown()).safeParse(value);
  if (!settings.success) throw new SkerryError('CONFIG_INVALID', `the settings file ${path} is not a table of settings`);
  const flags = new Set(table.map(([, entry]) => entry.flag));
  const unknown = Object.keys(settings.data).filter((name) => !flags.has(name));
  if (unknown.length === 0) return settings.data;
  throw new SkerryError('CONFIG_INVALID', `the settings file ${path} has unknown settings: ${unknown.join(', ')}`);
}
