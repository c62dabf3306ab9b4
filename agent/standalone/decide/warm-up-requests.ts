import type { WarmUpRequest } from '#agent/inference/contract.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ModelConfig } from '../config/model-config.js';
import { datatypeOf } from './declared-signature.js';

type Given = ModelConfig['model_warmup'][number];

/** A file that lies in the folder `warmup` of the model, and nowhere else. */
const FILE_NAME = /^(?!\.{1,2}$)[^/\\\p{Cc}]{1,255}$/u;

/**
 * The requests of `model_warmup`, with the paths of their files; undefined where it names none. Requests of batch 0 are left out, as
 * Triton does. Pure. Errors: `STANDALONE_CONFIG`.
 */
export function warmUpRequests(config: ModelConfig, pathOf: (file: string) => string): readonly WarmUpRequest[] | undefined {
  if (config.model_warmup.length === 0) return undefined;
  return config.model_warmup
    .filter((given) => given.batch_size > 0)
    .map((given) => {
      const refuse = (why: string): SkerryError =>
        new SkerryError('STANDALONE_CONFIG', `model ${config.name}: model_warmup ${given.name}: ${why}`);
      const batched = config.max_batch_size > 0;
      if (given.batch_size > Math.max(1, config.max_batch_size)) {
        throw refuse(`batch_size ${given.batch_size} is larger than max_batch_size ${config.max_batch_size}`);
      }
      const inputs = Object.entries(given.inputs).map(([name, input]) => [name, inputOf(name, input, batched, pathOf, refuse)] as const);
      return {
        name: given.name,
        count: Math.max(1, given.count),
        inputs: Object.fromEntries(inputs),
        ...(batched ? { rows: given.batch_size } : {}),
      };
    });
}

function inputOf(
  name: string,
  { data_type, dims, zero_data: zero, random_data: random, input_data_file: file }: Given['inputs'][string],
  batched: boolean,
  pathOf: (file: string) => string,
  refuse: (why: string) => SkerryError,
): WarmUpRequest['inputs'][string] {
  const datatype = datatypeOf(data_type);
  if (datatype === undefined) throw refuse(`input ${name} has no data_type`);
  if (dims.some((size) => size < 1)) throw refuse(`input ${name} has a dimension without a size`);
  const shape = batched ? [1, ...dims] : dims;
  if (file !== undefined) {
    if (!FILE_NAME.test(file))
      throw refuse(`input_data_file ${JSON.stringify(file.slice(0, 200))} is no name of a file in the folder warmup`);
    return { datatype, shape, fill: { file: pathOf(file) } };
  }
  if (zero !== true && random !== true) throw refuse(`input ${name} has neither zero_data nor random_data nor input_data_file`);
  return { datatype, shape, fill: zero === true ? 'zero' : 'random' };
}
