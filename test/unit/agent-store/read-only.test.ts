import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { copyToMemory } from '#agent/store/worker/read-only-copy.js';
import { DEVICE, openStore } from '../../kit/agent-store.js';
import { coded } from '../../kit/coded.js';
import { SmallDisk } from '../../kit/small-disk.js';

it('20 K: a store on a read-only disk has what was kept, takes changes until its end, and says so', async ({ skip }) => {
  const disk = SmallDisk.mount(8);
  skip(disk === undefined, 'no small disk can be mounted here');
  if (disk === undefined) return;
  onTestFinished(() => disk.unmount());
  const folder = path.join(disk.folder, 'store');
  const first = await openStore(folder);
  await first.state.set('kept', 'yes');
  await first.close();
  disk.readOnly(true);
  // As where / is one disk: /tmp takes nothing either.
  vi.stubEnv('TMPDIR', disk.folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const store = await openStore(folder);
  expect(store.recovery?.error).toEqual(coded('STORE_READ_ONLY', 'read-only'));
  expect([await store.state.get('kept'), store.boot > first.boot]).toEqual(['yes', true]);
  await store.state.set('kept', 'changed');
  await store.outbox.append('event', { device: DEVICE, at: '2026-01-01T00:00:00Z', kind: 'agent.started' });
  expect([await store.state.get('kept'), (await store.outbox.stats()).records]).toEqual(['changed', 1]);
  await store.close();
  disk.readOnly(false);
  const again = await openStore(folder);
  expect([again.recovery, await again.state.get('kept')]).toEqual([undefined, 'yes']);
  await again.close();
});

it('a copy goes by the first folder that takes it, and leaves nothing there', async () => {
  const made = mkdtempSync(path.join(os.tmpdir(), 'skerry-copy-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  const [folder, scratch, missing] = ['store', '', 'missing'].map((name) => path.join(made, name)) as [string, string, string];
  const store = await openStore(folder);
  await store.state.set('kept', 'yes');
  await store.close();
  const file = path.join(folder, 'agent.db');
  const db = copyToMemory(file, [missing, scratch]);
  expect([db.memory, db.prepare("SELECT value FROM kv WHERE key = 'kept'").pluck().get()]).toEqual([true, 'yes']);
  db.close();
  expect(readdirSync(scratch)).toEqual(['store']);
  expect(() => copyToMemory(file, [missing])).toThrow(coded('STORE_READ_ONLY', 'no folder takes a copy'));
});
