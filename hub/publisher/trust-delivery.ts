import type { Clock } from '#shared/kernel/clock.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import type { PublisherHub } from './hub-port.js';
import {
  commitOutgoing,
  type Outgoing,
  outgoingOf,
  readOutgoing,
  type Signed,
  updateOf,
  withdrawOutgoing,
  withTaken,
  writeOutgoing,
} from './outgoing.js';
import { adoptFromHub, keptUpdate, missingRoots } from './trust-adopt.js';
import { compareWithHub, type RoleStanding } from './trust-compare.js';
import type { FolderDraft, PublisherFolder } from './trust-folder.js';

/** How often a change is signed anew because somebody else changed the same role in between. */
const ATTEMPTS = 5;

/** What a command that signs works with, while it holds the lock of the folder. */
export interface Delivery {
  readonly folder: PublisherFolder;
  readonly hub: PublisherHub;
  readonly clock: Clock;
  /** What is done, for messages: `trust resign`. */
  readonly command: string;
  /** Told what happens beside what was asked for. */
  readonly note: (text: string) => void;
  /** A publisher's command leaves root and top-level targets alone (default: the root keeper's). */
  readonly as?: 'root-keeper' | 'publisher';
}

/**
 * Delivers what an earlier command signed and did not finish. The hub takes the same files again without a word. What it
 * refuses by now is withdrawn, and said: the command that comes next signs upon what holds.
 */
export async function deliverPending(delivery: Delivery): Promise<boolean> {
  const { folder, note } = delivery;
  await folder.removeLeftovers();
  const pending = await readOutgoing(folder);
  if (pending === undefined) return false;
  try {
    await deliver(delivery, pending);
    note(`delivered what "${pending.command}" signed at ${pending.signedAt} and had not reached the hub`);
    return true;
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    note(`withdrew what "${pending.command}" signed at ${pending.signedAt}: the hub refused it: ${cause.message}`);
    return false;
  }
}

/**
 * Signs a change upon what the hub holds now and delivers it: nothing in the folder moves before all of it lies in the
 * outgoing file. When somebody changed the same role in between, it is signed anew, a few times.
 */
export async function signAndDeliver(
  delivery: Delivery,
  sign: (draft: FolderDraft) => Promise<Pick<Signed, 'update' | 'version' | 'retire'>>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const draft = delivery.folder.draft();
    const standings = await upToDate(delivery, draft);
    const { update, ...rest } = await sign(draft);
    const complete = withRoots(
      update,
      await missingRoots(
        draft,
        standings.find(({ role }) => role === 'root'),
      ),
    );
    const signed = { command: delivery.command, at: delivery.clock.now(), update: complete, ...rest };
    try {
      await deliver(delivery, await outgoingOf(draft, signed));
      return;
    } catch (cause) {
      if (!hasCode(cause, 'TRUST_TARGETS_VERSION') || attempt >= ATTEMPTS) throw cause;
    }
  }
}

/** Hands over what the hub lacks of what the folder keeps, as a recovery; false when it lacks nothing. */
export async function deliverKept(delivery: Delivery, draft: FolderDraft, standings: readonly RoleStanding[]): Promise<boolean> {
  const { command, clock, hub } = delivery;
  const update = await keptUpdate(draft, hub, standings);
  if (update === undefined) return false;
  await deliver(delivery, await outgoingOf(draft, { command, at: clock.now(), update: { ...update, recovery: true } }));
  await draft.save(await delivery.folder.record());
  return true;
}

/**
 * Brings the draft of a root keeper to what the hub holds, as far as that needs no decision: what the folder's own keys signed
 * elsewhere is taken over, and what never reached the hub is delivered. Throws `TRUST_PUBLISHER_ROLLBACK` for a hub that
 * lost something, and `TRUST_FOLDER_DIVERGED`.
 */
async function upToDate(delivery: Delivery, draft: FolderDraft): Promise<readonly RoleStanding[]> {
  if (delivery.as === 'publisher' || (await draft.find())?.keeper === undefined) return [];
  const standings = await compareWithHub(draft, delivery.hub);
  const top = standings.filter(({ role }) => role === 'root' || role === 'targets');
  for (const standing of top) requireOneHistory(standing, draft.path);
  for (const standing of top) {
    if (standing.relation === 'folder-behind') await adoptFromHub(draft, delivery.hub, standing);
    if (standing.relation === 'same') await rememberTaken(draft, standing);
  }
  const lacksTargets = top.some(({ role, relation }) => role === 'targets' && relation === 'hub-behind');
  if (!lacksTargets || !(await deliverKept(delivery, draft, top))) return top;
  delivery.note('delivered root and targets that were signed earlier and had not reached the hub');
  return compareWithHub(draft, delivery.hub);
}

/** What the hub gives is what it holds: a hub that gives less one day has lost something. */
async function rememberTaken(draft: FolderDraft, { role, given }: RoleStanding): Promise<void> {
  if (given === undefined) return;
  await draft.save(withTaken(await draft.record(), role === 'root' ? { roots: [given] } : { targets: given }));
}

/** Throws where going on needs somebody to decide. */
function requireOneHistory({ role, relation, wasTaken, folder, hub }: RoleStanding, path: string): void {
  if (relation === 'diverged') {
    throw new SkerryError('TRUST_FOLDER_DIVERGED', `${path} holds ${role} version ${folder}, the hub holds another file as version ${hub}`);
  }
  if (relation !== 'hub-behind' || !wasTaken) return;
  throw new SkerryError('TRUST_PUBLISHER_ROLLBACK', `the hub gives version ${hub} of role ${role}; it took version ${folder} before`, {
    details: { role, given: hub, published: folder },
  });
}

function withRoots(update: TrustUpdate, missing: readonly Uint8Array[]): TrustUpdate {
  const made = new Set((update.roots ?? []).map((bytes) => parseMetadata('root', bytes).version));
  const before = missing.filter((bytes) => !made.has(parseMetadata('root', bytes).version));
  return before.length === 0 ? update : { ...update, roots: [...before, ...(update.roots ?? [])] };
}

/** Writes the outgoing file, sends it, and moves the folder once the hub took it. What the hub refuses is withdrawn. */
async function deliver({ folder, hub }: Delivery, outgoing: Outgoing): Promise<void> {
  await writeOutgoing(folder, outgoing);
  try {
    await send(hub, outgoing);
  } catch (cause) {
    if (isRefusal(cause)) await withdrawOutgoing(folder, outgoing);
    throw cause;
  }
  await commitOutgoing(folder, outgoing);
}

async function send(hub: PublisherHub, outgoing: Outgoing): Promise<void> {
  const update = updateOf(outgoing);
  const { version, retire } = outgoing;
  if (retire !== undefined) {
    await hub.retireVersions(retire.model, { versions: retire.versions, role: retire.role, files: update.roles ?? {} });
    return;
  }
  if (version === undefined) {
    await hub.putTrust(update);
    return;
  }
  const manifest = Buffer.from(version.manifest, 'base64');
  await hub.createVersion(version.model, { manifest, role: version.role, files: update.roles ?? {} });
}

/** The hub looked at the files and found them wrong; not that it was not reached, not ready, or did not let the caller in. */
function isRefusal(cause: unknown): cause is SkerryError {
  if (!(cause instanceof SkerryError) || cause.entry.fault === 'environment' || cause.entry.fault === 'ours') return false;
  return !/^(API|HUB|TIMEOUT|BROKER)_?/.test(cause.code);
}
