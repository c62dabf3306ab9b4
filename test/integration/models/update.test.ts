import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import { bytesFrom } from '../../kit/agent-store.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

const VAD = modelName('vad');
const GOLDEN = new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'output y differs');

describe('an update', () => {
  it('walks every state, serves, and is good after its bake time', async () => {
    const rig = await ModelRig.create();
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    const { servables, manager } = await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.states).toEqual(['1:wanted', '1:fetching', '1:verifying', '1:staged', '1:starting', '1:probation']);
    expect(servables.calls).toEqual(['load vad@1', 'route vad@1']);
    await rig.clock.advance(59_000);
    await rig.settled(VAD);
    expect(await rig.installOf(one)).toBe('probation');
    await rig.clock.advance(1_000);
    await rig.eventually('good', async () => (await rig.installOf(one)) === 'good');
    expect(manager.reportedModels()).toEqual([
      {
        model: VAD,
        serving: 1,
        lastKnownGood: null,
        versions: [{ version: 1, manifest: one.manifest, install: 'good', servable: 'available', variant: 'fp32', provider: 'cpu' }],
      },
    ]);
    expect(rig.eventKinds()).toContain('version.served');
  });

  it('fetches only what changed, switches without a gap, drains the old version and keeps it', async () => {
    const { rig, one } = await ModelRig.serving();
    const changed = Buffer.concat([bytesFrom('new head', 4_000), bytesFrom('vad 1', 10_000).subarray(4_000)]);
    const two = rig.version('vad', 2, 'good', { content: changed });
    rig.hub.sent.length = 0;
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    const [file, golden] = two.artifacts;
    expect(rig.hub.sent).toEqual([`${two.manifest}/0`, `${file}/0`, `${golden}/0`]);
    expect(rig.run.servables.calls.slice(2)).toEqual(['load vad@2', 'route vad@2', 'unload vad@1']);
    expect(await rig.run.store.state.serving()).toEqual([{ model: VAD, serving: 2, lastKnownGood: 1 }]);
    expect(await rig.installOf(one)).toBe('good');
  });

  it('with wrong golden outputs is refused, never served, and not tried again until told to', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2, GOLDEN);
    rig.desired.want(two);
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.run.servables.calls).not.toContain('route vad@2');
    expect(rig.events.emitted).toContainEqual({
      kind: 'version.refused',
      model: VAD,
      version: 2,
      error: { code: 'INFERENCE_GOLDEN_MISMATCH', message: 'output y differs' },
    });
    const reported = rig.run.manager.reportedModels()[0];
    expect(reported?.serving).toBe(1);
    expect(reported?.versions[1]).toMatchObject({ install: 'bad', error: { code: 'INFERENCE_GOLDEN_MISMATCH' } });

    // The same word again changes nothing, in this run and the next.
    rig.desired.want(two);
    await rig.close();
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.run.servables.calls).toEqual(['load vad@1', 'route vad@1']);

    // Another attempt does.
    rig.behave(two, 'good');
    rig.desired.want({ ...two, attempt: 1 });
    await rig.answers(VAD, 2);
  });

  it('of a model no longer wanted drains and unloads it, and keeps its files for a moment', async () => {
    const { rig, one } = await ModelRig.serving();
    rig.desired.want();
    await rig.eventually('nothing is loaded', () => rig.run.servables.loaded().length === 0);
    expect(await rig.run.store.state.serving()).toEqual([]);
    expect(await rig.run.store.blobs.has(one.manifest)).toBe(true);
    rig.hub.sent.length = 0;
    rig.desired.want(one);
    await rig.answers(VAD, 1);
    expect(rig.hub.sent).toEqual([]);
  });

  it('back to the version before needs no download and no new trial', async () => {
    const { rig, one } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    rig.hub.sent.length = 0;
    rig.desired.want(one);
    await rig.answers(VAD, 1);
    expect(rig.hub.sent).toEqual([]);
    expect([await rig.installOf(one), await rig.installOf(two)]).toEqual(['good', 'staged']);
  });

  it('is left for a newer one while it is still fetching', async () => {
    const { rig } = await ModelRig.serving();
    const [two, three] = [rig.version('vad', 2), rig.version('vad', 3)];
    rig.hub.beforePiece = (digest, _index, signal) =>
      digest === two.artifacts[0] ? new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })) : undefined;
    rig.desired.want(two);
    await rig.eventually('fetching', async () => (await rig.installOf(two)) === 'fetching');
    rig.desired.want(three);
    await rig.answers(VAD, 3);
    expect(await rig.installOf(two)).toBeUndefined();
  });

  it('where memory is short lets the old version make room, and brings it back when the new one fails', async () => {
    const { rig } = await ModelRig.serving();
    rig.freeMemoryBytes = 1_000;
    const two = rig.version('vad', 2, GOLDEN, { memoryBytes: 2_000 });
    rig.desired.want(two);
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.run.servables.calls.slice(2)).toEqual(['unload vad@1', 'load vad@2', 'load vad@1', 'route vad@1']);
  });
});

describe('what is refused', () => {
  /** Waits until the version is bad; tells with which code, and what answers then. */
  const refusal = async (
    rig: ModelRig,
    version: ReturnType<ModelRig['version']>,
  ): Promise<{ code: string | undefined; answers: number | undefined }> => {
    await rig.eventually('it is refused', async () => (await rig.installOf(version)) === 'bad');
    const code = rig.events.emitted.find((event) => event.kind === 'version.refused')?.error?.code;
    return { code, answers: await rig.settled(VAD) };
  };

  it('a version nobody trusted signed', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.hub.targets.delete('models/vad/2.json');
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'MODELS_NOT_TRUSTED', answers: 1 });
  });

  it('another manifest than the signed one', async () => {
    const { rig, one } = await ModelRig.serving();
    const two = { ...rig.version('vad', 2), manifest: one.manifest };
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'MODELS_MANIFEST_MISMATCH', answers: 1 });
  });

  it('a version below the minimum, also from the cache', async () => {
    const { rig, one } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    rig.hub.minimums.set('vad', 2);
    rig.desired.want(one);
    await rig.eventually('refused', async () => (await rig.installOf(one)) === 'bad');
    expect(rig.events.emitted.at(-1)?.error?.code).toBe('MODELS_BELOW_MINIMUM');
    expect(await rig.settled(VAD)).toBe(2);
  });

  it('other content under an installed version', async () => {
    const { rig, one } = await ModelRig.serving();
    rig.desired.want({ ...one, manifest: rig.version('vad', 9).manifest });
    await rig.eventually('refused', () => rig.eventKinds().includes('version.refused'));
    expect(rig.events.emitted.at(-1)?.error?.code).toBe('MODELS_VERSION_CHANGED');
    expect([await rig.settled(VAD), await rig.installOf(one)]).toEqual([1, 'good']);
  });

  it('a version this device cannot run', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2, 'good', { providers: ['npu'] });
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'MODELS_NO_USABLE_VARIANT', answers: 1 });
  });

  it('a chunk that was tampered with, after asking again', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    rig.hub.tampered.set(`${two.artifacts[0]}/1`, bytesFrom('tampered', 4_000));
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'BUNDLE_CHUNK_MISMATCH', answers: 1 });
    expect(rig.hub.sent.filter((piece) => piece === `${two.artifacts[0]}/1`)).toHaveLength(3);
    expect(rig.hub.sent.filter((piece) => piece === `${two.artifacts[0]}/0`)).toHaveLength(1);
  });

  it('a manifest that was tampered with', async () => {
    const { rig } = await ModelRig.serving();
    const two = rig.version('vad', 2);
    const [piece] = rig.hub.blobs.get(two.manifest) ?? [];
    rig.hub.tampered.set(`${two.manifest}/0`, bytesFrom('tampered', piece?.byteLength ?? 0));
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'BUNDLE_DIGEST_MISMATCH', answers: 1 });
  });

  it('a version that does not fit the disk budget beside what is kept, without evicting for nothing', async () => {
    const { rig, one } = await ModelRig.serving({ limits: { diskBudgetBytes: 30_000 } });
    const two = rig.version('vad', 2, 'good', { content: bytesFrom('large', 25_000) });
    rig.desired.want(two);
    expect(await refusal(rig, two)).toEqual({ code: 'MODELS_OVER_BUDGET', answers: 1 });
    expect(await rig.run.store.blobs.has(one.artifacts[0]!)).toBe(true);
  });
});

describe('the cache', () => {
  it('evicts the least recently used good version to fit a new one, never what serves or is kept', async () => {
    const { rig, one } = await ModelRig.serving({ limits: { diskBudgetBytes: 37_000 } });
    const versions = [2, 3, 4, 5].map((number) => rig.version('vad', number));
    for (const version of versions) {
      rig.desired.want(version);
      await rig.eventually(`${version.version} is good`, async () => (await rig.installOf(version)) === 'good');
    }
    expect(await rig.run.store.state.serving()).toEqual([{ model: VAD, serving: 5, lastKnownGood: 4 }]);
    expect([await rig.installOf(one), await rig.installOf(versions[0]!)]).toEqual([undefined, undefined]);
    expect(rig.events.emitted.filter((event) => event.kind === 'version.evicted').map((event) => event.version)).toEqual([1, 2]);
    expect((await rig.run.store.blobs.usage()).usedBytes).toBeLessThanOrEqual(37_000);
  });
});

describe('a model that is taken off', () => {
  it('has its files collected, and those only', async () => {
    const { rig, one } = await ModelRig.serving();
    const other = rig.version('other', 1);
    rig.desired.want(one, other);
    await rig.eventually('other serves', () => rig.run.servables.answering(modelName('other')) === 1);
    rig.desired.want(other);
    await rig.eventually('vad is unloaded', () => rig.run.servables.answering(VAD) === undefined);
    expect(await rig.run.store.blobs.has(one.manifest)).toBe(true);
    await rig.eventually('its files are gone', async () => {
      await rig.clock.advance(61_000);
      return !(await rig.run.store.blobs.has(one.manifest));
    });
    expect(await rig.installOf(one)).toBeUndefined();
    expect(await rig.run.store.blobs.has(other.manifest)).toBe(true);
    expect(await rig.installOf(other)).toBe('good');
  });
});

describe('several models', () => {
  it('do not wait for each other', async () => {
    const rig = await ModelRig.create();
    const [slow, fast] = [rig.version('slow', 1, 'hangs'), rig.version('fast', 1)];
    rig.desired.want(slow, fast);
    await rig.start();
    await rig.eventually('fast serves', () => rig.run.servables.answering(modelName('fast')) === 1);
    expect(rig.run.servables.answering(modelName('slow'))).toBeUndefined();
    await rig.close();
    // An orderly end is no crash: the attempt is not counted.
    await rig.crash();
    rig.behave(slow, 'good');
    await rig.start();
    const records = await rig.run.store.state.versions();
    expect(records.every(({ boots }) => boots <= 1)).toBe(true);
    await rig.eventually('slow serves', () => rig.run.servables.answering(modelName('slow')) === 1);
  });

  it('that share a file fetch it once', async () => {
    const rig = await ModelRig.create();
    const content = bytesFrom('shared', 10_000);
    const [left, right] = [rig.version('left', 1, 'good', { content }), rig.version('right', 1, 'good', { content })];
    rig.desired.want(left, right);
    await rig.start();
    await rig.eventually(
      'both serve',
      () => rig.run.servables.answering(left.model) === 1 && rig.run.servables.answering(right.model) === 1,
    );
    expect(rig.hub.sent.filter((piece) => piece.startsWith(left.artifacts[0]!))).toHaveLength(3);
  });
});
