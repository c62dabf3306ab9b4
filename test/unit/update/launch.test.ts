import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { launch } from '#agent/update/launch.js';
import { LAUNCHED_VARIABLE, readLaunched } from '#agent/update/launched.js';
import { SlotFolder } from '#agent/update/slot-folder.js';
import type { SlotName, Slots } from '#agent/update/slots.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import { digestOf } from '#shared/bundle/digest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import { tempFolder } from '../../kit/temp-folder.js';
import { release, slots, trial, watched } from './slots-kit.js';

const WATCH = { boots: 5, maxBoots: 5, attempt: 2, schema: MIGRATIONS.length };

interface Rig {
  readonly folder: SlotFolder;
  readonly env: Record<string, string | undefined>;
  /** Kernel timers set, and programs become or tried to become, in order. */
  readonly acts: string[];
  /** Slots whose executable the system refuses to start. */
  readonly refused: Set<SlotName>;
  readonly content: Readonly<Record<SlotName, ReturnType<typeof digestOf>>>;
  readonly start: () => ReturnType<typeof launch>;
}

async function rig(state?: (digests: Rig['content']) => Slots): Promise<Rig> {
  const folder = new SlotFolder(await tempFolder());
  const acts: string[] = [];
  const refused = new Set<SlotName>();
  const content = { a: digestOf(Buffer.from('release a')), b: digestOf(Buffer.from('release b')) };
  for (const slot of ['a', 'b'] as const) {
    await folder.prepare(slot);
    await writeFile(folder.executable(slot), `release ${slot}`, { mode: 0o755 });
  }
  if (state !== undefined) await folder.write(state(content));
  const program: PackagedProgram = {
    file: '/usr/lib/skerry-agent/skerry-agent',
    natives: 'e'.repeat(64),
    replaceBy: (file, args) => {
      const slot = file.includes(`${path.sep}a${path.sep}`) ? 'a' : 'b';
      acts.push(`become ${slot} ${args.join(' ')}`);
      if (refused.has(slot)) throw new SkerryError('IO_FAILED', 'Exec format error');
    },
    endAfter: (seconds) => void acts.push(`end after ${seconds}`),
    digestOf: (file) => digestOf(readFileSync(file)),
    codeCache: () => 'used',
    sweepNatives: () => undefined,
  };
  const env: Rig['env'] = {};
  const start: Rig['start'] = () => launch({ folder, program, packaged: '0.1.0', args: ['run', '--json'], env });
  return { folder, env, acts, refused, content, start };
}

describe('launching', () => {
  it('goes on as the packaged executable where there are no slots', async () => {
    const { start, acts, env } = await rig();
    expect(await start()).toMatchObject({ runs: 'packaged', launcher: '/usr/lib/skerry-agent/skerry-agent', notes: [] });
    expect(acts).toEqual([]);
    expect(env[LAUNCHED_VARIABLE]).toBeUndefined();
  });

  it('takes off the timer that a release on trial left running when it made room, and goes on as the packaged executable', async () => {
    const { start, acts, env } = await rig(() => slots());
    env[LAUNCHED_VARIABLE] = '{"runs":"a"}';
    expect(await start()).toMatchObject({ runs: 'packaged', notes: [] });
    expect(acts).toEqual(['end after 0']);
    expect(env[LAUNCHED_VARIABLE]).toBeUndefined();
  });

  it('writes the count, arms the kernel timer, then becomes the release on trial', async () => {
    const { start, acts, folder, env } = await rig(({ a, b }) =>
      slots({ good: release('a', { digest: a }), trying: trial('b', { digest: b }) }),
    );
    expect(await start()).toMatchObject({ runs: 'b', notes: [] });
    expect(acts).toEqual(['end after 60', 'become b run --json']);
    expect(await folder.read()).toMatchObject({ trying: { boots: 1 }, refused: null });
    expect(readLaunched(env)).toMatchObject({ runs: 'b', packaged: '0.1.0', launcher: '/usr/lib/skerry-agent/skerry-agent' });
  });

  it('disarms the timer and becomes the good release where the system refuses the one on trial, which is given up', async () => {
    const { start, acts, folder, refused } = await rig(({ a, b }) =>
      slots({ good: release('a', { digest: a }), trying: trial('b', { digest: b }) }),
    );
    refused.add('b');
    expect(await start()).toMatchObject({ runs: 'a', notes: [{ code: 'UPDATE_NOT_STARTED' }] });
    expect(acts).toEqual(['end after 60', 'become b run --json', 'end after 0', 'end after 0', 'become a run --json']);
    expect(await folder.read()).toMatchObject({ trying: null, refused: { version: 9, code: 'UPDATE_NOT_STARTED' }, good: { slot: 'a' } });
  });

  it('goes on as the packaged executable where the system refuses every release', async () => {
    const { start, refused } = await rig(({ a, b }) => slots({ good: release('a', { digest: a }), trying: trial('b', { digest: b }) }));
    refused.add('a').add('b');
    const { runs, notes } = await start();
    expect(runs).toBe('packaged');
    expect(notes.map(({ code }) => code)).toEqual(['UPDATE_NOT_STARTED', 'UPDATE_NOT_STARTED']);
  });

  it('does not start a release on trial that it cannot count, and starts the good one', async () => {
    const { start, acts, folder } = await rig(({ a, b }) =>
      slots({ good: release('a', { digest: a }), trying: trial('b', { digest: b }) }),
    );
    // Stands for a disk that takes no writes, whoever runs this test.
    Object.defineProperty(folder, 'write', { value: () => Promise.reject(new SkerryError('DISK_FULL', 'no space left on device')) });
    expect(await start()).toMatchObject({ runs: 'a', notes: [{ code: 'UPDATE_BOOT_NOT_COUNTED' }] });
    expect(acts).toEqual(['end after 0', 'become a run --json']);
    expect((await folder.read())?.trying?.boots).toBe(0);
  });

  it.each([
    ['no JSON', 'x'],
    ['of another kind', '{"schema":"skerry.slots/9"}'],
    ['empty', ''],
  ])('goes on as the packaged executable with a slot file that is %s', async (_what, text) => {
    const { start, folder } = await rig();
    await writeFile(path.join(folder.folder, 'slot.json'), text);
    expect(await start()).toMatchObject({ runs: 'packaged', notes: [{ code: 'UPDATE_SLOTS_INVALID' }] });
  });

  it('goes on as the packaged executable when a folder stands where a file should', async () => {
    const { start, folder } = await rig();
    await mkdir(path.join(folder.folder, 'slot.json'));
    expect(await start()).toMatchObject({ runs: 'packaged', notes: [{ code: 'UPDATE_SLOTS_INVALID' }] });
  });

  it('notices a release that was changed on the disk', async () => {
    const { start, folder, acts } = await rig(({ a }) => slots({ good: release('a', { digest: a }) }));
    await writeFile(folder.executable('a'), 'release A');
    expect(await start()).toMatchObject({ runs: 'packaged', notes: [{ code: 'UPDATE_FILE_DAMAGED' }] });
    expect(acts).toEqual([]);
  });

  it('writes the count of a good release, then becomes it, with no timer', async () => {
    const { start, acts, folder, content } = await rig(({ a }) => slots({ good: watched('a', 1, { digest: a }) }));
    expect(await start()).toMatchObject({ runs: 'a', notes: [] });
    expect(acts).toEqual(['end after 0', 'become a run --json']);
    expect(await folder.read()).toEqual(slots({ good: watched('a', 2, { digest: content.a }) }));
  });

  it.each([
    ['starts a good release that it cannot count', 1, 'a'],
    ['leaves one that keeps ending although it cannot write so', 5, 'packaged'],
  ])('%s', async (_what, boots, runs) => {
    const { start, folder } = await rig(({ a }) => slots({ good: watched('a', boots, { digest: a, watch: { ...WATCH, boots } }) }));
    Object.defineProperty(folder, 'write', { value: () => Promise.reject(new SkerryError('DISK_FULL', 'no space left on device')) });
    expect(await start()).toMatchObject({ runs, notes: [] });
    expect((await folder.read())?.good?.watch?.boots).toBe(boots);
  });

  it('goes on as the packaged executable where the system refuses the release it goes back to', async () => {
    const { start, refused, folder } = await rig(({ a, b }) =>
      slots({ good: watched('b', 5, { digest: b, watch: WATCH }), before: watched('a', 0, { digest: a, watch: { ...WATCH, boots: 0 } }) }),
    );
    refused.add('a');
    expect(await start()).toMatchObject({ runs: 'packaged', notes: [{ code: 'UPDATE_NOT_STARTED' }] });
    expect(await folder.read()).toMatchObject({ good: { slot: 'a' }, refused: { code: 'UPDATE_CRASH_LOOP' } });
  });

  it('keeps what a later release wrote into the slot file and it does not know', async () => {
    const { start, folder } = await rig(({ b }) => ({
      ...slots({ trying: { ...trial('b', { digest: b }), later: 'more' } }),
      alsoLater: [1],
    }));
    await start();
    expect(await folder.read()).toMatchObject({ alsoLater: [1] });
  });
});

describe('what the launcher says', () => {
  it('is read back by the agent, and anything else is nothing', () => {
    expect(readLaunched({})).toBeUndefined();
    expect(readLaunched({ [LAUNCHED_VARIABLE]: 'x' })).toBeUndefined();
    expect(readLaunched({ [LAUNCHED_VARIABLE]: '{}' })).toBeUndefined();
  });
});
