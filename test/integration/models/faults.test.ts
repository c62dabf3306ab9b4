import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import type { InstallState } from '#shared/protocol/messages.js';
import type { Moment } from '#agent/models/observe.js';
import type { StepKind } from '#agent/models/decide/step.js';
import type { FakeVersion } from '../../kit/model-fakes.js';
import { ModelRig } from '../../kit/model-rig.js';
import { modelName } from '../../kit/servables.js';

// At each state of an update x {crash, no network, disk full, error}: the exact chain of states, and what answers meanwhile.

const VAD = modelName('vad');
const OFFLINE = new SkerryError('SYNC_OFFLINE', 'no network');
const BROKEN = new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'output y differs');

async function serving(): Promise<{ rig: ModelRig; one: FakeVersion; two: FakeVersion }> {
  const { rig, one } = await ModelRig.serving();
  return { rig, one, two: rig.version('vad', 2) };
}

function networkGone(rig: ModelRig, gone: boolean): void {
  rig.hub.refreshError = gone ? OFFLINE : undefined;
  rig.hub.fetchError = gone ? OFFLINE : undefined;
}

const chainOf = (rig: ModelRig, version: number): string[] =>
  rig.states.filter((state) => state.startsWith(`${version}:`)).map((state) => state.slice(2));

const persisted =
  (version: number, state: InstallState) =>
  (moment: Moment): boolean =>
    moment.at === 'persisted' && moment.version === version && moment.state === state;

const during =
  (at: 'before' | 'after', kind: StepKind, version: number) =>
  (moment: Moment): boolean =>
    moment.at === at && moment.step.kind === kind && 'version' in moment.step && moment.step.version === version;

/** Wants version 2 and lets time pass until the rig stops it. */
async function update(rig: ModelRig, two: FakeVersion): Promise<never> {
  rig.desired.want(two);
  for (;;) {
    await rig.atRest();
    await rig.clock.advance(1_000);
  }
}

describe('killed', () => {
  const rows: readonly { at: string; moment: (moment: Moment) => boolean; answers: number; chain: readonly InstallState[] }[] = [
    {
      at: 'wanted',
      moment: persisted(2, 'wanted'),
      answers: 1,
      chain: ['fetching', 'verifying', 'staged', 'starting', 'probation', 'good'],
    },
    {
      at: 'before the manifest',
      moment: during('before', 'fetchManifest', 2),
      answers: 1,
      chain: ['fetching', 'verifying', 'staged', 'starting', 'probation', 'good'],
    },
    { at: 'fetching', moment: persisted(2, 'fetching'), answers: 1, chain: ['verifying', 'staged', 'starting', 'probation', 'good'] },
    {
      at: 'after the manifest',
      moment: during('after', 'fetchManifest', 2),
      answers: 1,
      chain: ['verifying', 'staged', 'starting', 'probation', 'good'],
    },
    {
      at: 'before an artifact',
      moment: during('before', 'fetchArtifact', 2),
      answers: 1,
      chain: ['verifying', 'staged', 'starting', 'probation', 'good'],
    },
    {
      at: 'after an artifact',
      moment: during('after', 'fetchArtifact', 2),
      answers: 1,
      chain: ['verifying', 'staged', 'starting', 'probation', 'good'],
    },
    { at: 'verifying', moment: persisted(2, 'verifying'), answers: 2, chain: ['staged', 'starting', 'probation', 'good'] },
    { at: 'staged', moment: persisted(2, 'staged'), answers: 2, chain: ['starting', 'probation', 'good'] },
    { at: 'starting', moment: persisted(2, 'starting'), answers: 2, chain: ['starting', 'probation', 'good'] },
    { at: 'loaded', moment: during('after', 'load', 2), answers: 2, chain: ['starting', 'probation', 'good'] },
    { at: 'before the switch', moment: during('before', 'switch', 2), answers: 2, chain: ['starting', 'probation', 'good'] },
    { at: 'probation', moment: persisted(2, 'probation'), answers: 2, chain: ['probation', 'good'] },
    { at: 'switched', moment: during('after', 'switch', 2), answers: 2, chain: ['probation', 'good'] },
    { at: 'before the old one is drained', moment: during('before', 'unload', 1), answers: 2, chain: ['probation', 'good'] },
    { at: 'after the old one is drained', moment: during('after', 'unload', 1), answers: 2, chain: ['probation', 'good'] },
    { at: 'before it is good', moment: during('before', 'markGood', 2), answers: 2, chain: ['probation', 'good'] },
    { at: 'good', moment: persisted(2, 'good'), answers: 2, chain: ['good', 'good'] },
  ];

  it.each(rows)('$at: serves without network at once, then finishes', async ({ moment, answers, chain }) => {
    const { rig, one, two } = await serving();
    await rig.crashAt(moment, () => void update(rig, two).catch(() => undefined));
    rig.states.length = 0;
    networkGone(rig, true);
    await rig.start();
    // R2: nothing but the disk is needed to serve again.
    expect(await rig.settled(VAD)).toBe(answers);
    networkGone(rig, false);
    rig.run.manager.retryNow();
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good' && rig.run.servables.answering(VAD) === 2);
    await rig.settled(VAD);
    expect(chainOf(rig, 2)).toEqual(chain);
    expect(await rig.run.store.state.serving()).toEqual([{ model: VAD, serving: 2, lastKnownGood: 1 }]);
    expect(await rig.installOf(one)).toBe('good');
    expect(rig.run.servables.loaded()).toEqual(['vad@2']);
    expect(new Set(rig.hub.sent).size).toBe(rig.hub.sent.length);
  });

  it.each(['starting', 'probation'] as const)('again and again while %s: given up, and the last-known-good serves', async (state) => {
    const { rig, one, two } = await serving();
    const moment = state === 'starting' ? persisted(2, 'starting') : during('after', 'route', 2);
    await rig.crashAt(persisted(2, state), () => void update(rig, two).catch(() => undefined));
    await rig.crashAt(moment, () => rig.start());
    rig.states.length = 0;
    networkGone(rig, true);
    await rig.start();
    // Probation was entered once by loading: that was the first of the two starts it may take down.
    if (state === 'probation' && rig.run.servables.answering(VAD) === 2) await rig.crashAt(moment, () => rig.start());
    await rig.answers(VAD, 1);
    expect(chainOf(rig, 2)).toEqual(['bad']);
    expect(rig.events.emitted.find((event) => event.kind === 'version.refused')?.error?.code).toBe('MODELS_CRASHED');
    expect([await rig.installOf(one), await rig.installOf(two)]).toEqual(['good', 'bad']);
    // And it stays given up.
    await rig.close();
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.run.servables.calls).not.toContain('load vad@2');
  });

  it('again and again while a good version comes up: the one before it serves', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
    await rig.crash();
    for (let n = 0; n < 5; n += 1) await rig.crashAt(during('before', 'load', 2), () => rig.start());
    // Nothing was counted before the load began.
    await rig.start();
    expect(await rig.settled(VAD)).toBe(2);
    await rig.crash();
    for (let n = 0; n < 5; n += 1) await rig.crashAt(persisted(2, 'good'), () => rig.start());
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(rig.eventKinds()).toContain('version.rolled-back');
  });

  it('while it rolls back: the last-known-good serves after the next start', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    for (const moment of [persisted(2, 'bad'), during('before', 'rollBack', 1)]) {
      await rig.crashAt(moment, async () => {
        if (rig.eventKinds().includes('version.refused')) await rig.start();
        else rig.run.servables.fail(two, BROKEN);
      });
    }
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(await rig.run.store.state.serving()).toEqual([{ model: VAD, serving: 1, lastKnownGood: undefined }]);
  });
});

describe('without network', () => {
  const rows: readonly { from: InstallState; answers: number; waitsIn: InstallState }[] = [
    { from: 'wanted', answers: 1, waitsIn: 'fetching' },
    { from: 'fetching', answers: 1, waitsIn: 'fetching' },
    { from: 'verifying', answers: 2, waitsIn: 'probation' },
    { from: 'staged', answers: 2, waitsIn: 'probation' },
    { from: 'starting', answers: 2, waitsIn: 'probation' },
    { from: 'probation', answers: 2, waitsIn: 'probation' },
  ];
  it.each(rows)(
    'from $from on: waits in $waitsIn, answers with $answers, and finishes once it is back',
    async ({ from, answers, waitsIn }) => {
      const { rig, two } = await serving();
      rig.onMoment = (moment) => persisted(2, from)(moment) && networkGone(rig, true);
      rig.desired.want(two);
      await rig.eventually(`version 2 is ${waitsIn}`, async () => (await rig.installOf(two)) === waitsIn);
      expect(await rig.settled(VAD)).toBe(answers);
      rig.onMoment = () => undefined;
      const told = rig.run.manager.reportedModels()[0]?.versions[1]?.error?.code;
      expect(told).toBe(waitsIn === 'fetching' ? 'SYNC_OFFLINE' : undefined);
      networkGone(rig, false);
      await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
      expect(chainOf(rig, 2)).toEqual(['wanted', 'fetching', 'verifying', 'staged', 'starting', 'probation', 'good']);
      expect(rig.eventKinds()).not.toContain('version.refused');
    },
  );

  it('in mid-download: resumes without fetching a chunk twice', async () => {
    const { rig, two } = await serving();
    rig.hub.beforePiece = (digest, index) => {
      if (digest === two.artifacts[0] && index === 2 && rig.hub.sent.length > 0) {
        rig.hub.beforePiece = () => undefined;
        throw OFFLINE;
      }
    };
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    expect(new Set(rig.hub.sent).size).toBe(rig.hub.sent.length);
  });
});

describe('with a full disk', () => {
  it.each(['wanted', 'fetching', 'verifying', 'staged', 'starting', 'probation'] as const)(
    'from %s on: goes on serving, says so where it counts, and finishes once there is space',
    async (from) => {
      const { rig, two } = await serving();
      rig.onMoment = (moment) => {
        if (persisted(2, from)(moment)) rig.diskFull = true;
      };
      rig.desired.want(two);
      await rig.eventually('the disk is full', () => rig.diskFull);
      await rig.settled(VAD);
      for (let n = 0; n < 5; n += 1) await rig.clock.advance(1_000);
      expect(await rig.settled(VAD)).toBe(from === 'probation' ? 2 : 1);
      rig.onMoment = () => undefined;
      expect(rig.eventKinds().includes('disk.full')).toBe(from !== 'probation');
      expect(rig.eventKinds()).not.toContain('version.refused');
      rig.diskFull = false;
      await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
      expect(chainOf(rig, 2)).toEqual(['wanted', 'fetching', 'verifying', 'staged', 'starting', 'probation', 'good']);
    },
  );

  it('starts, and serves what it served', async () => {
    const { rig } = await serving();
    await rig.close();
    rig.diskFull = true;
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
  });

  it('takes a broken version back all the same', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    let full = false;
    rig.onMoment = (moment) => {
      if (persisted(2, 'bad')(moment)) rig.diskFull = full = true;
    };
    rig.run.servables.fail(two, BROKEN);
    await rig.eventually('version 1 answers', () => full && rig.run.servables.answering(VAD) === 1);
    await rig.settled(VAD);
    rig.diskFull = false;
    rig.onMoment = () => undefined;
    await rig.eventually('it is durable', async () => (await rig.run.store.state.serving())[0]?.serving === 1);
    expect(rig.run.servables.answering(VAD)).toBe(1);
  });
});

describe('with errors of a version', () => {
  it('on probation: it is taken back with its reason', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.answers(VAD, 2);
    rig.run.servables.fail(two, BROKEN);
    await rig.answers(VAD, 1);
    expect(chainOf(rig, 2)).toEqual(['wanted', 'fetching', 'verifying', 'staged', 'starting', 'probation', 'bad']);
    expect(rig.events.emitted.find((event) => event.kind === 'version.rolled-back')).toMatchObject({
      version: 1,
      error: { code: 'INFERENCE_GOLDEN_MISMATCH' },
      detail: { from: 2 },
    });
    expect(rig.run.servables.loaded()).toEqual(['vad@1']);
  });

  it('once it is good: it is loaded again, and only what keeps failing is replaced', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
    for (let n = 0; n < 3; n += 1) {
      rig.run.servables.fail(two, BROKEN);
      await rig.answers(VAD, 2);
    }
    rig.run.servables.fail(two, BROKEN);
    await rig.answers(VAD, 1);
    expect(await rig.installOf(two)).toBe('bad');
  });

  it('that is the only one there is: it is tried for ever, ever more slowly', async () => {
    const { rig, one } = await serving();
    await rig.close();
    rig.behave(one, BROKEN);
    networkGone(rig, true);
    await rig.start();
    for (let n = 0; n < 300; n += 1) {
      await rig.settled(VAD);
      await rig.clock.advance(1_000);
    }
    expect(await rig.installOf(one)).toBe('good');
    const tries = rig.run.servables.calls.filter((call) => call === 'load vad@1').length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(30);
    rig.behave(one, 'good');
    await rig.answers(VAD, 1);
  });

  it('at a start: the last-known-good takes over, without network', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
    await rig.close();
    rig.behave(two, BROKEN);
    networkGone(rig, true);
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    expect(await rig.installOf(two)).toBe('bad');
  });
});

describe('with a file damaged on the disk', () => {
  it('of what serves: the last-known-good takes over, and the file is fetched again', async () => {
    const { rig, two } = await serving();
    rig.desired.want(two);
    await rig.eventually('version 2 is good', async () => (await rig.installOf(two)) === 'good');
    await writeFile(rig.run.store.blobs.path(two.artifacts[0]!), 'damaged');
    await rig.close();
    rig.behave(two, new SkerryError('INFERENCE_MODEL_INVALID', 'the file is no model'));
    networkGone(rig, true);
    await rig.start();
    expect(await rig.settled(VAD)).toBe(1);
    rig.behave(two, 'good');
    networkGone(rig, false);
    await rig.answers(VAD, 2);
    expect(rig.eventKinds()).not.toContain('version.refused');
  });

  it('of the only version: it is fetched again and serves', async () => {
    const { rig, one } = await serving();
    await rig.run.store.blobs.delete(one.artifacts[0]!);
    await rig.close();
    networkGone(rig, true);
    await rig.start();
    expect(await rig.settled(VAD)).toBeUndefined();
    networkGone(rig, false);
    await rig.answers(VAD, 1);
  });

  it('again and again: the version is given up', async () => {
    const { rig, two } = await serving();
    rig.onMoment = (moment) => {
      if (persisted(2, 'staged')(moment)) rmSync(rig.run.store.blobs.path(two.artifacts[0]!), { force: true });
    };
    rig.desired.want(two);
    await rig.eventually('version 2 is bad', async () => (await rig.installOf(two)) === 'bad');
    expect(rig.events.emitted.find((event) => event.kind === 'version.refused')?.error?.code).toBe('MODELS_NO_PROGRESS');
    expect(await rig.settled(VAD)).toBe(1);
  });
});
