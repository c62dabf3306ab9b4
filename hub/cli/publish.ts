import { LIMITS } from '#shared/kernel/limits.js';
import type { Command } from 'commander';
import { MODEL_NAME_RULE, type ModelName } from '#shared/bundle/names.js';
import { counted } from '#shared/kernel/counted.js';
import { describeType } from '#shared/tensor/check.js';
import { formatBytes } from '#shared/terminal/format.js';
import { requireFiles } from '#shared/terminal/named-files.js';
import { type Output, printJson, printNote } from '#shared/terminal/output.js';
import type { Progress } from '#shared/terminal/progress.js';
import type { OutputTolerances, Tolerance } from '#shared/tensor/tolerance.js';
import {
  type BuildRequest,
  type BuildStep,
  buildVersion,
  DEFAULT_TOLERANCE,
  GENERATED_SAMPLES,
  type VariantFile,
} from '../publisher/build.js';
import type { ModelInspection } from '../publisher/inspect.js';
import { PUBLISH_HELP } from './publish-help.js';
import { barsOf, printResult } from './publish-view.js';
import {
  collectDimension,
  collectOutputTolerance,
  collectProvider,
  collectText,
  collectVariant,
  parseCount,
  parseModelName,
  parseTolerance,
  parseVariantName,
  parseVersion,
} from './publish-options.js';
import { addPublisherOptions, type PublisherCliDeps } from './publisher-deps.js';
import { signAndUpload, type UploadFlags } from './sign-and-upload.js';

/** Inputs, and outputs, that are shown in a line. */
const SHOWN_VALUES = 8;

interface PublishFlags extends UploadFlags {
  readonly name: ModelName;
  readonly variantName?: string;
  readonly output: readonly string[];
  readonly variant: readonly VariantFile[];
  readonly provider: readonly string[];
  readonly golden: readonly string[];
  readonly samples: number;
  readonly dim: ReadonlyMap<string, number>;
  readonly tolerance: Tolerance;
  readonly outputTolerance: NonNullable<OutputTolerances['outputs']>;
  readonly allowNotFinite: readonly string[];
  readonly goldenShapeOnly?: boolean;
  readonly batch?: number;
}

/** Adds `skerry publish`. */
export function registerPublishCommand(program: Command, deps: PublisherCliDeps): void {
  // The program has a --version of its own; with positional options the one behind `publish` is that of the command.
  program.enablePositionalOptions();
  const command = program
    .command('publish')
    .description('Publish a version of a model: inspect, sign and upload it.')
    .argument('<model.onnx>', 'ONNX file of the reference variant.')
    .requiredOption('--name <model>', `Name of the model: ${MODEL_NAME_RULE}; at most ${LIMITS.nameLength} characters.`, parseModelName)
    .option('--version <n>', 'Version number. (default: the next free number)', parseVersion)
    .option('--variant-name <name>', 'Name of the reference variant. (default: its number format, such as fp32 or int8)', parseVariantName)
    .option('--variant <name=file>', 'Another variant of the same model, such as int8=model-int8.onnx. Repeatable.', collectVariant, [])
    .option(
      '--provider <name>',
      'Execution provider the variants can run on, preferred one first. Repeatable. (default: cpu)',
      collectProvider,
      [],
    )
    .option('--output <name>', 'Output that the version offers. Repeatable. (default: all outputs)', collectText, [])
    .option('--golden <file>', 'File with golden inputs: JSON, safetensors, npz or npy. Repeatable.', collectText, [])
    .option('--samples <n>', 'Number of golden samples to generate when no --golden is given.', parseCount, GENERATED_SAMPLES)
    .option(
      '--dim <name=size>',
      'Size of a dynamic dimension in generated inputs. NAME is the name of the dimension or TENSOR.AXIS. Repeatable.',
      collectDimension,
      new Map(),
    )
    .option(
      '--tolerance <absolute,relative>',
      'Tolerance for floating-point outputs of variants and devices. (default: 1e-3,1e-3)',
      parseTolerance,
      DEFAULT_TOLERANCE,
    )
    .option(
      '--output-tolerance <output=absolute,relative>',
      'Tolerance for one output. Without it, integers are compared exactly. Repeatable.',
      collectOutputTolerance,
      [],
    )
    .option('--allow-not-finite <output>', 'Accept NaN and infinities in golden samples of this output. Repeatable.', collectText, [])
    .option('--golden-shape-only', 'Compare only types and shapes with the golden samples. For models with random outputs.')
    .option('--min-version <n>', 'Lowest version that devices may still install, also when they roll back.', parseVersion)
    .option('--description <text>', 'Description of the change, for readers.')
    .option('--batch <max>', 'Maximum number of requests that devices batch along dimension 0. (default: no batching)', parseCount)
    .option('--role <name>', 'Publisher to sign as. Required when the folder holds several.');
  addPublisherOptions(command)
    .addHelpText('after', PUBLISH_HELP)
    .action(async (path: string, flags: PublishFlags) => {
      const out = deps.output(flags.json === true);
      const request = requestOf(path, flags);
      await requireFiles([...request.variants.map((variant) => variant.path), ...request.golden]);
      const result = await signAndUpload(deps, flags, { build: (to, progress) => buildVersion(request, showBuild(to, progress)) });
      if (out.json) printJson(out, result);
      else printResult(out, result);
    });
}

function requestOf(path: string, flags: PublishFlags): BuildRequest {
  return {
    model: flags.name,
    variants: [{ ...(flags.variantName === undefined ? {} : { name: flags.variantName }), path }, ...flags.variant],
    outputs: flags.output,
    providers: flags.provider.length === 0 ? ['cpu'] : flags.provider,
    golden: flags.golden,
    generatedSamples: flags.samples,
    sizes: flags.dim,
    tolerance: { ...flags.tolerance, outputs: flags.outputTolerance, ...(flags.goldenShapeOnly === true ? { shapeOnly: true } : {}) },
    allowNotFinite: flags.allowNotFinite,
    ...(flags.description === undefined ? {} : { description: flags.description }),
    ...(flags.batch === undefined ? {} : { maxBatchSize: flags.batch }),
  };
}

function showBuild(out: Output, progress: Progress): (step: BuildStep) => void {
  const bars = barsOf(progress);
  return (step) => {
    switch (step.kind) {
      case 'inspected':
        printNote(out, `${step.variant}: ${describe(step.inspection)}`);
        break;
      case 'recorded':
        printNote(out, `${counted(step.samples.length, 'golden sample')} recorded: ${namesIn(step.samples)}`);
        break;
      case 'left-out':
        printNote(out, `left out of the version: ${step.outputs.length === 1 ? 'output' : 'outputs'} ${namesIn(step.outputs)}`);
        break;
      case 'shapes-observed':
        for (const { name, declared, recorded } of step.shapes) {
          const said = declared.anyShape === true ? 'no shape' : describeType(declared);
          printNote(
            out,
            `output ${JSON.stringify(name)} is declared with ${said} and came as ${describeType(recorded)}, which is recorded`,
          );
        }
        break;
      case 'not-finite':
        printNote(out, `on the golden samples ${step.outputs}: devices take such values for right there`);
        break;
      case 'replaced':
        printNote(
          out,
          `on the golden samples U+FFFD stands in ${namesIn(step.outputs)}: devices take it for right there. Should it stand for text that is not UTF-8, export the model with UTF-8`,
        );
        break;
      case 'agreed':
        printNote(out, `${step.variant}: agrees with the golden samples, largest error ${step.maxError.toPrecision(3)}`);
        break;
      case 'cutting':
        bars(`cut ${step.variant}`, step.read, step.total);
        break;
    }
  };
}

function namesIn(names: readonly string[]): string {
  const rest = names.length - SHOWN_VALUES;
  return `${names.slice(0, SHOWN_VALUES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function describe(inspection: ModelInspection): string {
  const listed = (side: ModelInspection['inputs']): string => {
    const shown = side.slice(0, SHOWN_VALUES).map(({ name, type }) => `${name} ${type}`);
    const rest = side.length - shown.length;
    return side.length === 0 ? 'nothing' : [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join(', ');
  };
  const opset = inspection.opset === undefined ? '' : `opset ${inspection.opset}, `;
  return `${formatBytes(inspection.sizeBytes)}, ${opset}${listed(inspection.inputs)} -> ${listed(inspection.outputs)}`;
}
