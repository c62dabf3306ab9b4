import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ProgramName } from '../targets.js';
import { PROJECT_ROOT } from './tools.js';

/**
 * Functions (keys of script-functions.ts) that the scripts of a program call when it starts and ends. Written by `npm run profile`, kept
 * in the tree: what is compiled beforehand is the same for everyone who builds the same tree.
 */
export type StartProfile = ReadonlyMap<string, ReadonlySet<string>>;

function profileFile(program: ProgramName): string {
  return path.join(PROJECT_ROOT, 'packaging', 'profile', `${program}.txt`);
}

/** Rejects with `PACKAGE_SOURCE_CHANGED` when the file is no profile. */
export async function readStartProfile(program: ProgramName): Promise<StartProfile> {
  return parseStartProfile(await readFile(profileFile(program), 'utf8'));
}

export async function writeStartProfile(program: ProgramName, profile: StartProfile): Promise<string> {
  const file = profileFile(program);
  await writeFile(file, formatStartProfile(profile));
  return file;
}

/** A line `[script]`, and a line for each function of it, sorted; as text so that a change of it can be read. */
export function formatStartProfile(profile: StartProfile): string {
  const sections = [...profile].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sections.map(([script, keys]) => `${[`[${script}]`, ...[...keys].toSorted()].join('\n')}\n`).join('\n');
}

export function parseStartProfile(text: string): StartProfile {
  const profile = new Map<string, Set<string>>();
  let keys: Set<string> | undefined;
  for (const line of text.split(/\r?\n/).filter((each) => each !== '')) {
    const script = /^\[([a-z]+)\]$/.exec(line)?.[1];
    if (script !== undefined) profile.set(script, (keys = new Set()));
    else if (keys === undefined)
      throw new SkerryError('PACKAGE_SOURCE_CHANGED', `a profile of a start begins with [script], not with ${line}`);
    else keys.add(line);
  }
  return profile;
}
