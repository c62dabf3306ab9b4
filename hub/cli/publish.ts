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
    .description('inspect, sign and upload a version of a model')
    .argument('<model.onnx>', 'the model file; the reference variant')
    .requiredOption('--name <model>', `name of the model: ${MODEL_NAME_RULE}, at most ${LIMITS.nameLength}`, parseModelName)
    .option('--version <n>', 'version number (default: the next one)', parseVersion)
    .option('--variant-name <name>', 'name of the reference variant (default: what it is, such as fp32 or int8)', parseVariantName)
    .option('--variant <name=file>', 'another form of the same model, such as int8=model-int8.onnx; repeatable', collectVariant, [])
    .option('--provider <name>', 'execution provider the variants can run on, best first; repeatable (default: cpu)', collectProvider, [])
    .option('--output <name>', 'output that the version offers; repeatable (default: all)', collectText, [])
    .option('--golden <file>', 'golden inputs: JSON, safetensors, npz or npy; repeatable', collectText, [])
    .option('--samples <n>', 'golden samples to make up when none are given', parseCount, GENERATED_SAMPLES)
    .option(
      '--dim <name=size>',
      'size of a varying dimension in made-up inputs: its name, or TENSOR.AXIS; repeatable',
      collectDimension,
      new Map(),
    )
    .option(
      '--tolerance <absolute,relative>',
      'how far floating-point outputs of a variant or device may be off (default: 1e-3,1e-3)',
      parseTolerance,
      DEFAULT_TOLERANCE,
    )
    .option(
      '--output-tolerance <output=absolute,relative>',
      'how far one output may be off; integers are compared exactly without it; repeatable',
      collectOutputTolerance,
      [],
    )
    .option('--allow-not-finite <output>', 'let an output hold NaN or infinities, as golden samples show; repeatable', collectText, [])
    .option('--golden-shape-only', 'compare only types and shapes with the golden samples: for models whose values are random')
    .option('--min-version <n>', 'never install versions below this one again, even by rollback', parseVersion)
    .option('--description <text>', 'what is new, for people')
    .option('--batch <max>', 'let devices run up to so many requests at once along dimension 0', parseCount)
    .option('--role <name>', 'publisher to sign as, when the folder holds several');
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
