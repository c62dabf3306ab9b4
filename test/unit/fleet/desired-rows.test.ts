import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { desiredModels } from '#hub/fleet/decide/desired-content.js';
import { type RolloutWish, writeDecision, writeWishes } from '#hub/fleet/desired-rows.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { digestSchema } from '#shared/bundle/names.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { modelName, versionNumber } from '../../kit/servables.js';

const device = deviceIdSchema.parse('d1');
const model = modelName('vad');
const target = (version: number) => ({
  version: versionNumber(version),
  manifest: digestSchema.parse(version.toString(16).padStart(64, '0')),
});
const wish = (rest: Partial<RolloutWish>): RolloutWish => ({
  device,
  model,
  target: target(2),
  action: 'serve',
  share: 0.25,
  sticky: 'key',
  attempt: 0,
  source: 'rollout:r1',
  decidedAt: 10,
  ...rest,
});

describe('wishes of a rollout', () => {
  let db: Db;
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-wishes-'));
    db = await openDatabase(path.join(folder, 'hub.db'), silentLogger);
    await db
      .insertInto('devices')
      .values({
        id: 'd1',
        public_key: '',
        device_labels: '{}',
        hub_labels: '{}',
        labels: '{}',
        capabilities: '{}',
        agent_version: '',
        password_sha256: '',
        password_mosquitto: '',
        token_id: '',
        enrolled_at: 0,
        revoked_at: null,
      })
      .execute();
  });
  afterEach(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  const deploy = (version: number, decidedAt: number, onlyNewer = false) =>
    writeDecision(db, { device, model, ...target(version), attempt: 0, source: 'deployment:1', decidedAt }, onlyNewer);
  const said = async () => desiredModels(await db.selectFrom('desired_models').selectAll().execute());

  it('puts a candidate beside the version there is, and serving takes it away', async () => {
    await deploy(1, 1);
    await writeWishes(db, [wish({ action: 'split', wave: 3 })]);
    expect(await said()).toEqual([
      {
        model,
        ...target(1),
        attempt: 0,
        candidate: { ...target(2), attempt: 0, action: 'split', share: 0.25, sticky: 'key', salt: 'rollout:r1' },
        rollout: { id: 'rollout:r1', wave: 3 },
      },
    ]);
    await writeWishes(db, [wish({ guard: { crashes: 0 } })]);
    expect(await said()).toEqual([{ model, ...target(2), attempt: 0, rollout: { id: 'rollout:r1', wave: 0, guard: { crashes: 0 } } }]);
    await writeWishes(db, [wish({ target: target(1) })]);
    expect((await said())[0]).toMatchObject({ version: 1 });
  });

  it('a newer deployment ends what a rollout had beside it; an older one changes nothing', async () => {
    await deploy(1, 5);
    await writeWishes(db, [wish({ action: 'shadow' })]);
    await deploy(1, 5, true);
    expect((await said())[0]?.candidate).toMatchObject({ version: 2 });
    await deploy(3, 20, true);
    expect(await said()).toEqual([{ model, ...target(3), attempt: 0 }]);
  });

  it.each([
    ['stage', [{ model, ...target(2), attempt: 0, rollout: { id: 'rollout:r1', wave: 0 } }]],
    ['shadow', []],
    ['split', []],
  ] as const)('%s with nothing to run beside', async (action, expected) => {
    await writeWishes(db, [wish({ action })]);
    expect(await said()).toEqual(expected);
  });

  it('null takes the model away', async () => {
    await deploy(1, 1);
    await writeWishes(db, [wish({ target: null })]);
    expect(await said()).toEqual([]);
  });
});
