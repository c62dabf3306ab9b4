import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { type NamedTensors, namedTensors, type TensorSpec } from '#shared/tensor/tensor.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler } from '../../http/exchange.js';
import { namedModel } from '../../named.js';
import { rawRequest } from './oip-raw.js';
import { HEADER_LENGTH_FIELD, KEY_FIELD, type OipRequest, parseInferRequest, readKey } from './oip-request.js';
import { checkExpected, inferAnswer } from './oip-response.js';

/** Body up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

/** `POST .../infer`. */
export function inferHandler(deps: DialectDeps): Handler {
  const { predict, jsonElements, sharedMemory } = deps;
  return async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const { bytes, owned } = await exchange.body();
    const header = exchange.headers[HEADER_LENGTH_FIELD];
    const parsed =
      header === '0'
        ? rawRequest(bytes, deps.models.find(model, version), isBatched(deps, model, version))
        : await parse(bytes, typeof header === 'string' ? header : undefined, jsonElements);
    let declared: readonly TensorSpec[] = [];
    const reply = await predict({
      model,
      version,
      inputs: await withRegions(parsed, deps),
      id: parsed.id,
      key: parsed.key ?? readKey(exchange.headers[KEY_FIELD]),
      outputs: parsed.outputs?.map((output) => output.name),
      timeout: parsed.timeout,
      priority: parsed.priority,
      sequence: parsed.sequence,
      owned,
      abandoned: () => exchange.abandoned(),
      expecting: (outputs) => {
        declared = outputs;
        checkExpected(parsed, outputs, jsonElements);
      },
    });
    const { version: answering } = reply.target;
    const classesOf = (output: string) => ({
      batched: isBatched(deps, model, answering),
      names: deps.repository.classNames(model, output, answering),
    });
    return inferAnswer(parsed, reply, { declared, jsonElements, classesOf, sharedMemory });
  };
}

function parse(bytes: Uint8Array, headerLength: string | undefined, jsonElements: number): Promise<OipRequest> | OipRequest {
  const work = parseInferRequest(bytes, headerLength, jsonElements);
  return bytes.byteLength > AT_ONCE_BYTES ? inTurns(work) : atOnce(work);
}

/** Whether the first dimension of its tensors is that of a batch, as its configuration says. */
function isBatched({ repository }: DialectDeps, model: ModelName, version: VersionNumber | undefined): boolean {
  const { max_batch_size: size } = repository.config(model, version);
  return typeof size === 'number' && size > 0;
}

/** The inputs of a request, those in shared memory read. */
async function withRegions({ inputs, regions }: OipRequest, { sharedMemory }: DialectDeps): Promise<NamedTensors> {
  if (regions.length === 0) return inputs;
  const read = regions.map(async ({ name, datatype, shape, place }) => {
    const bytes = await sharedMemory.read(place.region, place.offset, place.byteSize);
    return [name, fromBinary(datatype, shape, bytes, `input ${JSON.stringify(name)}`)] as const;
  });
  return namedTensors([...Object.entries(inputs), ...(await Promise.all(read))]);
}
