import type { EpochMillis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { issuedAt, type TrustedSet, walkUpdate } from '#shared/trust/decide/update-walk.js';
import type { StateFiles, TrustFolder } from './trust-folder.js';
import type { MirroredFiles } from './trust-mirror.js';
import { directorTarget, readDirector, TrustState } from './trust-state.js';

/** What a refresh came to: the state that holds now, and what ended it early. */
interface Refreshed {
  readonly state: TrustState;
  readonly failure: SkerryError | undefined;
}

/** What dates are judged by. */
interface JudgedTime {
  readonly now: EpochMillis;
  /** Nothing may be dated later; not known where the device's own clock is not. */
  readonly latest: EpochMillis | undefined;
}

/**
 * The time that expiry is judged by: the wall clock, and a clock set back must not bring expired metadata to life, so never before
 * `floor`, the time signed last. A newer timestamp is the hub's later word, though: one that is dated before `floor` says that the
 * hub's clock was wrong then. Whether its signature holds is for the walk to say.
 */
export function judgedTime(wall: EpochMillis, floor: EpochMillis, state: TrustState, files: MirroredFiles): EpochMillis {
  return Math.max(wall, Math.min(floor, offeredTime(state, files) ?? floor));
}

function offeredTime(state: TrustState, files: MirroredFiles): EpochMillis | undefined {
  const bytes = files.get('timestamp.json');
  if (bytes === undefined) return undefined;
  try {
    const offered = parseMetadata('timestamp', bytes);
    return offered.version > state.versions.timestamp ? issuedAt(offered) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Brings the accepted state up to the mirrored files, as far as they are good. First our own walk (a code for every failure,
 * dates, trusted time), then the TUF library over the same files. What both accept is put in force in one step, also when a
 * later check failed: a root that revokes a key counts from then on, and what was seen once cannot be taken back.
 */
export async function refreshTrust(
  folder: TrustFolder,
  state: TrustState,
  files: MirroredFiles,
  time: JudgedTime,
  fleet: string,
): Promise<Refreshed> {
  const { now, latest } = time;
  const walk = walkUpdate(state.trusted, (name) => files.get(name), now, latest);
  if (isSameSet(state.trusted, walk.trusted)) {
    const director = offeredDirector(walk.trusted, state, files, fleet);
    return finish(folder, state, walk.trusted, director, walk.unavailable, walk.failure);
  }
  const { agree } = await import('./trust-library.js');
  const agreed = await folder.scratch((path) => agree(path, state.trusted, walk, files, now));
  const director = offeredDirector(agreed.trusted, state, files, fleet);
  return finish(folder, state, agreed.trusted, director, agreed.unavailable, walk.failure ?? agreed.failure);
}

async function finish(
  folder: TrustFolder,
  before: TrustState,
  trusted: TrustedSet,
  director: OfferedDirector,
  unavailable: TrustState['unavailable'],
  failure: SkerryError | undefined,
): Promise<Refreshed> {
  // A refresh that did not come to the publisher roles learnt nothing of them.
  const state = new TrustState(trusted, director.found, failure === undefined ? unavailable : before.unavailable);
  if (!isSameFiles(before.files(), state.files())) await folder.replace(state.files());
  return { state, failure: failure ?? director.failure };
}

interface OfferedDirector {
  readonly found: TrustState['director'];
  readonly failure: SkerryError | undefined;
}

/** The director file that the targets list, kept or offered. Not there or wrong, nobody may sign desired states until it comes. */
function offeredDirector({ targets, roles }: TrustedSet, state: TrustState, files: MirroredFiles, fleet: string): OfferedDirector {
  if (targets === undefined) return { found: undefined, failure: undefined };
  try {
    const { digest } = directorTarget({ targets, roles });
    const before = state.director?.bytes;
    const bytes = before !== undefined && sha256Hex(before) === digest ? before : files.get(`${digest}.director.json`);
    if (bytes === undefined) throw new SkerryError('TRUST_DIRECTOR_MISSING', 'the file with the director keys has not arrived');
    return { found: { bytes, keys: readDirector({ targets, roles }, bytes, fleet) }, failure: undefined };
  } catch (cause) {
    return { found: undefined, failure: asSkerryError(cause) };
  }
}

function isSameSet(a: TrustedSet, b: TrustedSet): boolean {
  const top = (['root', 'timestamp', 'snapshot', 'targets'] as const).every((role) => isSameBytes(a[role]?.bytes, b[role]?.bytes));
  return top && a.roles.size === b.roles.size && [...a.roles].every(([name, file]) => isSameBytes(file.bytes, b.roles.get(name)?.bytes));
}

function isSameFiles(a: StateFiles, b: StateFiles): boolean {
  return a.size === b.size && [...a].every(([name, bytes]) => isSameBytes(bytes, b.get(name)));
}

function isSameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
