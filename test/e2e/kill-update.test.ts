import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { affineModel } from '../kit/onnx-models.js';
import type { Answer, Device } from './device.js';
import { World } from './world.js';

const X = [1, 2, 3, 4];
/** What each version answers to `X`. */
const RIGHT: Readonly<Record<number, readonly number[]>> = { 1: [3, 5, 7, 9], 2: [4, 7, 10, 13] };

/**
 * Every moment of an update from version 1 to 2, in order; "after" a step is "before" the next one. A step that is added to
 * the plan makes the first test fail until it stands here.
 */
const UPDATE = [
  'before accept 2',
  'persisted wanted 2',
  'before fetchManifest 2',
  'persisted fetching 2',
  'before fetchArtifact 2 (1)',
  'before fetchArtifact 2 (2)',
  'before verify 2',
  'persisted verifying 2',
  'persisted staged 2',
  'before load 2',
  'persisted starting 2',
  'before switch 2',
  'persisted probation 2',
  'before unload 1',
  'before recheck 2',
  'before markGood 2',
  'persisted good 2',
] as const;

/** And of going back from a version that took the agent down while it was on probation. */
const GOING_BACK = ['before markBad 2', 'persisted bad 2', 'before load 1', 'persisted good 1', 'before rollBack 1'] as const;

describe('kill -9 at every step of an update (R2)', () => {
  let world: World;
  /** Two devices, so that two updates can go on at once: a device can be in a fleet only once. */
  const bases: Device[] = [];
  /** Names of moments as the agent says them, by the names above: files go by their digests there. */
  const names = new Map<string, string>();

  beforeAll(async () => {
    world = await World.start();
    for (const name of ['d1', 'd2']) bases.push(await world.enrol(name));
    await world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await world.deploy('m@1');
    await Promise.all(bases.map((device) => device.start()));
    await Promise.all(bases.map((device) => device.installed('m', 1, 'good')));
    await Promise.all(bases.map((device) => device.stop()));
    await world.publish('m', 2, affineModel({ scale: 3 }), ['--samples', '1']);
    await world.deploy('m@2');
  });
  afterAll(() => world.close());

  it('goes through the moments listed here, and no others', async () => {
    const [base] = bases as [Device];
    const device = await world.copyOf(base, 'traced');
    const trace = path.join(world.folder, 'trace');
    await device.start({ faults: { trace } });
    await device.installed('m', 2, 'good');
    await device.stop();
    const moments = (await readFile(trace, 'utf8')).trim().split('\n');
    const before = moments.filter((moment) => /^(before|persisted) \w+ 2|unload/.test(moment) && !moment.startsWith('after'));
    let file = 0;
    for (const moment of before) names.set(moment.includes('fetchArtifact') ? `before fetchArtifact 2 (${++file})` : moment, moment);
    expect([...names.keys()]).toEqual(UPDATE);
  });

  it('serves the old or the new version at once without a hub, then ends with the new one', async () => {
    const outcomes = await overBoth(bases, UPDATE, survive);
    expect(outcomes).toEqual(UPDATE.map((moment) => ({ moment, ended: 128, atOnce: 'right', last: 2, says: RIGHT[2], serving: 2 })));
  });

  async function survive(base: Device, moment: (typeof UPDATE)[number]): Promise<object> {
    const device = await world.copyOf(base, moment.replaceAll(/\W/g, '-'));
    const ended = await device.launch({ faults: { killAt: names.get(moment) ?? moment } }).exited;

    device.cable.cut();
    await device.start();
    const first = await device.answered('m', X);

    device.cable.join();
    await device.installed('m', 2, 'good');
    const last = await device.predict('m', X);
    const serving = await device.serving('m');
    await device.kill();
    return { moment, ended, atOnce: judged(moment, first), last: last.version, says: last.y, serving };
  }

  it('serves without a hub when it is killed at every step of going back', async () => {
    const trials: Device[] = [];
    for (const [index, base] of bases.entries()) {
      const trial = await world.copyOf(base, `trial-${index}`);
      await trial.launch({ faults: { killAt: 'persisted probation 2' } }).exited;
      trial.cable.cut();
      trials.push(trial);
    }
    const outcomes = await overBoth(trials, GOING_BACK, goBack);
    expect(outcomes).toEqual(
      GOING_BACK.map((moment) => ({ moment, ended: 128, says: RIGHT[1], install: 'bad', code: 'MODELS_CRASHED', serving: 1 })),
    );
  });

  async function goBack(trial: Device, moment: (typeof GOING_BACK)[number]): Promise<object> {
    const device = await world.copyOf(trial, moment.replaceAll(/\W/g, '-'));
    const args = ['--max-boots', '1'];
    const ended = await device.launch({ args, faults: { killAt: moment } }).exited;
    await forgetWitness(device);
    await device.start({ args });
    const { y: says } = await device.answeredBy('m', 1, X);
    const given = await device.version('m', 2);
    const serving = await device.serving('m');
    await device.kill();
    return { moment, ended, says, install: given?.install, code: given?.error?.code, serving };
  }
});

/**
 * As where nobody can say whose native code ran when the agent ended: then its end counts for the version on trial, as here it is to.
 * What is known to have ended at another moment is forgiven.
 */
async function forgetWitness(device: Device): Promise<void> {
  for (const name of await readdir(device.data)) if (name.endsWith('.witness')) await rm(path.join(device.data, name));
}

/** Works a list off with both devices at once; the outcomes come in the order of the list. */
async function overBoth<T>(
  devices: readonly Device[],
  list: readonly T[],
  work: (device: Device, item: T) => Promise<object>,
): Promise<object[]> {
  const outcomes: object[] = [];
  const queue = [...list.entries()];
  await Promise.all(
    devices.map(async (device) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) outcomes[next[0]] = await work(device, next[1]);
    }),
  );
  return outcomes;
}

/** The switch is one transaction: before it the old version serves, after it the new one; what lies complete on the disk may go on. */
function judged(moment: (typeof UPDATE)[number], { version, y }: Answer): string {
  const right = versionsAllowed(moment).includes(version) && JSON.stringify(y) === JSON.stringify(RIGHT[version]);
  return right ? 'right' : `version ${version} said ${y.join(' ')}`;
}

function versionsAllowed(moment: (typeof UPDATE)[number]): readonly number[] {
  const at = UPDATE.indexOf(moment);
  if (at >= UPDATE.indexOf('persisted probation 2')) return [2];
  return at >= UPDATE.indexOf('before verify 2') ? [1, 2] : [1];
}
