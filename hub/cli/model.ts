import { counted } from '#shared/kernel/counted.js';
import type { Command } from 'commander';
import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { confirm } from '#shared/terminal/confirm.js';
import { byKind } from '#shared/bundle/kinds.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import { formatAgo, formatBytes } from '#shared/terminal/format.js';
import { type Output, paint, printJson, printLine, printTable } from '#shared/terminal/output.js';
import type { ModelDetail, VersionDetail } from '../registry/views.js';
import { parseModelVersion } from './arguments.js';
import { type CliDeps, type CommonFlags, hubCommand, openHubCommand } from './deps.js';
import { addRetireCommand } from './model-retire.js';

/** Adds `skerry model list|show|delete|retire`. */
export function registerModelCommands(program: Command, deps: CliDeps): void {
  const model = program.command('model').description('List, show and delete models and their versions.');
  addList(model, deps);
  addShow(model, deps);
  addDelete(model, deps);
}

function addList(model: Command, deps: CliDeps): void {
  hubCommand(model, 'list', 'List the models.', ['skerry model list']).action(async (flags: CommonFlags) => {
    const { out, hub } = await openHubCommand(deps, flags);
    const { modelListSchema } = await import('../registry/views.js');
    const answer = await hub.get(modelListSchema, '/api/v1/models');
    if (out.json) return printJson(out, answer);
    const rows = answer.models;
    printTable(
      out,
      [
        { title: 'model', value: (row: (typeof rows)[number]) => row.name },
        { title: 'newest', align: 'right', value: (row) => row.newest },
        { title: 'versions', align: 'right', value: (row) => row.versions },
        { title: 'oldest allowed', align: 'right', value: (row) => row.minimumVersion },
        { title: 'since', value: (row) => formatAgo(Date.parse(row.createdAt), deps.clock.now()) },
      ],
      rows,
      'No models yet; publish one with "skerry publish".',
    );
  });
}

function addShow(model: Command, deps: CliDeps): void {
  hubCommand(model, 'show', 'Show the versions of a model, or the details of one version.', [
    'skerry model show vad',
    'skerry model show vad@5 --json',
  ])
    .argument('<model[@version]>', 'Name of a model, or a version such as vad@5.')
    .action(async (name: string, flags: CommonFlags) => {
      const { out, hub } = await openHubCommand(deps, flags);
      const { modelDetailSchema, versionDetailSchema } = await import('../registry/views.js');
      const { model: wanted, version } = parseModelVersion(name);
      if (version === undefined) {
        const detail = await hub.get(modelDetailSchema, `/api/v1/models/${wanted}`);
        if (out.json) printJson(out, detail);
        else printModel(out, detail, deps.clock.now());
        return;
      }
      const detail = await hub.get(versionDetailSchema, `/api/v1/models/${wanted}/versions/${version}`);
      if (out.json) printJson(out, detail);
      else printVersion(out, detail, deps.clock.now());
    });
}

function addDelete(model: Command, deps: CliDeps): void {
  hubCommand(model, 'delete', 'Delete an unused version and its files on the hub.', [
    'skerry model delete vad@3',
    'skerry model delete vad@3 --yes',
  ])
    .argument('<model@version>', 'Version, such as vad@5.')
    .option('--yes', 'Do not ask for confirmation.')
    .addHelpText(
      'after',
      '\nWhile deployments, running rollouts or devices need the version, the command is refused and names them. The number is never used again.',
    )
    .action(async (name: string, flags: CommonFlags & { readonly yes?: boolean }) => {
      const { model: wanted, version } = parseModelVersion(name);
      if (version === undefined) throw new SkerryError('CLI_USAGE', `the version is missing; name it as in ${wanted}@1`);
      const { out, hub } = await openHubCommand(deps, flags);
      const { deletedVersionSchema } = await import('../registry/version-needs.js');
      if (flags.yes !== true) await confirm(out, `Delete ${wanted}@${version} for good? Its number cannot be used again.`);
      const deleted = await hub.delete(deletedVersionSchema, `/api/v1/models/${wanted}/versions/${version}`);
      if (out.json) return printJson(out, deleted);
      printLine(out, `Deleted ${wanted}@${version}: ${counted(deleted.artifacts, 'file')}, ${formatBytes(deleted.bytes)} given back.`);
    });
  addRetireCommand(model, deps);
}

function printModel(out: Output, model: ModelDetail, now: number): void {
  printLine(out, paint(out, 'bold', model.name));
  if (model.minimumVersion > 1) printLine(out, `versions below ${model.minimumVersion} are never installed`);
  printTable(
    out,
    [
      { title: 'version', align: 'right', value: (row) => row.version },
      { title: 'size', align: 'right', value: (row) => formatBytes(row.bytes) },
      { title: 'variants', value: (row) => row.variants.join(', ') },
      { title: 'published', value: (row) => formatAgo(Date.parse(row.acceptedAt), now) },
      { title: 'signed by', value: (row) => row.role },
      { title: 'manifest', value: (row) => row.manifest.slice(0, 12) },
    ],
    model.versions,
  );
}

function printVersion(out: Output, version: VersionDetail, now: number): void {
  const { document } = version;
  printLine(out, paint(out, 'bold', `${version.model}@${version.version}`));
  if (document.description !== undefined) printLine(out, document.description);
  printLine(out, `published ${formatAgo(Date.parse(version.acceptedAt), now)} by ${version.publisher}, signed by role ${version.role}`);
  printLine(out, `manifest sha256:${version.manifest}`);
  printLine(out);
  byKind(document, {
    model: (content: ModelManifest) => printModelContent(out, content),
    agent: (content: AgentManifest) => printAgentContent(out, content),
  });
  printLine(out, `${formatBytes(version.bytes)} in all`);
}

function printModelContent(out: Output, document: ModelManifest): void {
  const tensors = [
    ...document.inputs.map((spec) => ({ kind: 'input', ...spec })),
    ...document.outputs.map((spec) => ({ kind: 'output', ...spec })),
  ];
  printTable(
    out,
    [
      { title: '', value: (row) => row.kind },
      { title: 'name', value: (row) => row.name },
      { title: 'type', value: (row) => row.datatype },
      {
        title: 'shape',
        value: (row) => (row.anyShape === true ? 'any' : `[${row.shape.map((size) => (size === -1 ? '?' : String(size))).join(', ')}]`),
      },
    ],
    tensors,
  );
  printLine(out);
  const lengths = lengthsOf(document);
  printTable(
    out,
    [
      { title: 'variant', value: (row) => row.name },
      { title: 'size', align: 'right', value: (row) => formatBytes(lengths.get(row.artifact) ?? 0) },
      { title: 'opset', align: 'right', value: (row) => row.opset },
      { title: 'providers', value: (row) => row.requires.providers.join(', ') },
      { title: 'artifact', value: (row) => row.artifact.slice(0, 12) },
    ],
    document.variants,
  );
  const shapeOnly = document.goldenSamples.some(({ tolerance }) => tolerance.shapeOnly === true);
  printLine(
    out,
    `${counted(document.goldenSamples.length, 'golden sample')}${shapeOnly ? ', of which only types and shapes are compared' : ''}`,
  );
}

function printAgentContent(out: Output, document: AgentManifest): void {
  const lengths = lengthsOf(document);
  printLine(out, `release ${document.release} of the agent, takes over from release ${document.takesOverFrom} and later`);
  printTable(
    out,
    [
      { title: 'platform', value: (row) => row.platform },
      { title: 'processor', value: (row) => row.arch },
      { title: 'size', align: 'right', value: (row) => formatBytes(lengths.get(row.artifact) ?? 0) },
      { title: 'artifact', value: (row) => row.artifact.slice(0, 12) },
    ],
    document.variants,
  );
}

function lengthsOf(document: Manifest): ReadonlyMap<string, number> {
  return new Map(document.artifacts.map((artifact) => [artifact.digest, artifact.length]));
}
