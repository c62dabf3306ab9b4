import fs from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Manifests } from '#agent/models/manifests.js';
import { RuntimeView } from '#agent/models/runtime-view.js';
import { bytesFrom, openStore } from '../../kit/agent-store.js';
import { ModelRig } from '../../kit/model-rig.js';
import { tempFolder } from '../../kit/temp-folder.js';

// What one deployment costs a device, counted in looks at models, files and manifests: it must not grow with what is there.

afterEach(() => vi.restoreAllMocks());

/** Deploys one more model to a device that serves `count`, and counts what is done for it. */
async function oneMore(count: number): Promise<Readonly<Record<string, number>>> {
  const rig = await ModelRig.create();
  const versions = Array.from({ length: count }, (_, index) => rig.version(`model-${index}`, 1));
  rig.desired.want(...versions);
  await rig.start();
  await rig.eventually('all are good', async () => {
    const records = await rig.run.store.state.versions();
    return records.length === count && records.every(({ install }) => install === 'good');
  });
  // Asked for once for each model that is looked at.
  const looked = vi.spyOn(RuntimeView.prototype, 'servingSince');
  const read = vi.spyOn(Manifests.prototype, 'read');
  const listed = vi.spyOn(rig.run.store.blobs, 'list');
  const before = { calls: rig.run.servables.calls.length, sent: rig.hub.sent.length };
  const added = rig.version('added', 1);
  rig.desired.want(...versions, added);
  await rig.answers(added.model, 1);
  await rig.eventually('it is good', async () => (await rig.installOf(added)) === 'good');
  const figures = {
    looked: looked.mock.calls.length,
    read: read.mock.calls.length,
    listed: listed.mock.calls.length,
    runtime: rig.run.servables.calls.length - before.calls,
    sent: rig.hub.sent.length - before.sent,
  };
  vi.restoreAllMocks();
  await rig.close();
  return figures;
}

describe('many models on a device', () => {
  it('cost a deployment no more than few: only what changed is looked at', async () => {
    const few = await oneMore(3);
    const many = await oneMore(40);
    expect(many).toEqual(few);
    expect(many['looked']).toBeLessThan(40);
  });

  it('a wish that is repeated leaves all of them at rest; a changed one concerns its model alone', async () => {
    const rig = await ModelRig.create();
    const versions = Array.from({ length: 12 }, (_, index) => rig.version(`model-${index}`, 1));
    rig.desired.want(...versions);
    await rig.start();
    await rig.eventually('all are good', async () => (await rig.run.store.state.versions()).every(({ install }) => install === 'good'));
    const looked = vi.spyOn(RuntimeView.prototype, 'servingSince');
    rig.desired.want(...versions);
    await rig.atRest();
    expect(looked).not.toHaveBeenCalled();
    const [, second, ...others] = versions;
    const newer = rig.version('model-1', 2);
    rig.desired.want(...versions.filter((version) => version !== second), newer);
    await rig.answers(newer.model, 2);
    expect(new Set(looked.mock.calls.map(([model]) => model))).toEqual(new Set([newer.model]));
    // What is no longer wanted is withdrawn, without a word to the others.
    looked.mockClear();
    rig.desired.want(...others, newer);
    await rig.eventually('the first is withdrawn', () => !rig.run.servables.calls.every((call) => call !== 'unload model-0@1'));
    expect(new Set(looked.mock.calls.map(([model]) => model))).toEqual(new Set([versions[0]?.model]));
  });
});

describe('the list of files', () => {
  it('is made of what came and went, however much lies there, and is the same while nothing does', async () => {
    const folder = await tempFolder();
    const store = await openStore(folder);
    const blobs = path.join(folder, 'blobs');
    const name = (digit: number): string => digit.toString(16).padStart(64, '0');
    for (let index = 0; index < 20; index++) await fs.writeFile(path.join(blobs, name(index)), bytesFrom(`file ${index}`, 100 + index));
    const first = await store.blobs.list();
    expect(first.map(({ bytes }) => bytes).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => 100 + index));
    expect(await store.blobs.list(), 'the very same list').toBe(first);
    expect((await store.blobs.usage()).usedBytes).toBe(20 * 100 + 190);
    await fs.rm(path.join(blobs, name(3)));
    await fs.writeFile(path.join(blobs, `${name(30)}.partial`), bytesFrom('begun', 50));
    const second = await store.blobs.list();
    expect([second.length, second.some(({ digest }) => digest === name(3))]).toEqual([20, false]);
    await fs.truncate(path.join(blobs, `${name(30)}.partial`), 70);
    const third = await store.blobs.list();
    expect(third.find(({ digest }) => digest === name(30))).toEqual({ digest: name(30), bytes: 70, complete: false });
    await fs.rename(path.join(blobs, `${name(30)}.partial`), path.join(blobs, name(30)));
    expect((await store.blobs.list()).find(({ digest }) => digest === name(30))).toEqual({ digest: name(30), bytes: 70, complete: true });
    await store.close();
  });
});
