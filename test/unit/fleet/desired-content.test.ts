import { describe, expect, it } from 'vitest';
import { contentHash, desiredModels, isDue } from '#hub/fleet/decide/desired-content.js';
import { lackingFeatures } from '#shared/bundle/features.js';
import { effectiveLabels } from '#hub/fleet/labels.js';
import { reportedSupersedes } from '#hub/fleet/decide/reported.js';
import { inWindow } from '#hub/fleet/window.js';

const row = (model: string, version = 1, attempt = 0) => ({
  device: 'd1',
  model,
  version,
  manifest_digest: 'a'.repeat(64),
  attempt,
  source: 'deployment:1',
  decided_at: 1,
});
const policy = { validity: 30, renewBefore: 10 };
const at = { now: 100, keyId: 'k' };

describe('desired content', () => {
  it('is the same whatever order and source the wishes have', () => {
    const one = desiredModels([row('b'), row('a')]);
    const two = desiredModels([{ ...row('a'), source: 'rollout:9', decided_at: 7 }, row('b')]);
    expect(contentHash(one)).toBe(contentHash(two));
    expect(contentHash(one)).not.toBe(contentHash(desiredModels([row('a'), row('b', 1, 1)])));
  });

  const models = desiredModels([row('a')]);
  const issued = { content_sha256: contentHash(models), key_id: 'k', issued_at: 90, expires_at: 130 };
  it.each([
    ['nothing wanted, nothing issued', undefined, [], false],
    ['something wanted, nothing issued', undefined, models, true],
    ['the same', issued, models, false],
    ['nothing wanted any more', issued, [], true],
    ['other content', issued, desiredModels([row('a', 2)]), true],
    ['near its end', { ...issued, expires_at: 110 }, models, true],
    ['18 D: dated far ahead', { ...issued, issued_at: 1e12 }, models, true],
    ['another key', { ...issued, key_id: 'j' }, models, true],
  ] as const)('%s', (_title, before, now, due) => {
    expect(isDue(before, now, at, policy)).toBe(due);
  });
});

describe('reportedSupersedes', () => {
  it.each([
    ['the first', undefined, { boot: 1, at: 5 }, true, true],
    ['an older boot', { boot: 2, at: 5 }, { boot: 1, at: 9 }, false, false],
    ['a newer boot with a clock set back', { boot: 1, at: 9 }, { boot: 2, at: 5 }, true, true],
    ['live, with a clock set back', { boot: 1, at: 9 }, { boot: 1, at: 5 }, false, true],
    ['replayed and older', { boot: 1, at: 9 }, { boot: 1, at: 5 }, true, false],
    ['replayed and the same', { boot: 1, at: 9 }, { boot: 1, at: 9 }, true, false],
    ['replayed and newer', { boot: 1, at: 5 }, { boot: 1, at: 9 }, true, true],
    ['another start with a lower number', { boot: 50, bootId: 'a', at: 9 }, { boot: 31, bootId: 'b', at: 5 }, false, true],
    ['the same start, replayed and older', { boot: 1, bootId: 'a', at: 9 }, { boot: 1, bootId: 'a', at: 5 }, true, false],
  ] as const)('%s', (_title, known, message, replayed, expected) => {
    expect(reportedSupersedes(known, message, replayed)).toBe(expected);
  });
});

describe('effectiveLabels', () => {
  it('lets the hub set and take away', () => {
    expect(effectiveLabels({ site: 'lab', legacy: 'yes' }, { site: 'field', legacy: null, tier: 'gold' })).toEqual({
      site: 'field',
      tier: 'gold',
    });
  });
});

describe('inWindow', () => {
  it('keeps at most the width under way and does everything', async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await inWindow([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      done.push(item);
    });
    expect(most).toBe(3);
    expect(done).toHaveLength(7);
  });

  it('takes nothing new after a failure', async () => {
    const begun: number[] = [];
    const task = async (item: number): Promise<void> => {
      begun.push(item);
      await Promise.resolve();
      if (item === 2) throw new Error('two');
    };
    await expect(inWindow([1, 2, 3, 4, 5, 6], 2, task)).rejects.toThrow('two');
    expect(begun).not.toContain(6);
  });
});

describe('an entry of a kind that not every agent knows', () => {
  it('requires the kind by name, so that an agent which lacks it refuses it as "this device cannot"; a model requires nothing', () => {
    const [model, release] = desiredModels([row('a'), row('skerry-agent', 2)]);
    expect(release?.requires).toEqual(['kind-agent']);
    expect(model).not.toHaveProperty('requires');
    expect(lackingFeatures(release?.requires)).toEqual([]);
    expect(lackingFeatures(release?.requires, ['any-shape'])).toEqual(['kind-agent']);
  });
});
