import { afterEach, describe, expect, it } from 'vitest';
import { readRollout } from '#hub/rollouts/document.js';
import { generateSigningKey, type SigningKey } from '#shared/trust/keys.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { enrolRequest, FLEET } from '../../kit/fleet-hub.js';
import { RolloutHub } from '../../kit/rollout-hub.js';

const OPERATOR = { name: 'ada', role: 'operator', source: '192.0.2.7' } as const;
const DOCUMENT = { model: 'vad', version: 2, cohort: '', waves: ['100%'], bake: '1h', gates: [{ gate: 'install' }] };

let world: RolloutHub | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** Two devices on version 1, and a third, whose key is known here. */
async function start(key: SigningKey): Promise<RolloutHub> {
  world = await RolloutHub.start(2);
  await enter(world, await world.hub.token(), key, 'cam-2');
  await world.hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 'ada' });
  await world.toldTruly();
  await world.react();
  return world;
}

/** Lets a machine in; one that had the name before is cut off. */
async function enter({ hub, devices }: RolloutHub, token: string, key: SigningKey, device?: string): Promise<void> {
  const request = enrolRequest({ token, ...(device === undefined ? {} : { device }) }, key);
  const connected = await hub.connect(await hub.fleet.enrolment.enroll(request, '127.0.0.1'));
  await connected.listen(deviceTopic(FLEET, connected.id, 'desired'));
  const before = devices.findIndex(({ id }) => id === connected.id);
  if (before >= 0) devices.splice(before, 1)[0]?.client.end(true);
  devices.push(connected);
}

async function look(made: RolloutHub): Promise<void> {
  await made.controller.tick();
  await made.toldTruly();
  await made.react();
  await made.controller.tick();
}

describe('a device that was told the version of a rollout', () => {
  it.each(['enrols again with its key', 'is replaced by another machine', 'is removed and then replaced'] as const)(
    'and %s is taken back with the others',
    async (how) => {
      const key = generateSigningKey();
      const made = await start(key);
      const { id } = await made.controller.create(readRollout(DOCUMENT), OPERATOR);
      await look(made);
      const { hub } = made;
      const wanted = { name: 'replace', labels: {}, maxUses: 1, expiresAt: Date.now() + 60_000, createdBy: 't' };
      const { id: device } = await hub.fleet.devices.get('cam-2');
      if (how === 'enrols again with its key') await enter(made, await hub.token(), key, 'cam-2');
      else {
        if (how === 'is removed and then replaced') await hub.fleet.devices.revoke('cam-2');
        await enter(made, (await hub.fleet.tokens.create({ ...wanted, device })).token, generateSigningKey());
      }
      await look(made);
      await look(made);
      expect(made.devices.map((one) => made.told(one)?.version)).toEqual([2, 2, 2]);
      expect((await made.store.devices(id)).map((row) => row.status)).toEqual(['installed', 'installed', 'installed']);
      await made.controller.act(id, 'rollback', OPERATOR);
      expect(await made.run(id)).toBe('rolled-back');
      expect(made.devices.map((one) => made.told(one)?.version)).toEqual([1, 1, 1]);
    },
  );
});
