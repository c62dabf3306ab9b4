import { type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import type { PublicKey } from '#shared/trust/keys.js';
import { delegatedRoleNames } from '#shared/trust/model-role.js';
import { isRetired, retiredIn } from '#shared/trust/retired.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import type { PublisherHub } from './hub-port.js';
import type { KnownPublisher, PublisherFolder, PublisherRecord, Remembered } from './trust-folder.js';

/**
 * How a role stands in the folder and at the hub. `hub-behind`: the hub lost something, or never got it. `folder-behind`: the
 * hub holds something newer that this folder's keys signed. `diverged`: each holds something that the other never had.
 */
type Relation = 'same' | 'hub-behind' | 'folder-behind' | 'diverged';

export interface RoleStanding {
  readonly role: string;
  /** Versions; 0 where there is none. */
  readonly folder: number;
  readonly hub: number;
  readonly relation: Relation;
  /** The hub is known to have held what it lacks now. */
  readonly wasTaken: boolean;
  /** What the hub gives. */
  readonly given: Uint8Array | undefined;
}

/** Every role that the folder signs for, root first. */
export async function compareWithHub(folder: PublisherFolder, hub: PublisherHub): Promise<readonly RoleStanding[]> {
  const record = await folder.record();
  const standings: RoleStanding[] = [];
  if (record.keeper !== undefined) standings.push(await compareRoot(folder, hub, record, record.keeper.root));
  if (record.keeper !== undefined) standings.push(await compareTargets(folder, hub, record, record.keeper));
  for (const [role, known] of Object.entries(record.publishers)) standings.push(...(await comparePublisher(folder, hub, role, known)));
  return standings;
}

async function compareRoot(folder: PublisherFolder, hub: PublisherHub, record: PublisherRecord, mine: number): Promise<RoleStanding> {
  const given = await hub.metadata('root.json');
  const theirs = given === undefined ? 0 : parseMetadata('root', given).version;
  const common = Math.min(mine, theirs);
  const [own, other] = [await folder.tryRead(`${common}.root.json`), await hub.metadata(`${common}.root.json`)];
  const isOneChain = common === 0 || own === undefined || other === undefined || isSame(own, other);
  const relation = isOneChain ? relationOf(mine, theirs) : 'diverged';
  return { role: 'root', folder: mine, hub: theirs, relation, wasTaken: (record.hub?.root?.version ?? 0) > theirs, given };
}

async function compareTargets(
  folder: PublisherFolder,
  hub: PublisherHub,
  record: PublisherRecord,
  keeper: NonNullable<PublisherRecord['keeper']>,
): Promise<RoleStanding> {
  const given = await hub.metadata('targets.json');
  const taken = record.hub?.targets;
  const mine = keeper.targets;
  if (given === undefined) return { role: 'targets', folder: mine, hub: 0, relation: 'hub-behind', wasTaken: taken !== undefined, given };
  const file = parseMetadata('targets', given);
  const own = await folder.tryRead(`${file.version}.targets.json`);
  const facts = { role: 'targets', folder: mine, hub: file.version, wasTaken: (taken?.version ?? 0) > file.version, given };
  if (file.version > mine || own === undefined || isSame(own, given)) return { ...facts, relation: relationOf(mine, file.version) };
  // One version, two files: what was signed here never reached the hub, unless the hub is known to have taken it.
  const wasTaken = taken !== undefined && taken.version >= file.version;
  return { ...facts, relation: !wasTaken && mine === file.version ? 'folder-behind' : 'diverged' };
}

/** The publisher's own role, then those of its models that either side knows. */
async function comparePublisher(folder: PublisherFolder, hub: PublisherHub, role: string, known: KnownPublisher): Promise<RoleStanding[]> {
  const own = await compareSigned(folder, hub, role, known.publicKey, known.published);
  const given = own.given === undefined ? undefined : parseMetadata('targets', own.given, role);
  const theirs = given === undefined || !isSignedBy(given, known.publicKey) ? [] : delegatedRoleNames(given);
  const standings = [own];
  for (const model of new Set([...Object.keys(known.models), ...theirs])) {
    standings.push(await compareSigned(folder, hub, model, known.publicKey, known.models[model]));
  }
  return standings;
}

async function compareSigned(
  folder: PublisherFolder,
  hub: PublisherHub,
  role: string,
  publicKey: PublicKey,
  published: Remembered | undefined,
): Promise<RoleStanding> {
  const given = await hub.metadata(`${role}.json`);
  const mine = published?.version ?? 0;
  if (given === undefined) {
    return {
      role,
      folder: mine,
      hub: 0,
      relation: published === undefined ? 'same' : 'hub-behind',
      wasTaken: published !== undefined,
      given,
    };
  }
  const file = parseMetadata('targets', given, role);
  const facts = { role, folder: mine, hub: file.version, wasTaken: mine > file.version, given };
  if (!isSignedBy(file, publicKey)) return { ...facts, relation: 'diverged' };
  if (published?.version === file.version && published.digest === sha256Hex(given)) return { ...facts, relation: 'same' };
  const own = await folder.tryRead(`${Math.min(mine, file.version)}.${role}.json`);
  if (file.version >= mine) return { ...facts, relation: keepsAll(role, own, file) ? 'folder-behind' : 'diverged' };
  return { ...facts, relation: own === undefined || isSame(own, given) ? 'hub-behind' : 'diverged' };
}

/** Everything that `before` lists stands in `after` with the same content or is retired, and every model that it delegates is delegated there. */
function keepsAll(role: string, before: Uint8Array | undefined, after: MetadataFile<'targets'>): boolean {
  if (before === undefined) return true;
  const listed = after.metadata.signed.targets;
  const own = parseMetadata('targets', before, role);
  const models = new Set(delegatedRoleNames(after));
  const retired = retiredIn(after);
  if (!delegatedRoleNames(own).every((model) => models.has(model))) return false;
  return Object.entries(own.metadata.signed.targets).every(
    ([path, target]) =>
      isRetired(retired, Number(/(\d+)\.json$/.exec(path)?.[1])) ||
      (Object.hasOwn(listed, path) && listed[path]?.hashes['sha256'] === target.hashes['sha256']),
  );
}

function relationOf(mine: number, theirs: number): Relation {
  if (mine === theirs) return 'same';
  return mine > theirs ? 'hub-behind' : 'folder-behind';
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
