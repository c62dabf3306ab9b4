import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { decode } from 'cborg';
import { expect } from 'vitest';
import { telemetrySchema } from '#shared/protocol/messages.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import type { World } from './world.js';

// Predictions of the model `m`: made here, on the device, and counted there, on the hub.

export const X = [1, 2, 3, 4];

/** Predictions of a device the hub has counted. */
export async function countedBy(world: World, { name }: Device): Promise<number> {
  const { versions } = (await world.fleet.api(`/metrics/models/m?device=${name}`)) as { versions: { predictions: number }[] };
  return versions.reduce((sum, version) => sum + version.predictions, 0);
}

/** Waits until the hub counts `made` and the device's outbox holds none of it any more, so that nothing can come on top. */
export async function expectCounted(world: World, device: Device, made: number): Promise<void> {
  await until(`the hub to count ${made} of ${device.name}`, async () => (await countedBy(world, device)) >= made);
  await until('everything to be acknowledged', async () => (await inOutbox(device)) === 0);
  expect(await countedBy(world, device)).toBe(made);
}

/** Makes so many predictions, each answered. */
export async function predict(device: Device, times: number): Promise<void> {
  for (let done = 0; done < times; done += 1) expect(await device.predict('m', X)).toMatchObject({ status: 200 });
}

/** Predictions in windows that are closed and lie in the device's database, not acknowledged. Looks at a copy: the agent keeps the file to itself. */
export async function inOutbox(device: Device): Promise<number> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-outbox-'));
  for (const name of ['agent.db', 'agent.db-wal']) {
    await copyFile(path.join(device.data, 'store', name), path.join(folder, name)).catch(() => undefined);
  }
  const db = new Database(path.join(folder, 'agent.db'));
  try {
    const payloads = db.prepare<[], Buffer>("SELECT payload FROM outbox WHERE kind = 'telemetry'").pluck().all();
    const windows = payloads.flatMap((payload) => telemetrySchema.parse(decode(payload)).windows);
    return windows.reduce((sum, window) => sum + window.predictions, 0);
  } finally {
    db.close();
    await rm(folder, { recursive: true });
  }
}
