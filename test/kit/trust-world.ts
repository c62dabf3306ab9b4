import { createHash } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TufTrustClient } from '#agent/sync/trust-client.js';
import type { TrustFs } from '#agent/sync/trust-folder.js';
import { TRUST_INDEX_FILE, TrustMirror } from '#agent/sync/trust-mirror.js';
import { withTaken } from '#hub/publisher/outgoing.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { addPublisher, type Ceremony, type InitTrust, initTrust } from '#hub/publisher/trust-keeper.js';
import { createPublisher, type CurrentFiles, signVersionTarget, type VersionTarget } from '#hub/publisher/trust-sign.js';
import { type HubKeys, hubPublicKeys } from '#hub/registry/tuf/hub-keys.js';
import type { Publication } from '#hub/registry/tuf/publication.js';
import { TufRepository, type TufRepositoryOptions } from '#hub/registry/tuf/repository.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import { manifestTargetCustomSchema } from '#shared/bundle/manifest.js';
import { digestSchema } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { MemoryTufStorage } from './memory-tuf-storage.js';

/** A clock that is the system's, moved by hand. Moving ahead is what the TUF library's own clock cannot see. */
export class ShiftedClock implements Clock {
  shift = 0;
  now(): number {
    return systemClock.now() + this.shift;
  }
  monotonic(): number {
    return systemClock.monotonic();
  }
  schedule(delay: number, fn: () => void): () => void {
    return systemClock.schedule(delay, fn);
  }
}

export const FLEET = 'test-fleet';
export const ROLE = 'acme';
/** How long a device of a test waits for files that were announced. */
export const MIRROR_DEADLINE = 50;

/** A root keeper, a hub and as many devices as wanted: the real parts, joined by function calls instead of a network. */
export interface TrustWorld {
  readonly clock: ShiftedClock;
  readonly secret: Uint8Array;
  readonly folder: PublisherFolder;
  readonly keys: HubKeys;
  readonly storage: MemoryTufStorage;
  hub: TufRepository;
}

export async function makeTrustWorld(
  options: Partial<Pick<InitTrust, 'rootKeys' | 'rootThreshold' | 'publisher' | 'lifetime'>> & Partial<TufRepositoryOptions> = {},
): Promise<TrustWorld> {
  const clock = new ShiftedClock();
  const folder = new PublisherFolder(await temporaryFolder('publisher'), { cost: KEY_FILE_COST });
  const secret = passphraseSecret('correct horse');
  const keys = { snapshot: generateSigningKey(), timestamp: generateSigningKey(), director: generateSigningKey() };
  const storage = new MemoryTufStorage();
  const hub = await TufRepository.open({ fleet: FLEET, clock, ...options, keys, storage });
  const publisher = options.publisher ?? { role: ROLE, models: ['*'] };
  await hub.accept(await initTrust({ ...options, folder, secret, clock, hub: hubPublicKeys(FLEET, keys), publisher }));
  return { clock, secret, folder, keys, storage, hub };
}

/** What a ceremony in the keeper's folder of this world needs. */
export function ceremony({ folder, secret, clock }: TrustWorld): Ceremony {
  return { folder, secret, clock };
}

export async function temporaryFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `skerry-${name}-`));
}

/** A target entry for a version whose manifest is `content`. */
export function versionTarget(model: string, version: number, content: string, minimumVersion = 1): VersionTarget {
  const bytes = Buffer.from(content);
  const digest = digestSchema.parse(createHash('sha256').update(bytes).digest('hex'));
  const custom = manifestTargetCustomSchema.parse({ model, version, minimumVersion, publishedAt: '2026-01-01T00:00:00Z' });
  return { path: manifestTargetPath(model, version), length: bytes.byteLength, digest, custom };
}

/** The newest file of each role as the hub of the world publishes it. */
export function currentFiles({ hub }: Pick<TrustWorld, 'hub'>): CurrentFiles {
  return (role) =>
    Promise.resolve()
      .then(() => hub.roleFile(role).bytes)
      .catch(() => undefined);
}

/** Signs and uploads a version as the publisher of the world's folder. */
export async function publishVersion(world: TrustWorld, target: VersionTarget, role = ROLE): Promise<void> {
  const { roles } = await signVersionTarget({ ...ceremony(world), role, current: currentFiles(world), target });
  await world.hub.accept({ roles });
  await world.folder.save(withTaken(await world.folder.record(), { roles }));
}

/** A publisher with a folder of its own, let in for what is said; what it is given it signs and hands to the hub. */
export async function letIn(
  world: TrustWorld,
  role: string,
  may: { readonly models: readonly string[]; readonly agent?: boolean },
): Promise<(target: VersionTarget) => Promise<unknown>> {
  const folder = new PublisherFolder(await temporaryFolder('publisher'), { cost: KEY_FILE_COST });
  const signing = { folder, secret: passphraseSecret('another'), clock: world.clock, role };
  const request = await createPublisher({ ...signing, fleet: FLEET });
  await world.hub.accept(await addPublisher({ ...ceremony(world), request, ...may }));
  return async (target) => {
    const { roles } = await signVersionTarget({ ...signing, current: currentFiles(world), target });
    return world.hub.accept({ roles });
  };
}

export interface TestDevice {
  readonly client: TufTrustClient;
  readonly mirror: TrustMirror;
  readonly folder: string;
}

export async function makeDevice(
  world: TrustWorld,
  options: { folder?: string; fs?: TrustFs; pin?: boolean; patience?: Clock; latest?: () => number } = {},
): Promise<TestDevice> {
  const folder = options.folder ?? join(await temporaryFolder('device'), 'trust');
  // By which files that were announced have to come.
  const mirror = new TrustMirror(options.patience ?? world.clock);
  const fs = {
    ...(options.fs === undefined ? {} : { fs: options.fs }),
    ...(options.latest === undefined ? {} : { latest: options.latest }),
  };
  const client = new TufTrustClient({ folder, fleet: FLEET, clock: world.clock, mirror, mirrorDeadline: MIRROR_DEADLINE, ...fs });
  if (options.pin !== false) await client.pin(world.hub.root().bytes);
  return { client, mirror, folder };
}

export function published(world: TrustWorld): Publication {
  const publication = world.hub.publication();
  if (publication === undefined) throw new Error('nothing is published');
  return publication;
}

/** Delivers a publication to a mirror; `change` may replace files on the way, as whoever controls the broker could. */
export function deliver(
  mirror: TrustMirror,
  publication: Publication,
  change: (name: string, bytes: Uint8Array) => Uint8Array | undefined = (_name, bytes) => bytes,
): void {
  mirror.clear();
  const names: string[] = [];
  for (const [name, bytes] of publication.files) {
    const delivered = change(name, bytes);
    if (delivered === undefined) continue;
    names.push(name);
    mirror.put(name, delivered);
  }
  mirror.put(TRUST_INDEX_FILE, Buffer.from(JSON.stringify({ files: names })));
}

/** Delivers what is published now and refreshes. */
export async function refresh(world: TrustWorld, device: TestDevice): Promise<{ root: number; timestamp: number; snapshot: number }> {
  deliver(device.mirror, published(world));
  return device.client.refresh();
}
