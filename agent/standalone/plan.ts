import { join } from 'node:path';
import { z } from 'zod';
import { type ModelName, versionNumberSchema, type VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import type { ServableSpec } from '#agent/inference/contract.js';
import type { VersionChoice } from '#agent/serve/repository.js';
import { type ConfigDocument, configOfJson, configOfText } from './config/document.js';
import { completeConfig, type CompleteConfig, type ModelConfig } from './config/model-config.js';
import { instancesOf, refuseUnsupported } from './config/refusals.js';
import { declaredSignature } from './decide/declared-signature.js';
import { warmUpRequests } from './decide/warm-up-requests.js';
import { chosenVersions, describePolicy } from './decide/version-policy.js';
import type { ModelFile, ModelFolder } from './layouts/layout.js';

/** What a model is to become: everything but the loading itself. */
export interface ModelPlan extends CompleteConfig {
  readonly model: ModelName;
  readonly versions: readonly (ModelFile & { readonly version: VersionNumber })[];
  /** Versions that labels are to stand for, whether they are served or not. */
  readonly labels: ReadonlyMap<string, VersionNumber>;
  /** Requests to run before a version is available, where the configuration has some. */
  readonly warmUp: ServableSpec['warmUp'];
  /** Names of classes by output. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
}

interface PlanOptions {
  /** A configuration in place of the folder's. */
  readonly config?: string | undefined;
  /** Which versions, in place of what the configuration says. */
  readonly versions?: VersionChoice | undefined;
  readonly instances: number;
}

/**
 * Reads what a model's folder and a configuration given in its place ask for. Errors: `STANDALONE_CONFIG`, `STANDALONE_UNSUPPORTED`,
 * `STANDALONE_VERSIONS`, `STANDALONE_FOLDER`.
 */
export async function planModel(model: ModelName, folder: ModelFolder, { config, versions, instances }: PlanOptions): Promise<ModelPlan> {
  const given: ConfigDocument = { ...givenConfig(folder, config), ...(versions === undefined ? {} : { version_policy: versions }) };
  const complete = completeConfig(given, { name: model, instances });
  if (complete.config.name !== model) {
    const text = `its configuration is for a model of another name: ${JSON.stringify(complete.config.name.slice(0, 128))}`;
    throw new SkerryError('STANDALONE_CONFIG', `model ${model}: ${text}`);
  }
  refuseUnsupported(complete.config);
  const { version_policy: policy } = complete.config;
  const { default_model_filename: fileName = '' } = given;
  const chosen = chosenVersions(folder.versions, policy);
  if (chosen.length === 0) {
    const there =
      folder.versions.length === 0 ? `${folder.folder} has no folder named 1, 2, 3 ...` : `there are ${folder.versions.join(', ')}`;
    throw new SkerryError('STANDALONE_VERSIONS', `model ${model} has no version to serve (policy: ${describePolicy(policy)}): ${there}`);
  }
  const files = await Promise.all(
    chosen.map((version) => folder.fileOf(version, fileName === '' ? undefined : complete.config.default_model_filename)),
  );
  return {
    ...complete,
    model,
    versions: files.map((file) => ({ ...file, version: versionNumberSchema.parse(file.version) })),
    labels: readLabels(folder),
    warmUp: warmUpRequests(complete.config, (file) => join(folder.folder, 'warmup', file)),
    classes: await readClasses(folder, complete.config),
  };
}

function givenConfig(folder: ModelFolder, override: string | undefined): ConfigDocument {
  if (override !== undefined) return configOfJson(override, `the configuration given for ${folder.name}`);
  return folder.config === undefined ? {} : configOfText(folder.config, `${folder.folder}/config.pbtxt`);
}

const labelsSchema = z.record(z.string().min(1).max(64), versionNumberSchema);

function readLabels({ folder, labels }: ModelFolder): ReadonlyMap<string, VersionNumber> {
  if (labels === undefined) return new Map();
  const options = { what: `${folder}/version-labels.json`, maxBytes: 64 * 1024, code: 'STANDALONE_CONFIG' } as const;
  return new Map(Object.entries(parseJson(labelsSchema, Buffer.from(labels), options)));
}

async function readClasses(folder: ModelFolder, { output }: ModelConfig): Promise<ReadonlyMap<string, readonly string[]>> {
  const named = output.filter(({ label_filename: file }) => file !== '');
  return new Map(await Promise.all(named.map(async ({ name, label_filename: file }) => [name, linesOf(await folder.text(file))] as const)));
}

/** A text file ends with a line end, which begins no further name. */
function linesOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** What the runtime needs of one version of a plan. */
export function specOf({ model, config, warmUp }: ModelPlan, { version, file, mark }: ModelPlan['versions'][number]): ServableSpec {
  return {
    model,
    version,
    manifest: mark,
    inputs: [],
    outputs: [],
    variants: [{ name: 'model', file, digest: mark, providers: ['cpu'] }],
    goldenSamples: [],
    ...(warmUp === undefined ? {} : { warmUp }),
    instances: instancesOf(config.instance_group),
    declare: (signature) => declaredSignature(config, signature),
  };
}
