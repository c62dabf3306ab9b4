import { z } from 'zod';
import type { Form } from './form.js';

type Forms = Readonly<Record<string, Form>>;
type ObservedOf<F> = F extends Form<infer O, infer _V, infer _W, infer _S> ? O : never;
type ValueOf<F> = F extends Form<infer _O, infer V, infer _W, infer _S> ? V : never;
type WireOf<F> = F extends Form<infer _O, infer _V, infer W, infer _S> ? W : never;
type ViewOf<F> = F extends Form<infer _O, infer _V, infer _W, infer S> ? S : never;

type Members<M extends Forms> = Form<
  { readonly [K in keyof M]?: ObservedOf<M[K]> },
  { readonly [K in keyof M]: ValueOf<M[K]> },
  { [K in keyof M]: WireOf<M[K]> },
  { [K in keyof M]: ViewOf<M[K]> }
>;

/** Several sums that belong together: what was wrong, of how many. What one measurement does not name stays as it is. */
export function members<M extends Forms>(of: M): Members<M>;
export function members(of: Forms): Form<Forms, Readonly<Record<string, unknown>>, Record<string, unknown>, Record<string, unknown>> {
  const entries = Object.entries(of);
  const each = (make: (form: Form, name: string) => unknown): Record<string, unknown> =>
    Object.fromEntries(entries.map(([name, form]) => [name, make(form, name)]));
  const shape = (schema: (form: Form) => z.ZodType) => Object.fromEntries(entries.map(([name, form]) => [name, schema(form)]));
  return {
    kind: 'members',
    wire: z.object(shape((form) => form.wire)),
    view: z.object(shape((form) => form.view)),
    empty: () => each((form) => form.empty()),
    is: (value): value is Record<string, unknown> => typeof value === 'object' && value !== null,
    add: (value, observed) => each((form, name) => (observed[name] === undefined ? value[name] : form.add(value[name], observed[name]))),
    merge: (into, from) => each((form, name) => form.merge(into[name], from[name])),
    pack: (value) => each((form, name) => form.pack(value[name])),
    unpack: (wire) => each((form, name) => form.unpack(wire[name])),
    counts: (value) => entries.flatMap(([name, form]) => form.counts(value[name])),
    show: (value) => each((form, name) => form.show(value[name], 0)),
    samples: (value, { part, ...options }) => entries.flatMap(([name, form]) => (name === part ? form.samples(value[name], options) : [])),
  };
}

/** One measurement under a name. */
export interface Named<Observed> {
  readonly name: string;
  readonly observed: Observed;
}

/** A sum for each name that comes up, at most `most` of them: names beyond that are left out, whichever came first. */
export function named<O, V, W, S>(
  form: Form<O, V, W, S>,
  key: z.ZodType<string, string>,
  most: number,
): Form<Named<O>, Map<string, V>, Record<string, W>, Record<string, S>> {
  const into = (value: Map<string, V>, name: string, change: (sum: V) => V): Map<string, V> => {
    const known = value.get(name);
    if (known === undefined && value.size >= most) return value;
    return value.set(name, change(known ?? form.empty()));
  };
  const mapped = <T>(value: ReadonlyMap<string, V>, change: (sum: V) => T): Record<string, T> =>
    Object.fromEntries([...value].map(([name, sum]) => [name, change(sum)]));
  return {
    kind: 'named',
    each: form,
    wire: z.record(key, form.wire).refine((record) => Object.keys(record).length <= most, `at most ${most} entries`),
    view: z.record(z.string(), form.view),
    empty: () => new Map(),
    is: (value): value is Map<string, V> => value instanceof Map,
    add: (value, { name, observed }) => into(value, name, (sum) => form.add(sum, observed)),
    merge(value, from) {
      for (const [name, other] of from) into(value, name, (sum) => form.merge(sum, other));
      return value;
    },
    pack: (value) => mapped(value, (sum) => form.pack(sum)),
    unpack: (wire) => new Map(Object.entries(wire).map(([name, sum]) => [name, form.unpack(sum)])),
    counts: (value) => [...value.values()].flatMap((sum) => form.counts(sum)),
    show: (value, zero) => mapped(value, (sum) => form.show(sum, zero)),
    samples: (value, options) =>
      [...value].flatMap(([name, sum]) => form.samples(sum, { ...options, labels: { ...options.labels, name } })),
  };
}
