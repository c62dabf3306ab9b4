import { describe, expect, it } from 'vitest';
import { type Progress, progressOf } from '#hub/fleet/decide/progress.js';
import { reportedSchema } from '#shared/protocol/messages.js';
import { reportedOf } from '../../kit/messages.js';

const MANIFEST = 'a'.repeat(64);
const wanted = { model: 'vad', version: 2, manifest: MANIFEST, counter: 5 };
const error = { code: 'MODELS_CRASHED', message: 'm' };
const lacking = { code: 'FEATURE_MISSING', message: 'the manifest needs mirroring' };
const ahead = { code: 'TRUST_SIGNED_IN_FUTURE', message: 'm' };

interface Row {
  readonly title: string;
  readonly counter: number;
  readonly serving?: number | null;
  readonly version?: Readonly<Record<string, unknown>>;
  readonly refused?: typeof error;
  readonly trust?: typeof error;
  readonly expected: Progress;
}

const rows: readonly Row[] = [
  { title: 'has not heard of it', counter: 4, expected: { state: 'waiting' } },
  { title: 'refused the statement', counter: 4, refused: error, expected: { state: 'refused', error } },
  { title: 'judges the statement again once it knows the time', counter: 4, refused: ahead, expected: { state: 'waiting', error: ahead } },
  { title: 'accepted it and has not begun', counter: 5, expected: { state: 'waiting' } },
  { title: 'cannot refresh its trust', counter: 5, trust: error, expected: { state: 'waiting', error } },
  { title: 'fetches', counter: 5, version: { install: 'fetching' }, expected: { state: 'fetching', install: 'fetching' } },
  {
    title: 'fetches and counts',
    counter: 5,
    version: { install: 'fetching', progress: { have: 1, total: 4 } },
    expected: { state: 'fetching', install: 'fetching', percent: 25 },
  },
  { title: 'checks it', counter: 5, version: { install: 'starting' }, expected: { state: 'installing', install: 'starting' } },
  {
    title: 'lacks a feature',
    counter: 5,
    version: { install: 'fetching', error: lacking },
    expected: { state: 'unsupported', install: 'fetching', error: lacking },
  },
  { title: 'cannot read the statement yet', counter: 4, refused: lacking, expected: { state: 'unsupported', error: lacking } },
  { title: 'gave it up', counter: 5, version: { install: 'bad', error }, expected: { state: 'refused', install: 'bad', error } },
  { title: 'will not begin', counter: 5, version: { install: 'wanted', error }, expected: { state: 'refused', install: 'wanted', error } },
  { title: 'gave up an earlier attempt', counter: 4, version: { install: 'bad', error }, expected: { state: 'waiting' } },
  {
    title: 'serves it on probation',
    counter: 5,
    serving: 2,
    version: { install: 'probation' },
    expected: { state: 'serving', install: 'probation' },
  },
  {
    title: 'gave it up and answers with it until the version before is loaded',
    counter: 5,
    serving: 2,
    version: { install: 'bad', error },
    expected: { state: 'refused', install: 'bad', error },
  },
  { title: 'serves it already', counter: 4, serving: 2, version: { install: 'good' }, expected: { state: 'serving', install: 'good' } },
  {
    title: 'has other content under the number',
    counter: 5,
    serving: 2,
    version: { install: 'good', manifest: 'b'.repeat(64) },
    expected: { state: 'waiting' },
  },
];

describe('progressOf', () => {
  it.each(rows)('a device that $title', ({ counter, serving = 1, version, refused, trust, expected }) => {
    const reported = reportedSchema.parse({
      ...reportedOf('d1'),
      desired: { counter, ...(refused === undefined ? {} : { refused }) },
      trust: { root: 1, timestamp: 1, snapshot: 1, ...(trust === undefined ? {} : { error: trust }) },
      models: [{ model: 'vad', serving, versions: version === undefined ? [] : [{ version: 2, manifest: MANIFEST, ...version }] }],
    });
    expect(progressOf(wanted, reported)).toEqual(expected);
  });

  it('a device that has never reported', () => {
    expect(progressOf(wanted, undefined)).toEqual({ state: 'waiting' });
  });
});
