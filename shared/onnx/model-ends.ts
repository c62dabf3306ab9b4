import { SkerryError } from '#shared/kernel/errors.js';
import { bytesOf, elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { Dimension, OnnxType } from './onnx-types.js';
import type { ModelPlan, RewrittenEnd } from './rewriting.js';

/** What the runtime says of an input or output. */
export interface RuntimeValue {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly Dimension[];
  /** A tensor of which nobody knows the number of dimensions; `shape` is empty then, and no scalar is meant. */
  readonly anyShape?: true;
}

/** Between the tensors that clients know and those of the runtime, for one model. Without a rewriting they are the same. */
export class ModelEnds {
  readonly #inputs: ReadonlyMap<string, RewrittenEnd>;
  /** By the names that clients know, and by the runtime's. */
  readonly #outputs: ReadonlyMap<string, RewrittenEnd>;
  readonly #inside: ReadonlyMap<string, RewrittenEnd>;
  readonly #plan: ModelPlan;

  constructor(plan: ModelPlan) {
    const { inputs = [], outputs = [] } = plan.rewriting ?? {};
    this.#plan = plan;
    this.#inputs = new Map(inputs.map((end) => [end.name, end]));
    this.#outputs = new Map(outputs.map((end) => [end.name, end]));
    this.#inside = new Map([...inputs, ...outputs].map((end) => [end.inside, end]));
  }

  /** Inputs or outputs as clients see them, from the runtime's description. */
  described(kind: 'inputs' | 'outputs', values: readonly RuntimeValue[]): readonly RuntimeValue[] {
    const types = new Map(this.typed(kind, this.#plan[kind]).map(({ name, type }) => [name, type]));
    return values.map((value) => {
      const end = this.#inside.get(value.name);
      const name = end?.name ?? value.name;
      const type = end?.offer.offered === 'bfloat16' ? { type: 'bfloat16' } : {};
      return { ...value, name, ...type, ...knownShape(value, types.get(name)) };
    });
  }

  /** Types of inputs or outputs as clients see them, from the file. */
  typed<T extends { readonly name: string; readonly type: OnnxType }>(kind: 'inputs' | 'outputs', values: readonly T[]): readonly T[] {
    const ends = kind === 'inputs' ? this.#inputs : this.#outputs;
    return values.map((value) => {
      const offer = ends.get(value.name)?.offer;
      return offer === undefined ? value : { ...value, type: { kind: 'tensor', element: offer.offered, shape: offer.shape } };
    });
  }

  /** An input as the runtime takes it. `TENSOR_DATA` for values that the model's type does not have. */
  fed(name: string, tensor: Tensor): { readonly name: string; readonly tensor: Tensor } {
    const end = this.#inputs.get(name);
    if (end === undefined) return { name, tensor };
    const { offered, range } = end.offer;
    if (range !== undefined) checkRange(name, tensor, range);
    return { name: end.inside, tensor: offered === 'bfloat16' ? widened(tensor) : tensor };
  }

  /** What the runtime calls an output. */
  asked(name: string): string {
    return this.#outputs.get(name)?.inside ?? name;
  }

  /** Outputs as clients see them. */
  given(results: NamedTensors): NamedTensors {
    if (this.#outputs.size === 0) return results;
    return namedTensors(
      Object.entries(results).map(([inside, tensor]): [string, Tensor] => {
        const end = this.#inside.get(inside);
        if (end === undefined) return [inside, tensor];
        return [end.name, end.offer.offered === 'bfloat16' ? narrowed(tensor) : tensor];
      }),
    );
  }
}

/**
 * The runtime gives an empty shape for a scalar, for a tensor of which it does not know the number of dimensions, and where what it
 * found out contradicts what the file declares. The file tells which.
 */
function knownShape({ isTensor, shape }: RuntimeValue, type: OnnxType | undefined): Pick<RuntimeValue, 'shape' | 'anyShape'> {
  if (!isTensor || shape === undefined || shape.length > 0) return {};
  return type?.kind !== 'tensor' || type.shape === undefined ? { anyShape: true } : { shape: type.shape };
}

function checkRange(name: string, tensor: Tensor, [low, high]: readonly [number, number]): void {
  if (!isFixedSize(tensor)) return;
  const elements = elementsOf(tensor);
  for (const [at, element] of elements.entries()) {
    if (element >= low && element <= high) continue;
    const what = `input ${JSON.stringify(name)}: element ${at} is ${element}`;
    throw new SkerryError('TENSOR_DATA', `${what}, the model takes whole numbers from ${low} to ${high}`);
  }
}

/** BF16 as FP32, which begins with the same bits. */
function widened(tensor: Tensor): Tensor {
  if (!isFixedSize(tensor)) return tensor;
  const wide = Uint32Array.from<number | bigint>(elementsOf(tensor), (bits) => Number(bits) << 16);
  return { datatype: 'FP32', shape: tensor.shape, data: bytesOf(wide) };
}

/** FP32 that was made of BF16 as BF16 again: nothing is lost. */
function narrowed(tensor: Tensor): Tensor {
  if (!isFixedSize(tensor)) return tensor;
  const bits = elementsOf({ datatype: 'UINT32', shape: tensor.shape, data: tensor.data });
  return {
    datatype: 'BF16',
    shape: tensor.shape,
    data: bytesOf(Uint16Array.from<number | bigint>(bits, (element) => Number(element) >>> 16)),
  };
}
