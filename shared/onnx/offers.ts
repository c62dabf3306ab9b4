import type { Dimension, OnnxType } from './onnx-types.js';

/** An operator that changes one value into another; whole numbers are its attributes. */
interface Operator {
  readonly name: string;
  readonly attributes: Readonly<Record<string, number>>;
}

/** One step between what a model has at an end and what the runtime can hand over there. */
export interface Step {
  /** For an output: from the model's value to the runtime's. */
  readonly out: Operator;
  /** For an input: from the runtime's value to the model's. */
  readonly in: Operator;
}

/** An element type that the runtime's binding has no form for, and how values of it are passed. */
interface ElementRule {
  /** Element type that the runtime hands over. */
  readonly held: string;
  /** Element type that clients see. */
  readonly offered: string;
  /** Whole numbers that the model's type has, where `held` has more. */
  readonly range?: readonly [low: number, high: number];
  readonly feature: Feature;
}

/**
 * Features that a version needs of an agent (shared/bundle/features.ts), one for each way of rewriting. What a name stands for is
 * never changed: an agent that has it gives the same tensors as the publisher recorded.
 */
export const REWRITING_FEATURES = ['onnx-bfloat16', 'onnx-narrow-types', 'onnx-sequences', 'onnx-optionals', 'onnx-zipmap'] as const;
export type Feature = (typeof REWRITING_FEATURES)[number];

const FLOAT8: ElementRule = { held: 'float', offered: 'float', feature: 'onnx-narrow-types' };

/** FP8 and 4-bit integers have no name in the protocols that clients use, so those see the next wider type that has one. */
const ELEMENTS: ReadonlyMap<string, ElementRule> = new Map([
  ['bfloat16', { held: 'float', offered: 'bfloat16', feature: 'onnx-bfloat16' }],
  ['float8e4m3fn', FLOAT8],
  ['float8e4m3fnuz', FLOAT8],
  ['float8e5m2', FLOAT8],
  ['float8e5m2fnuz', FLOAT8],
  ['uint4', { held: 'uint8', offered: 'uint8', range: [0, 15], feature: 'onnx-narrow-types' }],
  ['int4', { held: 'int8', offered: 'int8', range: [-8, 7], feature: 'onnx-narrow-types' }],
]);

/** What is around a tensor, and how it is taken off and put on. */
const WRAPPERS: Readonly<Record<'sequence' | 'optional', { readonly feature: Feature } & Step>> = {
  sequence: {
    feature: 'onnx-sequences',
    out: { name: 'ConcatFromSequence', attributes: { axis: 0, new_axis: 1 } },
    in: { name: 'SplitToSequence', attributes: { axis: 0, keepdims: 0 } },
  },
  optional: {
    feature: 'onnx-optionals',
    out: { name: 'OptionalGetElement', attributes: {} },
    in: { name: 'Optional', attributes: {} },
  },
};

/** A tensor as a model has it inside, and as it is offered. */
export interface Offer {
  /** Outermost first; none where the runtime hands the value over as it is. */
  readonly steps: readonly Step[];
  readonly held: string;
  readonly offered: string;
  readonly range?: readonly [low: number, high: number];
  /** `undefined` where the number of dimensions is not known. */
  readonly shape: readonly Dimension[] | undefined;
  readonly features: readonly Feature[];
}

/** How a value of a type is offered as one tensor; `undefined` where there is no rule for it. `numberOf`: the number of an element type. */
export function offerOf(type: OnnxType, numberOf: (element: string) => number): Offer | undefined {
  const steps: Step[] = [];
  const features: Feature[] = [];
  let inner = type;
  let isStacked = false;
  while (inner.kind === 'sequence' || inner.kind === 'optional') {
    // Sequences do not nest, and what is optional within one may be missing in some of its elements.
    if (isStacked) return undefined;
    const { feature, ...step } = WRAPPERS[inner.kind];
    steps.push(step);
    features.push(feature);
    isStacked = inner.kind === 'sequence';
    inner = inner.of;
  }
  if (inner.kind !== 'tensor') return undefined;
  const shape = inner.shape === undefined || !isStacked ? inner.shape : ['', ...inner.shape];
  const rule = ELEMENTS.get(inner.element);
  if (rule === undefined) return { steps, held: inner.element, offered: inner.element, shape, features };
  const cast = (element: string): Operator => ({ name: 'Cast', attributes: { to: numberOf(element) } });
  steps.push({ out: cast(rule.held), in: cast(inner.element) });
  const { feature, ...how } = rule;
  return { steps, ...how, shape, features: [...features, feature] };
}
