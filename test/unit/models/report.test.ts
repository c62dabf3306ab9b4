import { describe, expect, it } from 'vitest';
import { Ledger } from '#agent/models/ledger.js';
import { InstallProgress } from '#agent/models/install-progress.js';
import { reportModels } from '#agent/models/report.js';
import { RuntimeView } from '#agent/models/runtime-view.js';
import type { VersionRecord } from '#agent/store/contract.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import { FakeServables } from '../../kit/model-fakes.js';
import { memoryState } from '../../kit/memory-store.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const model = modelNameSchema.parse('m');
const version = versionNumberSchema.parse(2);
const manifest = digestSchema.parse('ab'.repeat(32));
const bad: VersionRecord = {
  model,
  version,
  manifest,
  install: 'bad',
  boots: 2,
  attempt: 0,
  error: { code: 'MODELS_CRASHED', message: 'twice' },
  lastUsedAt: 0,
};

async function reported(wish: DesiredModel | undefined): Promise<unknown> {
  const clock = new VirtualClock();
  const state = { ...memoryState(), versions: () => Promise.resolve([bad]), serving: () => Promise.resolve([]) };
  const events = { emit: () => undefined };
  const ledger = await Ledger.load({ state, events, clock, observe: () => undefined });
  const runtime = new RuntimeView(new FakeServables(), clock, { changed: () => undefined, failed: () => undefined });
  const [entry] = reportModels({ ledger, runtime, progress: new InstallProgress(() => undefined), desired: () => wish });
  return entry?.versions;
}

describe('reportModels', () => {
  it('says of a version that was given up that it is bad, and why', async () => {
    expect(await reported({ model, version, manifest, attempt: 0 })).toMatchObject([{ install: 'bad', error: { code: 'MODELS_CRASHED' } }]);
    expect(await reported(undefined)).toMatchObject([{ install: 'bad' }]);
  });

  it('says of one that is wanted again that it is wanted, before the record says so too', async () => {
    expect(await reported({ model, version, manifest, attempt: 1 })).toEqual([{ version, manifest, install: 'wanted' }]);
  });
});
