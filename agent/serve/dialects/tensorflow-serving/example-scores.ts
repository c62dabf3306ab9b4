import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from '#shared/tensor/bytes-elements.js';
import { elementsOf, isFixedSize } from '#shared/tensor/elements.js';
import { floatForm } from '#shared/tensor/float-form.js';
import { formatShape } from '#shared/tensor/shape.js';
import { type NamedTensors, tensorNamed, type Tensor } from '#shared/tensor/tensor.js';

/** A score of each class for each example. */
export interface ExampleScores {
  readonly examples: number;
  readonly classes: number;
  readonly score: (example: number, label: number) => number;
  /** Asked for each class of each example in order; empty where no names are known. */
  readonly label: (label: number) => string;
}

/**
 * The scores among the outputs of a model: those called `scores`, or the only floating-point numbers. Labels are the strings of an output
 * with the same shape, or the names that are known for the classes. Errors: `SERVE_REQUEST` where no output has scores.
 */
export function exampleScores(outputs: NamedTensors, classNames: (output: string) => readonly string[] | undefined): ExampleScores {
  const [name, scores] = scoresOf(outputs);
  const [examples, classes = 1] = scores.shape;
  if (examples === undefined || scores.shape.length > 2) {
    throw new SkerryError('SERVE_REQUEST', `output ${JSON.stringify(name)} ${formatShape(scores.shape)} is no score for each example`);
  }
  const elements = isFixedSize(scores) ? elementsOf(scores) : [];
  const read = floatForm(scores.datatype)?.read ?? Number;
  return {
    examples,
    classes,
    score: (example, label) => read(Number(elements[example * classes + label])),
    label: labelsOf(outputs, examples * classes, classNames(name)),
  };
}

/** What a regression needs. Errors: `SERVE_REQUEST` where the model gives several values for each example. */
export function checkOneValue({ classes }: ExampleScores): void {
  if (classes !== 1) throw new SkerryError('SERVE_REQUEST', `the model gives ${classes} values for each example, not one; use classify`);
}

function scoresOf(outputs: NamedTensors): readonly [string, Tensor] {
  const named = tensorNamed(outputs, 'scores');
  if (named !== undefined && floatForm(named.datatype) !== undefined) return ['scores', named];
  const floats = Object.entries(outputs).filter(([, { datatype }]) => floatForm(datatype) !== undefined);
  const [only] = floats;
  if (floats.length === 1 && only !== undefined) return only;
  throw new SkerryError('SERVE_REQUEST', 'the model has no output "scores", nor a single one of floating-point numbers; use predict');
}

/** A string for each score, as one output or the names of the classes have them. */
function labelsOf(outputs: NamedTensors, count: number, names: readonly string[] | undefined): ExampleScores['label'] {
  const texts = Object.values(outputs).find(({ datatype, shape }) => {
    return datatype === 'BYTES' && shape.reduce((product, size) => product * size, 1) === count;
  });
  if (texts === undefined) return (label) => names?.[label] ?? '';
  let at = 0;
  return () => {
    const element = nextBytesElement(texts.data, at);
    at = element?.end ?? at;
    return Buffer.from(element?.bytes ?? []).toString('utf8');
  };
}
