import { describe, expect, it } from 'vitest';
import { currentTarget, type Target } from '#hub/rollouts/adapters/current-target.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { Reported, ReportedVersion } from '#shared/protocol/messages.js';

const model = modelNameSchema.parse('vad');
const target = (version: number): Target => ({
  version: versionNumberSchema.parse(version),
  manifest: digestSchema.parse(String(version).repeat(64)),
});

function report(serving: number | null, versions: readonly Partial<ReportedVersion & { version: number }>[]): Reported {
  const models = [{ model, serving, versions: versions.map((entry) => ({ ...target(entry.version ?? 1), install: 'good', ...entry })) }];
  return { models } as unknown as Reported;
}

describe('what a device is to go back to', () => {
  it('is the newest wish, while the device may still follow it', () => {
    expect(currentTarget(model, target(8), report(6, [{ version: 6 }, { version: 8, install: 'fetching' }] as never))).toEqual(target(8));
    expect(currentTarget(model, target(8), undefined)).toEqual(target(8));
  });

  it('is what it serves, where it refused the wish', () => {
    const error = { code: 'BUNDLE_CHUNK_MISMATCH', message: 'not what was asked for' };
    expect(currentTarget(model, target(8), report(6, [{ version: 6 }, { version: 8, install: 'bad', error }] as never))).toEqual(target(6));
    expect(currentTarget(model, target(8), report(6, [{ version: 6 }, { version: 8, install: 'wanted', error }] as never))).toEqual(
      target(6),
    );
  });

  it('is the wish where it refused it and serves nothing', () => {
    expect(currentTarget(model, target(8), report(null, [{ version: 8, install: 'bad' }] as never))).toEqual(target(8));
  });

  it('is what it serves where nothing was wished', () => {
    expect(currentTarget(model, undefined, report(6, [{ version: 6 }] as never))).toEqual(target(6));
    expect(currentTarget(model, undefined, undefined)).toBeUndefined();
  });
});
