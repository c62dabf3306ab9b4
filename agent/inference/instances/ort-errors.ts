import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { ortMessage } from '#shared/tensor/ort-message.js';

type Rule = readonly [RegExp, ErrorCode];

// ONNX Runtime's JavaScript binding raises plain errors whose only discriminant is the text, so it is told apart here, once.
// Texts: onnxruntime 1.30, core/session/inference_session.cc, core/framework/*_allocator*.cc, js/node.
const OUT_OF_MEMORY: Rule = [
  /bad_alloc|[Ff]ailed to allocate memory|out of memory|BFCArena|Array buffer allocation failed/,
  'INFERENCE_OUT_OF_MEMORY',
];

const LOAD_RULES: readonly Rule[] = [
  OUT_OF_MEMORY,
  [
    /AppendExecutionProvider|shared library|no available backend|backend not found|adapter|execution provider/i,
    'INFERENCE_PROVIDER_UNAVAILABLE',
  ],
];

const RUN_RULES: readonly Rule[] = [
  OUT_OF_MEMORY,
  [
    // Before the run; what an operator says of its operands while it runs may be the model's own doing (failure-cause.ts).
    /^(?![^]*returned while running)[^]*(?:Invalid rank for input|Got invalid dimensions|Unexpected input data type|Invalid input name|missing in 'feeds'|must be a|size\(\d+\) does not match)/i,
    'INFERENCE_INPUT_REFUSED',
  ],
];

/** What the runtime threw, as one of our errors. `phase` says what it was doing. */
export function ortError(thrown: unknown, phase: 'load' | 'run', what: string): SkerryError {
  if (thrown instanceof SkerryError) return thrown;
  const text = ortMessage(thrown);
  const rules = phase === 'load' ? LOAD_RULES : RUN_RULES;
  const fallback: ErrorCode = phase === 'load' ? 'INFERENCE_MODEL_INVALID' : 'INFERENCE_RUN_FAILED';
  const code = rules.find(([pattern]) => pattern.test(text))?.[1] ?? fallback;
  return new SkerryError(code, `${what}: ${text}`, { cause: thrown });
}
