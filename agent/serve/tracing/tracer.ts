import { AsyncLocalStorage } from 'node:async_hooks';
import { randomFillSync } from 'node:crypto';
import type { InferReply } from '#agent/inference/contract.js';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { shownAddress } from '../access/caller-address.js';
import type { Caller, RequestKind } from '../requests.js';
import { formatTraceparent, isInRatio, parseTraceparent, passedState, type TraceContext } from './decide/trace-context.js';
import type { Attributes, Span } from './otlp.js';

interface TracerDeps {
  /** Takes spans that are over; must not block. */
  readonly sink: { add(span: Span): void };
  /** Share of the traces that begin here which is kept. Others follow the service that began them. */
  readonly ratio: number;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
}

/** What is traced of a request. */
export interface TracedRequest {
  readonly kind: RequestKind;
  readonly what: string;
  readonly model?: string | undefined;
  readonly caller: Caller;
  readonly tell: (name: string, value: string) => void;
}

/** The request under way. */
interface Under {
  readonly context: TraceContext;
  readonly traceState: string | undefined;
  /** Found out while it is under way. */
  attributes: Attributes;
}

/** Makes spans of requests and predictions. A request that is not sampled costs reading its header. */
export class Tracer {
  readonly #deps: TracerDeps;
  readonly #under = new AsyncLocalStorage<Under>();
  readonly #random = Buffer.alloc(4_096);
  #used = 4_096;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
  }

  /** Does the work of a request, as a span of the trace that the client names, or of a new one. `work` gets the id of the trace. */
  async request<Answer>(traced: TracedRequest, work: (traceId: string) => Promise<Answer>): Promise<Answer> {
    const { caller, tell } = traced;
    const parent = parseTraceparent(caller.header('traceparent'));
    const traceId = parent?.traceId ?? this.#id(16);
    const sampled = parent?.sampled ?? isInRatio(traceId, this.#deps.ratio);
    const context = { traceId, spanId: this.#id(8), sampled };
    // Trace Context, Level 2, 4: what a client needs to find our part.
    tell('traceresponse', formatTraceparent(context));
    if (!sampled) return work(traceId);
    const traceState = parent === undefined ? undefined : passedState(caller.header('tracestate'));
    const under: Under = { context, traceState, attributes: {} };
    const end = this.#begin();
    try {
      const answer = await this.#under.run(under, () => work(traceId));
      this.#ended(traced, under, { parent, ...end() }, undefined);
      return answer;
    } catch (cause) {
      const { code, message } = asSkerryError(cause);
      this.#ended(traced, under, { parent, ...end() }, { code, message });
      throw cause;
    }
  }

  /** A prediction of the request under way is over: where its time went, and what answered. */
  predicted({ target, timing }: InferReply): void {
    const under = this.#under.getStore();
    if (under === undefined) return;
    const { model, version, variant, provider } = target;
    const attributes = { 'skerry.model': model, 'skerry.version': version, 'skerry.variant': variant, 'skerry.provider': provider };
    under.attributes = attributes;
    const end = this.#deps.clock.now();
    const computing = end - timing.compute;
    this.#part(under, 'queue', computing - timing.queue, computing, attributes);
    this.#part(under, 'compute', computing, end, attributes);
  }

  #part({ context, traceState }: Under, name: string, start: EpochMillis, end: EpochMillis, attributes: Attributes): void {
    const { traceId, spanId: parentId } = context;
    this.#deps.sink.add({
      traceId,
      spanId: this.#id(8),
      parentId,
      traceState,
      name,
      kind: 'internal',
      start,
      end,
      attributes,
      error: undefined,
    });
  }

  #ended(
    { kind, what, model, caller }: TracedRequest,
    { context, traceState, attributes }: Under,
    { parent, start, end }: { readonly parent: TraceContext | undefined; readonly start: EpochMillis; readonly end: EpochMillis },
    failure: { readonly code: string; readonly message: string } | undefined,
  ): void {
    const { traceId, spanId } = context;
    this.#deps.sink.add({
      traceId,
      spanId,
      parentId: parent?.spanId,
      traceState,
      name: `${kind.api} ${kind.call}`,
      kind: 'server',
      start,
      end,
      attributes: {
        'skerry.api': kind.api,
        'skerry.call': kind.call,
        'skerry.request': what.slice(0, 512),
        'skerry.model': model,
        'client.address': caller.address === undefined ? undefined : shownAddress(caller.address),
        'error.type': failure?.code,
        ...attributes,
      },
      error: failure?.message.slice(0, 512),
    });
  }

  /** Wall clocks jump: the length of a span is that of the monotonic clock. */
  #begin(): () => { readonly start: EpochMillis; readonly end: EpochMillis } {
    const { clock } = this.#deps;
    const began = clock.monotonic();
    const start = clock.now();
    return () => ({ start, end: start + (clock.monotonic() - began) });
  }

  /** An id of so many random bytes; random bytes are drawn for many ids at once. */
  #id(bytes: number): string {
    if (this.#used + bytes > this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    const id = this.#random.toString('hex', this.#used, this.#used + bytes);
    this.#used += bytes;
    // All zeros mean no id (Trace Context 3.2.2.3).
    return /[^0]/.test(id) ? id : this.#id(bytes);
  }
}
