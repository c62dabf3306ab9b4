import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { compareOutputs } from '#shared/tensor/compare.js';
import { namedTensors, type NamedTensors, tensorNamed } from '#shared/tensor/tensor.js';
import { callersError, causeOf, type KnownInputs, knownInputs, memoryCauseOf, works } from '../faults/failure-cause.js';
import type { FromInstance, SampleResult, ToInstance } from './instance-protocol.js';
import { NativeWitness } from '../faults/native-witness.js';
import { describeOrt, loadOrt, OrtSession, wakeOrt } from './ort-session.js';
import { median } from './timing.js';

/** No further run is begun to find the cause of a failure after so long: others wait, and what cannot be told stays the model's. */
const CAUSE_BUDGET: Millis = 2000;

type Request = Exclude<ToInstance, { readonly kind: 'close' }>;

/** Where the messages of an instance come from and its answers go to. */
interface InstancePort {
  onMessage(listener: (message: ToInstance) => void): void;
  post(message: FromInstance): void;
  /** No message follows; the thread or process ends once its answers are delivered. */
  close(): void;
}

/** Answers what comes over `port` until it is told to close. */
export function hostInstance(port: InstancePort): void {
  const host = new InstanceHost(port);
  port.onMessage((message) => host.take(message));
}

/**
 * The inside of an instance: one session, one request at a time, in the order they came.
 * INVARIANTS: nothing of the runtime runs once the port is closed: a thread that is stopped inside the runtime takes the
 * whole process with it, so the main thread asks for `close` and waits. In a thread, native code that runs is written down first.
 */
class InstanceHost {
  readonly #port: InstancePort;
  #session: OrtSession | undefined;
  /** Inputs of the first golden sample that came out right. */
  #known: KnownInputs | undefined;
  #witness: NativeWitness | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(port: InstancePort) {
    this.#port = port;
  }

  take(message: ToInstance): void {
    this.#tail = this.#tail.then(() => this.#take(message));
  }

  async #take(message: ToInstance): Promise<void> {
    if (message.kind === 'close') {
      await this.#session?.close();
      this.#session = undefined;
      this.#witness?.close();
      this.#port.close();
      return;
    }
    const answer = await this.#answer(message).catch((cause: unknown): FromInstance => {
      return { kind: 'failed', id: message.id, error: asSkerryError(cause).toBody() };
    });
    this.#witness?.left();
    this.#port.post(answer);
    // What goes wrong here will go wrong with the first model, and is told then.
    if (answer.kind === 'described') await wakeOrt(await loadOrt()).catch(() => undefined);
  }

  async #answer(message: Request): Promise<FromInstance> {
    const { id } = message;
    switch (message.kind) {
      case 'describe':
        return { kind: 'described', id, description: await describeOrt(await loadOrt()) };
      case 'load': {
        this.#witness ??= message.witness === undefined ? undefined : NativeWitness.open(message.witness, message.of);
        this.#witness?.entered('load');
        const { file, provider, threads, outputs: offered, replaced } = message;
        this.#session = await OrtSession.open(await loadOrt(), file, provider, threads, { offered, replaced });
        return { kind: 'loaded', id, inputs: this.#session.inputs, outputs: this.#session.outputs };
      }
      case 'check':
        if (message.copy === true) this.#witness?.entered('run', message.inputs);
        else this.#witness?.entered('load');
        return { kind: 'checked', id, result: await this.#check(message) };
      case 'run':
        break;
    }
    this.#witness?.entered('run', message.inputs);
    const started = performance.now();
    const outputs = await this.#run(message);
    return { kind: 'ran', id, outputs, compute: performance.now() - started };
  }

  /** Runs a request; a failure that what its caller sent caused is told as such. */
  async #run({ inputs, outputs }: Extract<ToInstance, { readonly kind: 'run' }>): Promise<NamedTensors> {
    const session = this.#loaded();
    const began = performance.now();
    try {
      return await session.run(inputs, outputs);
    } catch (thrown) {
      const memory = hasCode(thrown, 'INFERENCE_OUT_OF_MEMORY');
      if (!(memory || hasCode(thrown, 'INFERENCE_RUN_FAILED')) || this.#known === undefined) throw thrown;
      // Experiments would take as long, and the instance would count as stuck.
      if (performance.now() - began > CAUSE_BUDGET) throw thrown;
      const until = performance.now() + CAUSE_BUDGET;
      const late = (): boolean => performance.now() > until;
      const again = (changed: NamedTensors): Promise<unknown> => (late() ? Promise.reject(thrown) : session.run(changed, outputs));
      const cause = await (memory ? memoryCauseOf : causeOf)(again, inputs, this.#known);
      if (cause.kind === 'model') throw thrown;
      // Memory may be short for a moment: a request is to blame for it only where it needs too much every time.
      if (memory && (late() || (await works(again, inputs)))) throw thrown;
      throw callersError(thrown, cause, inputs);
    }
  }

  /** Runs a golden sample, compares, and runs it again for the time it takes once warm. */
  async #check(message: Extract<ToInstance, { readonly kind: 'check' }>): Promise<SampleResult> {
    const session = this.#loaded();
    const began = performance.now();
    const names = Object.keys(message.expected);
    const actual = await session.run(message.inputs, names);
    const times = [performance.now() - began];
    const comparison = compareOutputs(message.expected, actual, message.tolerance);
    if (comparison.agrees && message.copy !== true) this.#known ??= knownInputs(message.inputs, session.inputs);
    if (!comparison.agrees) return { comparison, output: disagreeing(message.expected, actual, message.tolerance), millis: median(times) };
    while (times.length <= message.runs && performance.now() - began < message.budget) {
      const started = performance.now();
      await session.run(message.inputs, names);
      times.push(performance.now() - started);
    }
    // The first run also pays for what the runtime prepares lazily.
    return { comparison, output: undefined, millis: median(times.length > 1 ? times.slice(1) : times) };
  }

  #loaded(): OrtSession {
    if (this.#session === undefined) throw new SkerryError('INTERNAL', 'the instance holds no model');
    return this.#session;
  }
}

function disagreeing(expected: NamedTensors, actual: NamedTensors, tolerance: Parameters<typeof compareOutputs>[2]): string | undefined {
  return Object.entries(expected).find(([name, tensor]) => {
    const other = tensorNamed(actual, name);
    return other === undefined || !compareOutputs(namedTensors([[name, tensor]]), namedTensors([[name, other]]), tolerance).agrees;
  })?.[0];
}
