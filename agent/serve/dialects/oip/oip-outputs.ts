import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import {
  arrayAt,
  type JsonObject,
  objectAt,
  optionalBooleanAt,
  optionalCountAt,
  optionalObjectAt,
  optionalStringAt,
  stringAt,
} from '../../json/fields.js';
import { REGION_NAME_LENGTH } from '../../shared-memory/shared-memory.js';

/** Where in shared memory a tensor lies, or is to be put. */
export interface RegionPlace {
  readonly region: string;
  readonly offset: number;
  readonly byteSize: number;
}

/** An output that a request asks for, and in which form. */
export interface OutputWish {
  readonly name: string;
  readonly binary: boolean;
  /** Classes wanted instead of the values; undefined: the values. */
  readonly classes: number | undefined;
  /** Where it is written, instead of into the answer. */
  readonly place: RegionPlace | undefined;
}

/** "Request Output JSON Object", with Triton's extensions; undefined: all outputs. */
export function readOutputs(value: unknown): readonly OutputWish[] | undefined {
  if (value === undefined || value === null) return undefined;
  const entries = arrayAt(value, 'outputs', LIMITS.tensorsPerModel);
  // OIP v2: without requested outputs the server returns all; an empty list says no more than none.
  return entries.length === 0
    ? undefined
    : entries.map((entry, index) => readOutput(objectAt(entry, `outputs[${index}]`), `outputs[${index}]`));
}

function readOutput(output: JsonObject, path: string): OutputWish {
  const where = `${path}.parameters`;
  const parameters = optionalObjectAt(output['parameters'], where);
  const binary = optionalBooleanAt(parameters['binary_data'], `${where}.binary_data`) ?? false;
  const classes = optionalCountAt(parameters['classification'], `${where}.classification`) ?? 0;
  const place = regionAt(parameters, where);
  if (binary && place !== undefined) {
    throw new SkerryError('SERVE_REQUEST', `${where} has both binary_data and shared_memory_region`);
  }
  const name = stringAt(output['name'], `${path}.name`, LIMITS.tensorNameBytes);
  return { name, binary, classes: classes === 0 ? undefined : classes, place };
}

/** Triton's shared memory extension: `shared_memory_region` and where in it. */
export function regionAt(parameters: JsonObject, path: string): RegionPlace | undefined {
  const region = optionalStringAt(parameters['shared_memory_region'], `${path}.shared_memory_region`, REGION_NAME_LENGTH);
  const offset = optionalCountAt(parameters['shared_memory_offset'], `${path}.shared_memory_offset`) ?? 0;
  const byteSize = optionalCountAt(parameters['shared_memory_byte_size'], `${path}.shared_memory_byte_size`);
  if (region === undefined) return undefined;
  if (byteSize === undefined) throw new SkerryError('SERVE_REQUEST', `${path}.shared_memory_byte_size is missing`);
  return { region, offset, byteSize };
}
