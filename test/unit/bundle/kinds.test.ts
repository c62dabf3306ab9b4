import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FEATURES, lackingFeaturesOfManifest, requiredFeatures } from '#shared/bundle/features.js';
import {
  byKind,
  featureOfKind,
  isOfLaterKind,
  kindNamed,
  kindRow,
  manifestPattern,
  manifestTargetPath,
  modelOfTarget,
  VERSION_KINDS,
} from '#shared/bundle/kinds.js';
import { modelNameSchema } from '#shared/bundle/names.js';

const names = fc.oneof(
  fc.constant('skerry-agent'),
  fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}[a-z0-9]$/).filter((name) => modelNameSchema.safeParse(name).success),
);

describe('the table of kinds of versions', () => {
  it('a target path leads back to its model, and no pattern reaches a version of another one', () => {
    fc.assert(
      fc.property(names, names, fc.integer({ min: 1, max: 1e9 }), (model, other, version) => {
        const path = manifestTargetPath(model, version);
        expect(modelOfTarget(path)).toBe(model);
        expect(isOfLaterKind(path)).toBe(false);
        // "*" does not cross "/" (TUF 4.5).
        const pattern = new RegExp(`^${manifestPattern(other).replaceAll('.', '\\.').replace('*', '[^/]*')}$`);
        expect(pattern.test(path)).toBe(model === other);
      }),
    );
  });

  it('a path of a later kind is of no model', () => {
    for (const path of ['runner/3.json', 'pipelines/p/1.json', 'constructor/1.json', '']) {
      expect([path, modelOfTarget(path), isOfLaterKind(path)]).toEqual([path, '', true]);
    }
  });

  it('each kind has a folder, a name or none, and a feature of its own', () => {
    const rows = Object.values(VERSION_KINDS);
    expect(new Set(rows.map(({ folder }) => folder)).size).toBe(rows.length);
    for (const kind of Object.keys(VERSION_KINDS)) expect(FEATURES).toContain(featureOfKind(kind));
    expect([kindNamed('vad'), kindNamed('skerry-agent')]).toEqual(['model', 'agent']);
    expect([kindRow('vad').firstVersion, kindRow('skerry-agent').firstVersion]).toEqual([1, 2]);
  });

  it('a manifest that names its kind requires it, and an unknown kind is lacking by name, whatever else the manifest says', () => {
    expect(requiredFeatures({ requires: ['a'], kind: 'agent' })).toEqual(['a', 'kind-agent']);
    expect(lackingFeaturesOfManifest({ kind: 'agent' })).toEqual([]);
    expect(lackingFeaturesOfManifest({})).toEqual([]);
    expect(lackingFeaturesOfManifest({ kind: 'constructor', requires: 7 })).toEqual(['kind-constructor']);
    expect(lackingFeaturesOfManifest({ kind: 'pipeline', requires: ['mirroring'] })).toEqual(['mirroring', 'kind-pipeline']);
  });

  it('rows are chosen by kind; parts that name none are of a model', () => {
    const table = { model: () => 'model', agent: ({ kind }: { kind: 'agent' }) => kind };
    expect([byKind({}, table), byKind({ kind: 'agent' as const }, table)]).toEqual(['model', 'agent']);
  });
});
