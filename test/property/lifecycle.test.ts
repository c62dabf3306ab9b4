import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Parts, type Service } from '#shared/kernel/lifecycle.js';

/** A part of a made-up program, and what goes wrong with it. */
interface PartSpec {
  /** `held`: open when it is added. `service`: open once its start was tried. `apart`: held, and started at the end. */
  readonly kind: 'held' | 'service' | 'apart';
  readonly closeFails: boolean;
}

const specs = fc.array(fc.record({ kind: fc.constantFrom<PartSpec['kind'][]>('held', 'service', 'apart'), closeFails: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
});

function recorded(name: number, log: string[], spec: PartSpec, startFails: boolean): Service {
  const act = async (what: string, fails: boolean): Promise<void> => {
    log.push(what);
    await Promise.resolve();
    if (fails) throw new Error(what);
  };
  return { start: () => act(`start ${name}`, startFails), close: () => act(`close ${name}`, spec.closeFails) };
}

/** Adds the parts in order; the starts of those that start apart come last. */
function addAll(parts: Parts, list: readonly PartSpec[], log: string[], failsAt: number | undefined): void {
  const apart: Service[] = [];
  for (const [index, spec] of list.entries()) {
    const part = recorded(index, log, spec, index === failsAt);
    if (spec.kind === 'service') parts.starts(part);
    else parts.holds(part);
    if (spec.kind === 'apart') apart.push(part);
  }
  for (const part of apart) parts.onStart(() => part.start());
}

function build(list: readonly PartSpec[], failsAt: number | undefined): { readonly parts: Parts; readonly log: string[] } {
  const parts = new Parts();
  const log: string[] = [];
  addAll(parts, list, log, failsAt);
  return { parts, log };
}

const indexes = (list: readonly PartSpec[], ...kinds: readonly PartSpec['kind'][]): number[] =>
  list.flatMap((spec, index) => (kinds.length === 0 || kinds.includes(spec.kind) ? [index] : []));
/** Parts in the order in which they start. */
const starting = (list: readonly PartSpec[]): number[] => [...indexes(list, 'service'), ...indexes(list, 'apart')];

/** What closing logs, and the error that its caller sees. */
function closing(list: readonly PartSpec[], open: readonly number[]): { readonly log: string[]; readonly error: string | undefined } {
  const order = open.toSorted((a, b) => b - a);
  const failing = order.find((index) => list[index]?.closeFails === true);
  return { log: order.map((index) => `close ${index}`), error: failing === undefined ? undefined : `close ${failing}` };
}

const messageOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  );

describe('the parts of a program', () => {
  it('start in order and close in the reverse order; every close is tried, and the first error is what the caller sees', async () => {
    await fc.assert(
      fc.asyncProperty(specs, async (list) => {
        const { parts, log } = build(list, undefined);
        await parts.start();
        expect(log.splice(0)).toEqual(starting(list).map((index) => `start ${index}`));
        const expected = closing(list, indexes(list));
        expect(await messageOf(parts.close())).toBe(expected.error);
        expect(log).toEqual(expected.log);
        expect(await messageOf(parts.close())).toBe(expected.error);
        expect(log).toEqual(expected.log);
        expect(parts.hasFailed).toBe(false);
      }),
    );
  });

  it('that fail to start at any place leave nothing open, and the failure of the start is what the caller sees', async () => {
    await fc.assert(
      fc.asyncProperty(specs, fc.nat(), async (list, at) => {
        const starts = starting(list);
        fc.pre(starts.length > 0);
        const failsAt = starts[at % starts.length]!;
        const { parts, log } = build(list, failsAt);
        expect(await messageOf(parts.start())).toBe(`start ${failsAt}`);
        const started = starts.slice(0, starts.indexOf(failsAt) + 1);
        const open = [...indexes(list, 'held', 'apart'), ...started.filter((index) => list[index]?.kind === 'service')];
        const { log: closes } = closing(list, open);
        expect(log).toEqual([...started.map((index) => `start ${index}`), ...closes]);
        expect(parts.hasFailed).toBe(true);
        log.length = 0;
        await parts.close();
        expect(log).toEqual([]);
      }),
    );
  });

  it('that fail to open at any place leave nothing open', async () => {
    await fc.assert(
      fc.asyncProperty(specs, async (list) => {
        const log: string[] = [];
        const opening = Parts.open(async (parts) => {
          addAll(parts, list, log, undefined);
          await Promise.resolve();
          throw new Error('opening');
        });
        expect(await messageOf(opening)).toBe('opening');
        expect(log).toEqual(closing(list, indexes(list, 'held', 'apart')).log);
      }),
    );
  });

  it('that are closed while they start are closed once the start is done, and never start again', async () => {
    await fc.assert(
      fc.asyncProperty(specs, async (list) => {
        const { parts, log } = build(
          list.map((spec) => ({ ...spec, closeFails: false })),
          undefined,
        );
        const start = parts.start();
        await parts.close();
        await start;
        expect(log).toEqual([
          ...starting(list).map((index) => `start ${index}`),
          ...indexes(list)
            .toReversed()
            .map((index) => `close ${index}`),
        ]);
        await expect(parts.start()).rejects.toMatchObject({ code: 'CLOSED' });
      }),
    );
  });
});
