import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
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
