import { cp, readdir } from 'node:fs/promises';
import { withTaken } from '#hub/publisher/outgoing.js';
import { folderPublisher } from '#hub/publisher/target-signer.js';
import { compareWithHub } from '#hub/publisher/trust-compare.js';
import { type Delivery, deliverPending, signAndDeliver } from '#hub/publisher/trust-delivery.js';
import { type FolderDraft, PublisherFolder } from '#hub/publisher/trust-folder.js';
import type { Ceremony } from '#hub/publisher/trust-keeper.js';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { KEY_FILE_COST } from '#shared/trust/key-file.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { MemoryTufStorage } from './memory-tuf-storage.js';
import { FLEET, makeTrustWorld, ROLE, temporaryFolder, type TrustWorld, versionTarget } from './trust-world.js';
import { WorldHub } from './world-hub.js';

const MODEL = modelNameSchema.parse('vad');

/** A root keeper's folder and its hub, in step. */
export class KeeperDesk {
  readonly world: TrustWorld;
  readonly hub: WorldHub;
  folder: PublisherFolder;
  readonly notes: string[] = [];

  private constructor(world: TrustWorld, hub: WorldHub) {
    this.world = world;
    this.hub = hub;
    this.folder = world.folder;
  }

  static async make(): Promise<KeeperDesk> {
    const world = await makeTrustWorld();
    const desk = new KeeperDesk(world, new WorldHub(world));
    // As "trust init" leaves it: the hub took what was made.
    const record = await world.folder.record();
    const roles = { [ROLE]: world.hub.roleFile(ROLE).bytes };
    await world.folder.save(withTaken(record, { roots: [world.hub.root().bytes], targets: world.hub.roleFile('targets').bytes, roles }));
    return desk;
  }

  delivery(folder = this.folder): Delivery {
    return { folder, hub: this.hub, clock: this.world.clock, command: 'test', note: (text) => this.notes.push(text) };
  }

  /** A command of the root keeper. */
  async run(change: (options: Ceremony & { readonly folder: FolderDraft }) => Promise<TrustUpdate>, folder = this.folder): Promise<void> {
    const { clock, secret } = this.world;
    await deliverPending(this.delivery(folder));
    await signAndDeliver(this.delivery(folder), async (draft) => ({ update: await change({ folder: draft, secret, clock }) }));
  }

  async publish(version: number, folder = this.folder, content = `content ${version}`, model = MODEL): Promise<void> {
    const { clock, secret } = this.world;
    const publisher = folderPublisher({ folder, secret, hub: this.hub, clock, role: ROLE });
    const target = versionTarget(model, version, content);
    await publisher.exclusive(() => publisher.publish(model, target, Buffer.from(content)));
  }

  /** The same hub and folder once more, each by itself. */
  async clone(): Promise<KeeperDesk> {
    const storage = new MemoryTufStorage();
    for (const [name, bytes] of this.world.storage.files) storage.files.set(name, bytes);
    const hub = await TufRepository.open({ ...this.world, storage, fleet: FLEET });
    const world = { ...this.world, storage, hub, folder: await this.copy() };
    return new KeeperDesk(world, new WorldHub(world));
  }

  /** Another copy of the folder as it is now. */
  async copy(): Promise<PublisherFolder> {
    const path = await temporaryFolder('copy');
    await cp(this.folder.path, path, { recursive: true });
    return new PublisherFolder(path, { cost: KEY_FILE_COST });
  }

  /** Roles that folder and hub hold differently, and what lies undelivered; nothing when they are in step. */
  async outOfStep(folder = this.folder): Promise<string[]> {
    const standings = await compareWithHub(folder, this.hub);
    const roles = standings.filter(({ relation }) => relation !== 'same').map(({ role, relation }) => `${role} ${relation}`);
    const left = (await readdir(folder.path)).filter((name) => name === 'outgoing.json' || name.endsWith('.tmp'));
    return [...roles, ...left];
  }
}
