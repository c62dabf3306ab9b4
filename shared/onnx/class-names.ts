import { type GraphLayout, type PlacedValue, type Producer, readLabels, readWiring } from './graph-layout.js';
import type { ProtobufCursor } from './protobuf-cursor.js';

/** The domain of classical models, as exporters of scikit-learn, XGBoost and LightGBM write them. */
export const CLASSICAL = 'ai.onnx.ml';

/** Attributes that hold the labels of classes; an operator has one of them. */
const LABELS: ReadonlySet<string> = new Set(['classlabels_strings', 'classlabels_int64s', 'classlabels_ints']);

/** Operators whose second output are scores by class. */
const CLASSIFIERS: ReadonlySet<string> = new Set(['LinearClassifier', 'TreeEnsembleClassifier', 'SVMClassifier']);
/** Operators that exporters put behind scores, and that leave them in their order. */
const PASSES: ReadonlySet<string> = new Set(['Normalizer', 'Identity', 'Cast']);
/** So many of them one behind the other. */
const PASSES_DEEP = 4;

/** Labels of the classes of an operator, in the order of its scores. */
export function readClassLabels(cursor: ProtobufCursor, { at }: Producer): readonly string[] | undefined {
  return readLabels(cursor, at, LABELS);
}

/** Adds names of classes of outputs that are scores by class. Only models of `CLASSICAL` operators are searched. */
export function nameClasses(
  cursor: ProtobufCursor,
  { opsets, content, outputs }: GraphLayout,
  found: Map<string, readonly string[]>,
): void {
  if (!opsets.has(CLASSICAL)) return;
  // By the value that is traced, the outputs that it becomes.
  let traced = new Map(outputs.filter((value) => isScores(value) && !found.has(value.name)).map(({ name }) => [name, [name]]));
  for (let depth = 0; depth <= PASSES_DEEP && traced.size > 0; depth++) {
    const { producers } = readWiring(cursor, content, new Set(traced.keys()));
    const next = new Map<string, string[]>();
    for (const [value, names] of traced) {
      const producer = producers.get(value);
      const [from] = producer?.inputs ?? [];
      if (producer === undefined || from === undefined) continue;
      const { operator, domain } = producer;
      if (PASSES.has(operator)) next.set(from, [...(next.get(from) ?? []), ...names]);
      const labels =
        domain === CLASSICAL && CLASSIFIERS.has(operator) && producer.outputs[1] === value ? readClassLabels(cursor, producer) : undefined;
      if (labels !== undefined) for (const name of names) found.set(name, labels);
    }
    traced = next;
  }
}

function isScores({ type }: PlacedValue): boolean {
  return type.kind === 'tensor' && type.element === 'float';
}
