import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { Announcement } from '#agent/assembly/announcement.js';
import { findRunning } from '#agent/running.js';
import { recordingLogger } from '../../kit/recorder.js';
import { SmallDisk } from '../../kit/small-disk.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const RUNNING = { pid: process.pid, boot: 1, version: '0.1.0', startedAt: '', device: 'cam-1', http: 'http://127.0.0.1:1', socket: null };

it.for(['full', 'read-only'] as const)('20 K: agent.json is written as soon as a %s disk takes it', async (state, { skip }) => {
  const disk = SmallDisk.mount(1);
  skip(disk === undefined, 'no small disk can be mounted here');
  onTestFinished(() => disk?.unmount());
  if (disk === undefined) return;
  const data = path.join(disk.folder, 'device');
  await mkdir(data);
  if (state === 'full') await disk.fill();
  else disk.readOnly(true);
  const clock = new VirtualClock();
  const { logger, lines } = recordingLogger();
  const announcement = new Announcement(data, RUNNING, clock, logger);
  await announcement.start();
  expect(lines.map(({ fields }) => fields['code'])).toEqual([state === 'full' ? 'DISK_FULL' : 'STORE_READ_ONLY']);
  await clock.advance(5_000);
  expect(await findRunning(data)).toBeUndefined();
  if (state === 'full') await disk.empty();
  else disk.readOnly(false);
  // Each attempt plans the next only when it is over.
  for (let attempt = 0; attempt < 50 && (await findRunning(data)) === undefined; attempt += 1) await clock.advance(5_000);
  expect(await findRunning(data)).toMatchObject({ device: 'cam-1' });
  await announcement.close();
  expect(clock.pending).toBe(0);
});
