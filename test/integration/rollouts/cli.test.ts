import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubDesk } from '../../kit/hub-cli.js';

const desk = hubDesk();
const { skerry } = desk;
const has = (text: string): string => expect.stringContaining(text) as string;

describe('rollouts from the command line', () => {
  it('keeps cohorts under names', async () => {
    expect(await skerry('cohort', 'save', 'gold', 'tier in (gold),!legacy')).toMatchObject({
      code: 0,
      stdout: 'gold: tier=gold,!legacy\n',
    });
    expect((await skerry('cohort', 'list')).stdout).toContain('tier=gold,!legacy');
    expect(await skerry('cohort', 'save', 'gold', 'tier in (')).toMatchObject({ code: 1, stderr: has('[SELECTOR_INVALID]') });
    expect(await skerry('cohort', 'remove', 'gold')).toMatchObject({ code: 0 });
    expect(await skerry('cohort', 'remove', 'gold')).toMatchObject({ code: 1, stderr: has('[COHORT_UNKNOWN]') });
  });

  it('says everything that is wrong with a document', async () => {
    const file = join(desk.folder, 'bad.yaml');
    await writeFile(file, 'model: VAD\nversion: 0\ncohort: site=lab\nwaves: [0%]\n');
    const bad = await skerry('rollout', 'create', '-f', file);
    expect(bad).toMatchObject({ code: 1, stderr: has('[ROLLOUT_INVALID]') });
    for (const path of ['model', 'version', 'waves.0.percent']) expect(bad.stderr).toContain(path);
    await writeFile(
      file,
      [
        'model: M',
        'version: x',
        "cohort: 'site in ('",
        'waves: [{ percent: 10%, count: 3 }, 200%]',
        'bake: soon',
        'gates: [{ gate: errors, tolerate: 3, ruleOut: 2 }, { gate: "error_rate > 5%" }, { gate: limit, of: latency, atMost: fast }]',
        "schedule: { windows: [{ cron: '99 * * * *', lasts: 1h, timeZone: Mars/Olympus }], start: tomorrow }",
        'onFailure: shrug',
        'colour: red',
      ].join('\n'),
    );
    const all = await skerry('rollout', 'create', '-f', file);
    const paths =
      'model: version: cohort: waves.0: waves.1.percent: bake: gates.0.ruleOut: gates.1.gate: gates.2.atMost: schedule.start: ' +
      'schedule.windows.0.cron: schedule.windows.0.timeZone: onFailure: "colour"';
    for (const path of paths.split(' ')) {
      expect(all.stderr).toContain(path);
    }
    await writeFile(file, 'model: [');
    expect(await skerry('rollout', 'plan', '-f', file)).toMatchObject({ code: 1, stderr: has('not YAML') });
    expect(await skerry('rollout', 'plan', '-f', join(desk.folder, 'none.yaml'))).toMatchObject({
      code: 2,
      stderr: has('file not found'),
    });
  });

  it('says what it needs and what is not there', async () => {
    expect(await skerry('rollout', 'create', 'vad@1', '--all')).toMatchObject({ code: 1, stderr: has('[VERSION_UNKNOWN]') });
    expect(await skerry('rollout', 'create', 'vad@1')).toMatchObject({ code: 2, stderr: has('--to SELECTOR or --all') });
    expect(await skerry('rollout', 'create')).toMatchObject({ code: 2 });
    expect(await skerry('rollout', 'pause', 'nothing-1')).toMatchObject({ code: 1, stderr: has('[ROLLOUT_UNKNOWN]') });
    expect((await skerry('rollout', 'list', '--json')).stdout).toBe('{"rollouts":[]}\n');
  });
});
