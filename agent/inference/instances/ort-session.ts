import { access, readFile } from 'node:fs/promises';
import type OrtModule from 'onnxruntime-node';
import type { InferenceSession, OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { ModelEnds } from '#shared/onnx/model-ends.js';
import { type ModelPlan, planModel } from '#shared/onnx/rewriting.js';
import { fromOrt, inheritedNames, makeOrtTensor, specFromOrt } from '#shared/tensor/ort.js';
import { checkStringOutputs } from '#shared/tensor/strings.js';
import { allowAnyName, namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { DeclaredOutput, RuntimeDescription } from './instance-protocol.js';
import { ortError } from './ort-errors.js';
import type { DeclaredInput } from '../checks/shared-sizes.js';

type Ort = typeof OrtModule;

const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 4,
  // The arena keeps every peak for good and reserves ahead; measured at no speed on the models tried, so memory wins.
  enableCpuMemArena: false,
  enableMemPattern: false,
};

/** Loads the native runtime into this thread; only instance workers call it, since everything it does blocks (R5). */
export async function loadOrt(): Promise<Ort> {
  // A CommonJS module: its exports are the default one.
  const { default: ort } = await import('onnxruntime-node');
  // Errors come back as exceptions; what the runtime would print beside them is of no use to anybody.
  ort.env.logLevel = 'fatal';
  return ort;
}

/** y = x, of one number (ONNX, IR version 8, operators of version 17). */
const SMALLEST_MODEL = Buffer.from(
  'CAgSBnNrZXJyeRoBMUIECgAQETpHChwKAXgSAXkaCklkZW50aXR5X3kiCElkZW50aXR5EgVncmFwaFoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAE=',
  'base64',
);

/**
 * Has the runtime make what it makes with its first session: its environment, its tables of operators, some 20 ms. For a thread
 * that has nothing else to do yet, so that the first model need not wait for it. Rejects with ONNX Runtime's error.
 */
export async function wakeOrt(ort: Ort): Promise<void> {
  const session = await ort.InferenceSession.create(SMALLEST_MODEL, { ...SESSION_OPTIONS, executionProviders: ['cpu'] });
  await session.release();
}

/** Version of the runtime, and the providers whose libraries are here. */
export async function describeOrt(ort: Ort): Promise<RuntimeDescription> {
  const maps = await readFile('/proc/self/maps', 'utf8').catch(() => '');
  const folder = /\s(\/.*)\/libonnxruntime\.so/.exec(maps)?.[1];
  const providers: string[] = [];
  for (const backend of ort.listSupportedBackends()) {
    // What is not bundled lies beside the runtime's own library when it was installed.
    if (backend.bundled || (folder !== undefined && (await exists(`${folder}/libonnxruntime_providers_${backend.name}.so`)))) {
      providers.push(backend.name);
    }
  }
  return { name: 'onnxruntime', version: ort.env.versions.node ?? ort.env.versions.common, providers };
}

interface SessionOptions {
  /** The outputs that the version offers and that are computed when none are named; all when left out. */
  readonly offered?: readonly string[] | undefined;
  /** The outputs in which its golden samples show U+FFFD. */
  readonly replaced?: readonly string[];
}

/** One session of ONNX Runtime, speaking our tensors. */
export class OrtSession {
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #offered: readonly string[] | undefined;
  readonly #inherited: readonly string[];
  /** Outputs that may hold U+FFFD. */
  readonly #replaced: ReadonlySet<string>;
  readonly #ends: ModelEnds;
  readonly inputs: readonly DeclaredInput[];
  /** The outputs that are tensors or were made ones; others cannot be offered. */
  readonly outputs: readonly DeclaredOutput[];

  private constructor(ort: Ort, session: InferenceSession, plan: ModelPlan, { offered, replaced = [] }: SessionOptions) {
    this.#replaced = new Set(replaced);
    this.#ort = ort;
    this.#session = session;
    this.#offered = offered;
    this.#inherited = inheritedNames(session.outputNames);
    this.#ends = new ModelEnds(plan);
    const inputs = this.#ends.described('inputs', session.inputMetadata);
    this.inputs = inputs.map((input) => ({ ...specFromOrt(input), dimensions: input.shape ?? [] }));
    const outputs = this.#ends.described('outputs', session.outputMetadata).filter(({ isTensor }) => isTensor);
    this.outputs = outputs.map((output) => {
      const classNames = plan.classNames.get(output.name);
      return { ...specFromOrt(output), ...(classNames === undefined ? {} : { classNames }) };
    });
    allowAnyName([...session.inputNames, ...session.outputNames]);
  }

  /**
   * Opens the model file by path, so that the runtime reads it and no second copy lies in our heap; a copy is made only where inputs
   * or outputs have to be rewritten.
   */
  static async open(ort: Ort, file: string, provider: string, threads: number, options: SessionOptions = {}): Promise<OrtSession> {
    try {
      const plan = planModel(file, options.offered);
      const settings = { ...SESSION_OPTIONS, executionProviders: [provider], intraOpNumThreads: threads };
      const session = await (plan.rewriting === undefined
        ? ort.InferenceSession.create(file, settings)
        : ort.InferenceSession.create(plan.rewriting.bytes(), settings));
      return new OrtSession(ort, session, plan, options);
    } catch (cause) {
      throw ortError(cause, 'load', `provider ${provider}`);
    }
  }

  /** Runs the model once, blocking this thread. The outputs' bytes belong to the caller. */
  async run(inputs: NamedTensors, outputs: readonly string[] | undefined): Promise<NamedTensors> {
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => this.#feed(name, tensor)));
    const wanted = (outputs ?? this.#offered)?.map((name) => this.#ends.asked(name));
    let results: Readonly<Record<string, OnnxValue>>;
    try {
      results =
        wanted === undefined
          ? await this.#session.run(feeds)
          : await this.#session.run(feeds, [...new Set([...wanted, ...this.#inherited])]);
    } catch (cause) {
      throw ortError(cause, 'run', 'the model');
    }
    const isWanted = (name: string): boolean => wanted === undefined || this.#inherited.length === 0 || wanted.includes(name);
    const given = Object.entries(results).filter(([name]) => isWanted(name));
    const tensors = this.#ends.given(namedTensors(given.map(([name, value]) => [name, fromOrt(value, `output ${name}`)] as const)));
    checkStringOutputs(inputs, tensors, this.#replaced);
    return tensors;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  #feed(name: string, tensor: Tensor): readonly [string, OrtTensor] {
    try {
      const fed = this.#ends.fed(name, tensor);
      return [fed.name, makeOrtTensor<OrtTensor>(this.#ort.Tensor, fed.tensor, `input ${name}`)];
    } catch (cause) {
      throw ortError(cause, 'run', `input ${name}`);
    }
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
