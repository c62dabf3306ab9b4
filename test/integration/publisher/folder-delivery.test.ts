import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareWithHub } from '#hub/publisher/trust-compare.js';
import { PublisherFolder } from '#hub/publisher/trust-folder.js';
import { addPublisher, type Ceremony, removePublisher, renewTrust, rotateRoot } from '#hub/publisher/trust-keeper.js';
import { lostVersions, planRecovery, recover } from '#hub/publisher/trust-recovery.js';
import { renewFolder } from '#hub/publisher/trust-renewal.js';
import { createPublisher } from '#hub/publisher/trust-sign.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { KEY_FILE_COST, passphraseSecret } from '#shared/trust/key-file.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { KeeperDesk } from '../../kit/keeper-desk.js';
import { PowerCutFs } from '../../kit/power-cut-fs.js';
import { FLEET, makeDevice, refresh, ROLE, temporaryFolder, versionTarget } from '../../kit/trust-world.js';
import { modelRoleName } from '#shared/trust/role-name.js';

const resign = (desk: KeeperDesk, folder?: PublisherFolder): Promise<void> => desk.run((options) => renewFolder(options, desk.hub), folder);

/** Files of a folder but those of the lock and keys, by name. */
async function contentOf(folder: PublisherFolder): Promise<Record<string, string>> {
  const names = ['publisher.json', ...(await readdir(join(folder.path, 'metadata'))).map((name) => join('metadata', name))];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder.path, name), 'utf8')] as const)));
}

type Command = (desk: KeeperDesk) => Promise<void>;

async function letBobIn(desk: KeeperDesk): Promise<void> {
  const bob = new PublisherFolder(await temporaryFolder('bob'), { cost: KEY_FILE_COST });
  const request = await createPublisher({
    folder: bob,
    secret: passphraseSecret('bob'),
    clock: desk.world.clock,
    role: 'bob',
    fleet: FLEET,
  });
  await desk.run((options) => addPublisher({ ...options, request, models: ['x*'] }));
}

const COMMANDS: readonly (readonly [string, Command])[] = [
  ['resign', resign],
  ['rotate-root', (desk) => desk.run((options) => rotateRoot(options))],
  [
    'rotate-root --targets',
    (desk) => desk.run((options) => rotateRoot({ ...options, rotateTargets: true, rootKeys: 2, rootThreshold: 2 })),
  ],
  ['add-publisher', letBobIn],
  ['publish', (desk) => desk.publish(7)],
];

describe('17 (A) what a command signs and the hub does not get', () => {
  it.each(COMMANDS)('%s while the hub is away moves nothing in the folder, and works when it is back', async (_name, command) => {
    const desk = await KeeperDesk.make();
    const before = await contentOf(desk.folder);
    desk.hub.away = true;
    await expect(command(desk)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    expect(await contentOf(desk.folder)).toEqual(before);
    desk.hub.away = false;
    await command(desk);
    await command(desk).catch(() => undefined);
    await resign(desk);
    await desk.publish(8);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it.each(COMMANDS)('%s whose answer was lost is delivered again by the next command, of whatever kind', async (_name, command) => {
    const desk = await KeeperDesk.make();
    desk.hub.losesNextAnswer = true;
    await expect(command(desk)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    expect(await readdir(desk.folder.path)).toContain('outgoing.json');
    await desk.publish(9);
    expect(await desk.outOfStep()).toEqual([]);
    await resign(desk);
    expect(await desk.outOfStep()).toEqual([]);
    await refresh(desk.world, await makeDevice(desk.world));
  });

  it('a folder that ran ahead by itself (root and targets one version on, undelivered) gets back in step by any command', async () => {
    const desk = await KeeperDesk.make();
    const device = await makeDevice(desk.world);
    const { clock, secret } = desk.world;
    await renewTrust({ folder: desk.folder, secret, clock });
    await rotateRoot({ folder: desk.folder, secret, clock });
    await letBobIn(desk);
    expect(await desk.outOfStep()).toEqual([]);
    expect(desk.world.hub.root().version).toBe(3);
    await resign(desk);
    await desk.run((options) => removePublisher({ ...options, role: 'bob' }));
    expect(await refresh(desk.world, device)).toMatchObject({ root: 4 });
  });

  it('a root that the hub refused is kept, and goes along with the next', async () => {
    const desk = await KeeperDesk.make();
    const { clock, secret } = desk.world;
    // The hub takes no root without its own keys.
    const strange = async (options: Ceremony): Promise<TrustUpdate> =>
      rotateRoot({
        ...options,
        hub: { ...(await desk.hub.hubKeys()), snapshot: (await options.folder.createKey('strange', secret)).key.publicKey },
      });
    await expect(desk.run(strange)).rejects.toMatchObject({ code: 'TRUST_HUB_KEYS' });
    expect((await desk.folder.record()).keeper).toMatchObject({ root: 2, targets: 1 });
    expect(clock.now()).toBeGreaterThan(0);
    await desk.run(async (options) => rotateRoot({ ...options, hub: await desk.hub.hubKeys() }));
    expect(desk.world.hub.root().version).toBe(3);
    expect(await desk.outOfStep()).toEqual([]);
  });
});

describe('17 (B) two commands at the same moment', () => {
  it('two versions of one model are published one after the other', async () => {
    const desk = await KeeperDesk.make();
    await Promise.all([desk.publish(2), desk.publish(3), desk.publish(4, desk.folder, 'ocr', modelNameSchema.parse('ocr'))]);
    for (const version of [2, 3]) expect(desk.world.hub.target(versionTarget('vad', version, '').path)).toBeDefined();
    expect(desk.world.hub.target(versionTarget('ocr', 4, '').path)).toBeDefined();
    await resign(desk);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it('one version with the same content: both end well; with other content: the second is told that it exists', async () => {
    const desk = await KeeperDesk.make();
    await Promise.all([desk.publish(2), desk.publish(2)]);
    const both = await Promise.allSettled([desk.publish(3, desk.folder, 'one'), desk.publish(3, desk.folder, 'two')]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [refused] = both.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(refused).toMatchObject({ code: 'TRUST_TARGET_TAKEN' });
    await resign(desk);
    await desk.publish(4);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it('TRUST_TARGETS_VERSION is retried: a copy of the folder published in between', async () => {
    const desk = await KeeperDesk.make();
    const other = await desk.copy();
    desk.hub.meanwhile = () => desk.publish(2, other);
    await desk.publish(3);
    expect(await desk.outOfStep()).toEqual([]);
    desk.hub.meanwhile = () => resign(desk, other);
    await letBobIn(desk);
    expect(desk.world.hub.roleFile('targets').metadata.signed.delegations?.roles).toHaveProperty('bob');
    await resign(desk);
    expect(await desk.outOfStep()).toEqual([]);
  });
});

describe('kill -9 at every write', () => {
  it.each(COMMANDS)('%s: after each of them any command works, and devices follow', async (_name, command) => {
    const first = await KeeperDesk.make();
    const device = await makeDevice(first.world);
    let cutAt = 0;
    for (let finished = false; !finished; cutAt += 1) {
      const desk = await first.clone();
      const { path } = desk.folder;
      const power = new PowerCutFs();
      power.cutAt = cutAt;
      desk.folder = new PublisherFolder(path, { cost: KEY_FILE_COST, fs: power.fs });
      finished = await command(desk).then(
        () => true,
        () => false,
      );
      desk.folder = new PublisherFolder(path, { cost: KEY_FILE_COST, fs: new PowerCutFs().fs });
      if (cutAt % 2 === 0) await desk.publish(20 + cutAt);
      await resign(desk);
      expect(await desk.outOfStep()).toEqual([]);
      if (finished) await refresh(desk.world, device);
    }
    expect(cutAt).toBeGreaterThan(10);
  });
});

const MODEL = modelRoleName(ROLE, 'vad');

describe('trust recover', () => {
  const plan = async (desk: KeeperDesk, folder = desk.folder): Promise<Record<string, string>> =>
    Object.fromEntries(planRecovery(await compareWithHub(folder, desk.hub), undefined).map(({ role, action }) => [role, action]));

  it('a hub restored from a backup gets back what the folder kept, and the versions to publish again are named', async () => {
    const desk = await KeeperDesk.make();
    await desk.publish(1);
    const restore = desk.hub.backup();
    await desk.publish(2);
    await desk.publish(3);
    await desk.run((options) => rotateRoot({ ...options, rotateTargets: true }));
    await resign(desk);
    await restore();
    await expect(desk.publish(4)).rejects.toMatchObject({ code: 'TRUST_PUBLISHER_ROLLBACK' });
    await expect(resign(desk)).rejects.toMatchObject({ code: 'TRUST_PUBLISHER_ROLLBACK' });
    expect(await plan(desk)).toEqual({ root: 'deliver', targets: 'deliver', [ROLE]: 'deliver', [MODEL]: 'deliver' });
    await recover(desk.delivery(), undefined);
    expect(await desk.outOfStep()).toEqual([]);
    expect(await lostVersions(desk.folder, desk.hub)).toEqual([2, 3].map((version) => ({ model: 'vad', version })));
    for (const version of [2, 3, 4]) await desk.publish(version);
    expect(await lostVersions(desk.folder, desk.hub)).toEqual([]);
    await resign(desk);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it('a hub that lost a publisher who is elsewhere is given the file with which that publisher was let in', async () => {
    const desk = await KeeperDesk.make();
    const restore = desk.hub.backup();
    await letBobIn(desk);
    await restore();
    expect(await plan(desk)).toMatchObject({ root: 'none', targets: 'deliver' });
    await recover(desk.delivery(), undefined);
    expect(desk.world.hub.roleFile('bob').version).toBe(1);
    await resign(desk);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it('a folder restored from a backup takes over what the hub holds, verified by its own keys', async () => {
    const desk = await KeeperDesk.make();
    const old = await desk.copy();
    await desk.publish(1);
    await letBobIn(desk);
    await resign(desk);
    expect(await plan(desk, old)).toEqual({ root: 'adopt', targets: 'adopt', [ROLE]: 'adopt', [MODEL]: 'adopt' });
    await recover(desk.delivery(old), undefined);
    expect(await desk.outOfStep(old)).toEqual([]);
    await resign(desk, old);
    await desk.publish(2, old);
    expect(await desk.outOfStep(old)).toEqual([]);
  });

  it('a folder that remembers a file which the hub did not take in the end takes over what it took', async () => {
    const desk = await KeeperDesk.make();
    await desk.publish(1);
    const record = await desk.folder.record();
    const wrong = { version: 2, digest: 'ab'.repeat(32) };
    const publishers = { ...record.publishers, [ROLE]: { ...record.publishers[ROLE], published: wrong, signed: wrong } };
    await desk.folder.save({ ...record, publishers: publishers as typeof record.publishers });
    await expect(desk.publish(2)).rejects.toMatchObject({ code: 'TRUST_PUBLISHER_ROLLBACK' });
    await recover(desk.delivery(), 'hub');
    await desk.publish(2);
    expect(await desk.outOfStep()).toEqual([]);
  });

  it('keys made after the copy of a folder are missed, and said', async () => {
    const desk = await KeeperDesk.make();
    const old = await desk.copy();
    await desk.run((options) => rotateRoot(options));
    await expect(resign(desk, old)).rejects.toMatchObject({
      code: 'TRUST_KEY_FILE',
      message: expect.stringContaining('root version 2') as string,
    });
    await expect(recover(desk.delivery(old), undefined)).rejects.toMatchObject({ code: 'TRUST_KEY_FILE' });
    await desk.publish(1, old);
  });

  it('folder and hub that went different ways are refused with the reason, and --take hub leads out', async () => {
    const desk = await KeeperDesk.make();
    const other = await desk.copy();
    const restore = desk.hub.backup();
    await resign(desk);
    await desk.publish(1);
    await restore();
    desk.world.clock.shift = 5_000;
    await resign(desk, other);
    await desk.publish(2, other);
    await expect(resign(desk)).rejects.toMatchObject({ code: 'TRUST_FOLDER_DIVERGED' });
    expect(await plan(desk)).toEqual({ root: 'decide', targets: 'decide', [ROLE]: 'adopt', [MODEL]: 'decide' });
    await recover(desk.delivery(), 'hub');
    expect(await desk.outOfStep()).toEqual([]);
    await resign(desk);
    await desk.publish(3);
    expect(await desk.outOfStep()).toEqual([]);
  });
});
