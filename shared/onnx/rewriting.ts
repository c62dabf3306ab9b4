import { openSync, readSync, closeSync } from 'node:fs';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { type GraphLayout, type Place, type PlacedValue, readLayout, readWeightNames, readWiring } from './graph-layout.js';
import { CLASSICAL, nameClasses, readClassLabels } from './class-names.js';
import { type Feature, type Offer, offerOf } from './offers.js';
import { elementTypeNumber, type OnnxType } from './onnx-types.js';
import { ProtobufCursor, UnreadableProtobuf } from './protobuf-cursor.js';
import { bytesField, bytesFieldHeader, concat, intField } from './protobuf-writer.js';

/** An input or output that is offered otherwise than the model has it. */
export interface RewrittenEnd {
  /** As the model and clients call it. */
  readonly name: string;
  /** As the runtime calls it. */
  readonly inside: string;
  readonly offer: Offer;
}

/** What is known of a model file before it is loaded. */
export interface ModelPlan {
  /** How it is rewritten; `undefined` where it loads as it is. */
  readonly rewriting: Rewriting | undefined;
  /** As the file lists them; none where it cannot be read. */
  readonly inputs: readonly PlacedValue[];
  readonly outputs: readonly PlacedValue[];
  /** Names of the classes, by output, where the model has them. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
}

/** How a model file becomes one whose inputs and outputs the runtime can hand over. The same file always gives the same bytes. */
export interface Rewriting {
  readonly inputs: readonly RewrittenEnd[];
  readonly outputs: readonly RewrittenEnd[];
  readonly features: readonly Feature[];
  /** The rewritten file. Throws `MODEL_UNSUPPORTED` when it is too large, `IO_FAILED`. */
  bytes(): Uint8Array;
}

/** A part of a file that is replaced, with nothing where it goes. */
interface Edit {
  readonly at: Place;
  readonly bytes: Uint8Array;
}

/** What is changed in a graph. */
interface Changes {
  readonly inputs: RewrittenEnd[];
  readonly outputs: RewrittenEnd[];
  readonly edits: Edit[];
  readonly before: Uint8Array[];
  readonly after: Uint8Array[];
  readonly classNames: Map<string, readonly string[]>;
}

/** Operators that the steps need are there from this version on; for a model that imports only other operators. */
const OPSET = 15;

const UNREADABLE: ModelPlan = { rewriting: undefined, inputs: [], outputs: [], classNames: new Map() };

/**
 * Reads what a model takes and gives, and plans how its file is rewritten (docs/PROTOCOL.md, "What models give that is no plain
 * tensor"). `wanted`: the outputs that are offered, all when left out. Others are left alone, or removed where the runtime could not
 * even describe them. A file that cannot be read, or a type without a rule, is for the runtime to refuse.
 */
export function planModel(path: string, wanted?: readonly string[]): ModelPlan {
  const cursor = new ProtobufCursor(path);
  try {
    const layout = readLayout(cursor);
    if (layout === undefined) return UNREADABLE;
    const { inputs, outputs } = layout;
    const changes: Changes = { inputs: [], outputs: [], edits: [], before: [], after: [], classNames: new Map() };
    changeInputs(cursor, layout, changes);
    changeOutputs(cursor, layout, wanted, changes);
    nameClasses(cursor, layout, changes.classNames);
    const rewriting = changes.edits.length === 0 ? undefined : rewritingOf(path, cursor.size, layout, changes);
    return { rewriting, inputs, outputs, classNames: changes.classNames };
  } catch (cause) {
    if (cause instanceof UnreadableProtobuf) return UNREADABLE;
    throw cause;
  } finally {
    cursor.close();
  }
}

function rewritingOf(path: string, size: number, layout: GraphLayout, changes: Changes): Rewriting {
  const { inputs, outputs } = changes;
  const features = [...inputs, ...outputs].flatMap(({ offer }) => offer.features);
  return { inputs, outputs, features: [...new Set(features)], bytes: () => rewritten(path, size, layout, changes) };
}

function changeInputs(cursor: ProtobufCursor, { inputs, content }: GraphLayout, changes: Changes): void {
  const changed = inputs.flatMap((value) => {
    const offer = offerOf(value.type, elementTypeNumber);
    return offer === undefined || offer.steps.length === 0 ? [] : [{ ...value, offer }];
  });
  if (changed.length === 0) return;
  const weights = readWeightNames(cursor, content);
  for (const { name, at, offer } of changed) {
    if (weights.has(name)) continue;
    const inside = `skerry.input/${name}`;
    const operators = offer.steps.toReversed().map((step) => step.in);
    changes.before.push(...chain(operators, inside, name, `take input ${JSON.stringify(name)}`));
    changes.edits.push({ at, bytes: valueInfo(11, inside, offer) });
    changes.inputs.push({ name, inside, offer });
  }
}

function changeOutputs(
  cursor: ProtobufCursor,
  { outputs, content }: GraphLayout,
  wanted: readonly string[] | undefined,
  changes: Changes,
): void {
  const zipped: PlacedValue[] = [];
  for (const value of outputs) {
    const { name, type, at } = value;
    const offer = offerOf(type, elementTypeNumber);
    if (wanted !== undefined && !wanted.includes(name)) {
      const isUnknown = type.kind === 'tensor' && offer !== undefined && offer.steps.length > 0;
      if (isUnknown) changes.edits.push({ at, bytes: new Uint8Array() });
    } else if (isZipped(type)) zipped.push(value);
    else if (offer !== undefined && offer.steps.length > 0) give(value, offer, name, changes);
  }
  if (zipped.length > 0) unzip(cursor, content, zipped, changes);
}

/** Gives an output as its offer says, from the value called `from` inside. */
function give({ name, at }: PlacedValue, offer: Offer, from: string, changes: Changes): void {
  const inside = `skerry.output/${name}`;
  const operators = offer.steps.map((step) => step.out);
  changes.after.push(...chain(operators, from, inside, `give output ${JSON.stringify(name)} as one tensor`));
  changes.edits.push({ at, bytes: valueInfo(12, inside, offer) });
  changes.outputs.push({ name, inside, offer });
}

function isZipped(type: OnnxType): boolean {
  return type.kind === 'sequence' && type.of.kind === 'map' && type.of.of.kind === 'tensor' && type.of.of.element === 'float';
}

/** Scores by class, which an operator ZipMap made maps of: its input is given instead, and the operator removed. */
function unzip(cursor: ProtobufCursor, content: Place, zipped: readonly PlacedValue[], changes: Changes): void {
  const { producers, consumed } = readWiring(cursor, content, new Set(zipped.map(({ name }) => name)));
  for (const value of zipped) {
    const producer = producers.get(value.name);
    const [scores] = producer?.inputs ?? [];
    if (producer?.operator !== 'ZipMap' || producer.domain !== CLASSICAL || scores === undefined) continue;
    const names = readClassLabels(cursor, producer);
    const same = { name: 'Identity', attributes: {} };
    const offer: Offer = {
      steps: [{ out: same, in: same }],
      held: 'float',
      offered: 'float',
      shape: ['', names?.length ?? ''],
      features: ['onnx-zipmap'],
    };
    if (!consumed.has(value.name)) changes.edits.push({ at: producer.at, bytes: new Uint8Array() });
    if (names !== undefined) changes.classNames.set(value.name, names);
    give(value, offer, scores, changes);
  }
}

/** Nodes one behind the other (onnx.proto, GraphProto.node); what fails at run time is told by their name. */
function chain(operators: readonly Offer['steps'][number]['in'][], from: string, to: string, name: string): readonly Uint8Array[] {
  const last = operators.length - 1;
  const between = (index: number): string => (index === last ? to : `${from}/${index}/${to}`);
  return operators.map((operator, index) => {
    const attributes = Object.entries(operator.attributes).map(([key, value]) =>
      bytesField(5, concat(bytesField(1, key), intField(3, value), intField(20, 2))),
    );
    const ends = [bytesField(1, index === 0 ? from : between(index - 1)), bytesField(2, between(index))];
    return bytesField(1, concat(...ends, bytesField(3, `${name} (${operator.name})`), bytesField(4, operator.name), ...attributes));
  });
}

/** onnx.proto, ValueInfoProto, as a field of the graph. */
function valueInfo(field: number, name: string, { held, shape }: Offer): Uint8Array {
  const sizes = (shape ?? []).map((size) => {
    if (typeof size === 'number') return bytesField(1, intField(1, size));
    return bytesField(1, size === '' ? new Uint8Array() : bytesField(2, size));
  });
  const element = intField(1, elementTypeNumber(held));
  const type = bytesField(1, concat(element, ...(shape === undefined ? [] : [bytesField(2, concat(...sizes))])));
  return bytesField(field, concat(bytesField(1, name), bytesField(2, type)));
}

function rewritten(path: string, size: number, { field, content, opsets }: GraphLayout, changes: Changes): Uint8Array {
  const parts: (Place | Uint8Array)[] = [...changes.before];
  let at = content.from;
  for (const edit of changes.edits.toSorted((a, b) => a.at.from - b.at.from)) {
    parts.push({ from: at, to: edit.at.from }, edit.bytes);
    at = edit.at.to;
  }
  parts.push({ from: at, to: content.to }, ...changes.after);
  const length = parts.reduce((sum, part) => sum + lengthOf(part), 0);
  const imported = opsets.get('') === undefined ? [bytesField(8, concat(bytesField(1, ''), intField(2, OPSET)))] : [];
  const all = [{ from: 0, to: field.from }, ...imported, bytesFieldHeader(7, length), ...parts, { from: field.to, to: size }];
  return joined(path, all);
}

function lengthOf(part: Place | Uint8Array): number {
  return part instanceof Uint8Array ? part.byteLength : part.to - part.from;
}

function joined(path: string, parts: readonly (Place | Uint8Array)[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + lengthOf(part), 0);
  if (length > LIMITS.rewrittenModelBytes) {
    const reason = `the model has ${length} bytes, at most ${LIMITS.rewrittenModelBytes} where its inputs or outputs are no plain tensors`;
    throw new SkerryError('MODEL_UNSUPPORTED', reason);
  }
  const bytes = new Uint8Array(length);
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    let at = 0;
    for (const part of parts) {
      if (part instanceof Uint8Array) bytes.set(part, at);
      else readWhole(file, bytes.subarray(at, at + lengthOf(part)), part.from);
      at += lengthOf(part);
    }
    return bytes;
  } catch (cause) {
    throw asSkerryError(cause, 'IO_FAILED');
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readWhole(file: number, into: Uint8Array, from: number): void {
  for (let read = 0; read < into.byteLength; ) {
    const count = readSync(file, into, read, into.byteLength - read, from + read);
    if (count === 0) throw new SkerryError('IO_FAILED', 'the model file became shorter while it was read');
    read += count;
  }
}
