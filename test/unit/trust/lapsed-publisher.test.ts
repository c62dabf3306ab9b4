import { expect, it } from 'vitest';
import { TrustFeed } from '#agent/sync/trust-feed.js';
import { reportedTrust } from '#agent/assembly/report.js';
import { trustTroubles } from '#hub/fleet/device-view.js';
import { renewTrust, rotateRoot } from '#hub/publisher/trust-keeper.js';
import { renewPublisher } from '#hub/publisher/trust-sign.js';
import { days } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { reportedOf } from '../../kit/messages.js';
import {
  ceremony,
  currentFiles,
  deliver,
  FLEET,
  letIn,
  makeDevice,
  makeTrustWorld,
  published,
  publishVersion,
  ROLE,
  versionTarget,
} from '../../kit/trust-world.js';

const VAD_1 = versionTarget('vad', 1, 'one');
const OCR_1 = versionTarget('ocr', 1, 'two');

it('27 (Y) a lapsed publisher holds up neither a new root nor another publisher, and the device says whose it is', async () => {
  const world = await makeTrustWorld({ lifetime: days(60) });
  const device = await makeDevice(world);
  await publishVersion(world, VAD_1);
  const events: { kind: string; role: unknown }[] = [];
  const feed = new TrustFeed({
    fleet: FLEET,
    link: {
      status: { kind: 'offline', since: 0 },
      subscribe: () => ({ close: () => undefined }),
      onStatus: () => () => undefined,
    } as never,
    mirror: device.mirror,
    client: device.client,
    time: { observeMetadata: () => Promise.resolve() } as never,
    events: { emit: ({ kind, detail }) => events.push({ kind, role: detail?.['role'] }) },
    clock: world.clock,
    logger: silentLogger,
    random: () => 0.5,
  });
  deliver(device.mirror, published(world));
  await feed.refresh();
  expect(feed.status).not.toHaveProperty('unavailable');

  world.clock.shift = days(400);
  await world.hub.accept(await renewTrust(ceremony(world)));
  const publishAsBob = await letIn(world, 'bob', { models: ['ocr'] });
  await publishAsBob(OCR_1);
  await world.hub.accept(await rotateRoot(ceremony(world)));
  deliver(device.mirror, published(world));
  expect(await feed.refresh()).toMatchObject({ root: 3 });
  expect(await feed.target(OCR_1.path)).toEqual(OCR_1);
  await expect(feed.target(VAD_1.path)).rejects.toMatchObject({ code: 'TRUST_METADATA_EXPIRED' });
  expect(feed.status.unavailable).toMatchObject([{ role: ROLE, error: { code: 'TRUST_METADATA_EXPIRED' } }]);
  const report = reportedOf('cam-1', { trust: reportedTrust(feed.status) });
  expect(trustTroubles(report)).toEqual([{ role: ROLE, code: 'TRUST_METADATA_EXPIRED' }]);
  await feed.refresh();
  expect(events.filter(({ kind }) => kind === 'trust.refused')).toEqual([{ kind: 'trust.refused', role: ROLE }]);

  await world.hub.accept({ roles: await renewPublisher({ ...ceremony(world), role: ROLE, current: currentFiles(world) }) });
  deliver(device.mirror, published(world));
  await feed.refresh();
  expect(feed.status).not.toHaveProperty('unavailable');
  expect(await feed.target(VAD_1.path)).toEqual(VAD_1);
});
