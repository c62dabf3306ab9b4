import { expect, test } from 'vitest';
import type { LoadedAside, ServableStatus } from '#agent/inference/contract.js';
import { ServedModel } from '#agent/standalone/served-model.js';
import type { ModelPlan } from '#agent/standalone/plan.js';
import { modelName, versionNumber } from '../../kit/servables.js';

const name = modelName('m');

function planOf(version: number): ModelPlan {
  const document = { name, version };
  const file = { version: versionNumber(version), file: `/m/${version}`, mark: '0'.repeat(64) as ModelPlan['versions'][number]['mark'] };
  return {
    model: name,
    document,
    config: { instance_group: [] } as never,
    versions: [file],
    labels: new Map(),
    warmUp: undefined,
    classes: new Map(),
  };
}

test('files of what is served stay where they are when what it replaced cannot be unloaded', async () => {
  const served = new Set<number>();
  const runtime = {
    list: () => [...served].map((version) => ({ model: name, version, state: 'available' }) as ServableStatus),
    loadAside: async ({ version }: { version: number }): Promise<LoadedAside> => ({
      status: {} as ServableStatus,
      takePlace: async () => void served.add(version),
      discard: async () => undefined,
    }),
    route: () => undefined,
    unload: async () => Promise.reject(new Error('it does not end')),
    statusOf: () => undefined,
  };
  const model = new ServedModel(name, runtime);
  const released: string[] = [];
  const releasing = (what: string) => async (): Promise<void> => void released.push(what);
  await (await model.prepare({ plan: planOf(1), overridden: undefined, release: releasing('first') })).changeOver();
  const change = await model.prepare({ plan: planOf(2), overridden: undefined, release: releasing('second') });
  await expect(change.changeOver()).rejects.toThrow('it does not end');
  expect([released, model.serving?.plan.document]).toEqual([['first'], { name, version: 2 }]);
});
