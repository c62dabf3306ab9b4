import { LIMITS } from '#shared/kernel/limits.js';
import type { Command } from 'commander';
import { MODEL_NAME_RULE, type ModelName } from '#shared/bundle/names.js';
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
  parseVersion,
} from './publish-options.js';
import { addPublisherOptions, type PublisherCliDeps } from './publisher-deps.js';
import { signAndUpload, type UploadFlags } from './sign-and-upload.js';

interface PublishFlags extends UploadFlags {
  readonly name: ModelName;
  readonly variantName: string;
  readonly variant: readonly VariantFile[];
  readonly provider: readonly string[];
  readonly golden: readonly string[];
  readonly samples: number;
  readonly dim: ReadonlyMap<string, number>;
  readonly tolerance: Tolerance;
  readonly outputTolerance: NonNullable<OutputTolerances['outputs']>;
  readonly allowNotFinite: readonly string[];
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
    .option('--variant-name <name>', 'name of the reference variant', 'fp32')
    .option('--variant <name=file>', 'another form of the same model, such as int8=model-int8.onnx; repeatable', collectVariant, [])
    .option('--provider <name>', 'execution provider the variants can run on, best first; repeatable (default: cpu)', collectProvider, [])
    .option('--golden <file>', 'golden inputs, JSON or safetensors; repeatable', collectText, [])
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
    variants: [{ name: flags.variantName, path }, ...flags.variant],
    providers: flags.provider.length === 0 ? ['cpu'] : flags.provider,
    golden: flags.golden,
    generatedSamples: flags.samples,
    sizes: flags.dim,
    tolerance: { ...flags.tolerance, outputs: flags.outputTolerance },
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
        printNote(out, `golden sample ${step.sample} recorded`);
        break;
      case 'not-finite':
        printNote(out, `on the golden samples ${step.outputs}: devices take such values for right there`);
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

function describe(inspection: ModelInspection): string {
  const names = (side: ModelInspection['inputs']): string => side.map(({ spec }) => `${spec.name} ${spec.datatype}`).join(', ');
  return `${formatBytes(inspection.sizeBytes)}, opset ${inspection.opset}, ${names(inspection.inputs)} -> ${names(inspection.outputs)}`;
}
