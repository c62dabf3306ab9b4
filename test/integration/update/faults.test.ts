import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf } from '#shared/bundle/digest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { bytesFrom } from '../../kit/agent-store.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { BAKE, type ReleaseBehaviour, UpdateRig } from '../../kit/update-rig.js';

const BEFORE = ['accept', 'fetchManifest', 'fetchExecutable', 'place', 'stage', 'handOver'];
/** Every moment of an update that ends well, and of one that ends badly; a step that is added makes a test fail until it is here. */
const MOMENTS: Readonly<Record<ReleaseBehaviour, readonly string[]>> = {
  good: [...BEFORE, 'beginTrial', 'conclude', 'forget'],
  crash: [...BEFORE, 'adopt'],
  deaf: [...BEFORE, 'beginTrial', 'goBack', 'adopt'],
  'no-models': [...BEFORE, 'beginTrial', 'goBack', 'adopt'],
  'not-a-program': [...BEFORE, 'adopt'],
};
const CODES: Readonly<Record<ReleaseBehaviour, string | undefined>> = {
  good: undefined,
  crash: 'UPDATE_EXITED',
  deaf: 'UPDATE_NOT_CONNECTED',
  'no-models': 'UPDATE_MODELS_FAILED',
  'not-a-program': 'UPDATE_NOT_STARTED',
};
const BEHAVIOURS = Object.keys(MOMENTS) as readonly ReleaseBehaviour[];
const vad = { model: modelName('vad'), version: versionNumber(1), manifest: digestOf(Buffer.from('vad')) };

/** A device that runs release 2 from slot a, and is then told to run release 3; `killAt`: killed at that moment of it. */
async function updated(behaviour: ReleaseBehaviour, killAt?: string): Promise<UpdateRig> {
  const rig = await UpdateRig.create();
  const two = rig.release(2, 'good');
  rig.desired.want(vad, two);
  await rig.start();
  await rig.settled(2, 'good');
  rig.ran.length = 0;
  rig.moments.length = 0;
  // Before it is told: its first step may be over by the time anybody looks again.
  if (killAt !== undefined) rig.killAt(killAt);
  rig.desired.want(vad, rig.release(3, behaviour));
  return rig;
}

const expectedEnd = (behaviour: ReleaseBehaviour): object =>
  behaviour === 'good'
    ? { good: { slot: 'b', version: 3 }, trying: null, refused: null }
    : { good: { slot: 'a', version: 2 }, trying: null, refused: null };

describe.each(BEHAVIOURS)('a release that is %s', (behaviour) => {
  const ends = behaviour === 'good' ? 'good' : 'bad';

  it('goes through the steps listed here, and no others', async () => {
    const rig = await updated(behaviour);
    await rig.settled(3, ends);
    expect(rig.moments.filter((moment) => moment.startsWith('before')).map((moment) => moment.slice(7))).toEqual(MOMENTS[behaviour]);
    expect(rig.reported(3)?.error?.code).toBe(CODES[behaviour]);
    expect(await rig.state()).toMatchObject(expectedEnd(behaviour));
    expect(rig.ran.filter((each) => each === 'packaged')).toEqual([]);
    // Tried only as often as it may be, then never again.
    expect(rig.ran.filter((each) => each === '3').length).toBe(
      { good: 1, crash: 3, deaf: 1, 'no-models': 1, 'not-a-program': 0 }[behaviour],
    );
  });

  // What is after one step is before the next; the last has none.
  it.each([...MOMENTS[behaviour].map((step) => `before ${step}`), `after ${MOMENTS[behaviour].at(-1)}`])(
    'ends the same when killed %s',
    async (moment) => {
      const rig = await updated(behaviour, moment);
      const good = bytesFrom('agent 2', 10_000);
      await rig.settled(3, ends);
      expect(await rig.state()).toMatchObject(expectedEnd(behaviour));
      expect((await readFile(rig.slots.executable('a'))).equals(good)).toBe(true);
      expect(rig.reported(3)?.error?.code).toBe(CODES[behaviour]);
      const told = rig.events.emitted.filter(({ kind, version }) => kind === 'version.refused' && version === 3);
      expect(told.length).toBe(behaviour === 'good' ? 0 : 1);
    },
  );
});

describe('a device', () => {
  it('tries a bad release again only under another attempt', async () => {
    const rig = await updated('crash');
    await rig.settled(3, 'bad');
    rig.ran.length = 0;
    const three = rig.desired.current()?.models.find(({ model }) => model === 'skerry-agent');
    rig.desired.want(vad, { ...vad, ...three });
    await rig.clock.advance(10 * BAKE);
    await rig.run.updater.idle();
    expect(rig.ran).toEqual([]);
    if (three !== undefined) rig.desired.want(vad, { ...three, attempt: 1 });
    await rig.eventually('another trial', () => rig.ran.includes('3'));
  });

  it('that was offline before waits for its network, and is not held to restarts meanwhile', async () => {
    const rig = await updated('good');
    rig.hub.beforePiece = () => {
      rig.online = false;
    };
    await rig.eventually('the trial', () => rig.run.launched.runs === 'b');
    await rig.clock.advance(5 * BAKE);
    await rig.run.updater.idle();
    expect((await rig.state())?.trying).toMatchObject({ version: 3, boots: 0, wasOnline: false });
    for (let restarts = 0; restarts < 4; restarts += 1) {
      await rig.start();
      await rig.clock.advance(2 * BAKE);
      await rig.run.updater.idle();
    }
    rig.online = true;
    await rig.start();
    await rig.settled(3, 'good');
  });

  it('counts no start that ended in an orderly way', async () => {
    const rig = await updated('good');
    await rig.eventually('the trial', () => rig.run.launched.runs === 'b');
    expect((await rig.state())?.trying?.boots).toBe(1);
    await rig.stop();
    expect((await rig.state())?.trying?.boots).toBe(0);
  });

  it('winds the kernel timer up while a release is on trial, and takes it off a good one', async () => {
    const rig = await updated('good');
    await rig.eventually('the trial', () => rig.run.launched.runs === 'b');
    await rig.clock.advance(BAKE / 2);
    expect(rig.timers.filter((seconds) => seconds === 30).length).toBeGreaterThan(2);
    await rig.settled(3, 'good');
    expect(rig.timers.at(-1)).toBe(0);
    const before = rig.timers.length;
    await rig.clock.advance(BAKE);
    expect(rig.timers.length).toBe(before);
  });

  it('winds it up no more once it does not do its work', async () => {
    const rig = await updated('good');
    await rig.eventually('the trial', () => rig.run.launched.runs === 'b');
    rig.alive = false;
    await rig.clock.advance(BAKE / 2);
    const before = rig.timers.length;
    await rig.clock.advance(BAKE / 4);
    expect(rig.timers.length).toBe(before);
    expect((await rig.state())?.trying).not.toBeNull();
  });

  it('goes back from a trial that is no longer wanted, and holds nothing against the release', async () => {
    const rig = await updated('deaf');
    const [two] = [rig.release(2, 'good')];
    await rig.eventually('the trial', () => rig.run.launched.runs === 'b');
    rig.desired.want(vad, two);
    await rig.eventually('release 2', () => rig.run.launched.runs === 'a');
    await rig.eventually('release 3 to be forgotten', () => rig.reported(3) === undefined);
    await rig.settled(2, 'good');
  });

  it('goes back to the release before at once, without fetching it again', async () => {
    const rig = await updated('good');
    await rig.settled(3, 'good');
    const sent = rig.hub.sent.length;
    rig.desired.want(vad, rig.release(2, 'good'));
    await rig.settled(2, 'good');
    const [artifact] = rig.release(2, 'good').artifacts;
    expect(rig.hub.sent.slice(sent).filter((piece) => piece.startsWith(artifact ?? '-'))).toEqual([]);
    expect(await rig.state()).toMatchObject({ good: { slot: 'a', version: 2 } });
  });

  it('does not hand over while nothing can be counted, and stays with the good release', async () => {
    const rig = await updated('good');
    rig.diskFull = true;
    await rig.clock.advance(20 * BAKE);
    await rig.run.updater.idle();
    expect(rig.ran).toEqual([]);
    expect(rig.run.launched.runs).toBe('a');
    rig.diskFull = false;
    await rig.settled(3, 'good');
  });

  it('comes back to the good release when the disk fills up between hand-over and start, and tries later', async () => {
    const rig = await updated('good');
    rig.onMoment = (name) => {
      if (name === 'after handOver') rig.diskFull = true;
    };
    await rig.eventually('the start after the hand-over', () => rig.ran.length > 0);
    expect(rig.ran).toEqual(['2']);
    rig.onMoment = () => undefined;
    rig.diskFull = false;
    await rig.settled(3, 'good');
  });

  it('resumes a download, and asks for what it lacks only', async () => {
    const rig = await updated('good');
    rig.hub.fetchError = undefined;
    let pieces = 0;
    rig.hub.beforePiece = () => {
      pieces += 1;
      if (pieces === 3) throw new SkerryError('SYNC_OFFLINE', 'the link broke');
    };
    await rig.settled(3, 'good');
    expect(new Set(rig.hub.sent).size).toBe(rig.hub.sent.length);
  });
});

describe('a device that cannot take a release', () => {
  it.each([
    ['there is none for its platform', { arch: 'arm64' } as const, 'UPDATE_NO_VARIANT'],
    ['it takes over from a later one only', { takesOverFrom: 3 }, 'UPDATE_CANNOT_TAKE_OVER'],
  ])('says so when %s', async (_what, options, code) => {
    const rig = await updated('good');
    rig.desired.want(vad, rig.release(4, 'good', options));
    await rig.settled(4, 'bad');
    expect(rig.reported(4)?.error?.code).toBe(code);
    expect(rig.run.launched.runs).toBe('a');
  });

  it('refuses what no trusted publisher signed, and what is below the minimum', async () => {
    const rig = await updated('good');
    const four = rig.release(4, 'good');
    rig.hub.targets.clear();
    rig.desired.want(vad, four);
    await rig.settled(4, 'bad');
    expect(rig.reported(4)?.error?.code).toBe('MODELS_NOT_TRUSTED');
    rig.hub.minimums.set('skerry-agent', 10);
    rig.desired.want(vad, rig.release(5, 'good'));
    await rig.settled(5, 'bad');
    expect(rig.reported(5)?.error?.code).toBe('MODELS_BELOW_MINIMUM');
    expect(await rig.state()).toMatchObject({ good: { version: 2 } });
  });
});

describe('damage on the disk', () => {
  it.each([
    ['the slot file is no JSON', (rig: UpdateRig) => writeFile(path.join(rig.slots.folder, 'slot.json'), '{'), 'UPDATE_SLOTS_INVALID'],
    ['the good executable has changed', (rig: UpdateRig) => writeFile(rig.slots.executable('a'), 'other'), 'UPDATE_FILE_DAMAGED'],
    ['the good executable is gone', (rig: UpdateRig) => rm(rig.slots.executable('a')), 'UPDATE_FILE_DAMAGED'],
  ])('ends with the packaged agent, a report, and the wanted release again: %s', async (_what, damage, code) => {
    const rig = await UpdateRig.create();
    rig.desired.want(vad, rig.release(2, 'good'));
    await rig.start();
    await rig.settled(2, 'good');
    await rig.stop();
    await chmod(rig.slots.executable('a'), 0o755);
    await damage(rig);
    rig.ran.length = 0;
    await rig.start();
    expect(rig.ran).toEqual(['packaged']);
    expect(rig.events.emitted.filter(({ error }) => error?.code === code).length).toBe(1);
    await rig.eventually('the release to run again', () => rig.run.launched.runs !== 'packaged');
    await rig.settled(2, 'good');
  });
});
