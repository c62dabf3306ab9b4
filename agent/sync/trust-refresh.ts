import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fetcher } from 'tuf-js';
import type { EpochMillis } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkExpiry, sha256Hex } from '#shared/trust/metadata.js';
import { type CompleteSet, walkUpdate } from '#shared/trust/update-walk.js';
import { readStateFiles, type TrustFolder } from './trust-folder.js';
import type { MirroredFiles } from './trust-mirror.js';
import { DIRECTOR_FILE, directorTarget, issuedAt, readDirector, TrustState } from './trust-state.js';

const BASE_URL = 'https://mirror.invalid/';

/**
 * Brings the accepted state up to the mirrored files. First our own walk (a code for every failure, dates, trusted time),
 * then the TUF library over the same files, which must agree; then the copy it wrote is put in force. Any failure leaves the
 * state as it was.
 */
export async function refreshTrust(
  folder: TrustFolder,
  state: TrustState,
  files: MirroredFiles,
  now: EpochMillis,
  fleet: string,
): Promise<TrustState> {
  const walked = walkUpdate(state.trusted, (name) => files.get(name), now);
  checkSignedTime(walked, now);
  const director = offeredDirector(walked, state, files);
  readDirector(walked, director, fleet);
  if (isSame(state, walked)) return state;
  let next = state;
  await folder.change(async (work) => {
    await updateByLibrary(work, state, walked, files);
    await writeFile(join(work, DIRECTOR_FILE), director);
    next = TrustState.read(await readStateFiles(work), fleet);
    if (!isSame(next, walked)) throw new SkerryError('TRUST_REFUSED', 'the TUF library accepted other versions than our own checks');
  });
  return next;
}

/** A device whose clock is behind has at least the time at which the newest timestamp was signed. */
function checkSignedTime(set: CompleteSet, now: EpochMillis): void {
  const signed = issuedAt(set.timestamp);
  if (signed === undefined || signed <= now) return;
  for (const file of [set.root, set.timestamp, set.snapshot, set.targets, ...set.roles.values()]) checkExpiry(file, signed);
}

function offeredDirector(set: CompleteSet, state: TrustState, files: MirroredFiles): Uint8Array {
  const { digest } = directorTarget(set);
  const before = state.director?.bytes;
  if (before !== undefined && sha256Hex(before) === digest) return before;
  const offered = files.get(`${digest}.director.json`);
  if (offered !== undefined) return offered;
  throw new SkerryError('TRUST_DIRECTOR_MISSING', 'the file naming the director keys has not been delivered');
}

function isSame(state: TrustState, walked: CompleteSet): boolean {
  return state.root.version === walked.root.version && state.complete?.timestamp.version === walked.timestamp.version;
}

async function updateByLibrary(work: string, state: TrustState, walked: CompleteSet, files: MirroredFiles): Promise<void> {
  // Loaded when something changed, and not at every start: with what it depends on it is larger than all of the agent's own modules.
  const { Updater } = await import('tuf-js');
  try {
    const updater = new Updater({
      metadataDir: work,
      metadataBaseUrl: BASE_URL,
      fetcher: mirrorFetcher(files),
      config: {
        // Exactly the roots that are there: the library never has to be told that the next one is not.
        maxRootRotations: walked.root.version - state.root.version,
        maxDelegations: walked.roles.size + 1,
        rootMaxLength: LIMITS.trustFileBytes,
        timestampMaxLength: LIMITS.trustFileBytes,
        snapshotMaxLength: LIMITS.trustFileBytes,
        targetsMaxLength: LIMITS.trustFileBytes,
      },
    });
    await updater.refresh();
    for (const path of probePaths(walked)) await updater.getTargetInfo(path);
  } catch (cause) {
    throw cause instanceof SkerryError ? cause : new SkerryError('TRUST_REFUSED', asSkerryError(cause).message, { cause });
  }
}

/** One path per delegation that no target has ("-" is no model name): looking it up loads every publisher role. */
function probePaths(set: CompleteSet): readonly string[] {
  const roles = Object.values(set.targets.metadata.signed.delegations?.roles ?? {});
  return roles.flatMap((role) => (role.paths ?? []).slice(0, 1).map((path) => path.replaceAll('*', '-')));
}

function mirrorFetcher(files: MirroredFiles): Fetcher {
  const read = (url: string, maxLength: number): Buffer => {
    const name = url.slice(BASE_URL.length);
    const bytes = files.get(name);
    if (bytes === undefined) throw new SkerryError('TRUST_REFUSED', `${name} is not mirrored`);
    if (bytes.byteLength > maxLength) throw new SkerryError('TRUST_REFUSED', `${name} is larger than the ${maxLength} bytes announced`);
    return Buffer.from(bytes);
  };
  return {
    downloadBytes: async (url, maxLength) => read(url, maxLength),
    // Targets travel as blobs, never through the TUF library.
    downloadFile: async (url) => {
      throw new SkerryError('INTERNAL', `the TUF library asked for the file ${url}`);
    },
  };
}
