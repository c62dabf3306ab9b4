import { AGENT_MODEL, type ModelName, type VersionNumber, versionNumberSchema } from './names.js';

/** What all rooms need to know of a kind of versions. A room that treats kinds differently has a table of its own, by kind. */
interface VersionKindRow {
  /** The one name that versions of this kind have; left out where publishers choose names. */
  readonly name?: ModelName;
  /** Number of the first version that can be published; lower numbers stand for what a package brings. */
  readonly firstVersion: VersionNumber;
  /** True where versions answer predictions: devices serve them, and gates have figures of what they answered. */
  readonly predicts: boolean;
  /**
   * Features that the hub names in `requires` of desired entries, so that an agent which does not know the kind refuses them by name and
   * does not take them for a model. None for models, which every agent knows.
   */
  readonly entryRequires: readonly string[];
  /** First part of the TUF target paths of its manifests. Folders are apart, so that no pattern of model names reaches another kind. */
  readonly folder: string;
}

/** What an agent counts as that came with a package and was never replaced: no published release has this number. */
export const PACKAGED_RELEASE: VersionNumber = versionNumberSchema.parse(1);

/**
 * The kinds of versions that this release knows. A new kind is a row here, a schema of its manifests, a line in `byKind`, and a row
 * in the table of every room that does not compile without it.
 */
export const VERSION_KINDS = {
  model: {
    firstVersion: versionNumberSchema.parse(1),
    predicts: true,
    entryRequires: [],
    folder: 'models',
  },
  // Who may publish models may not thereby publish what runs them: hence a name and a folder of its own.
  agent: {
    name: AGENT_MODEL,
    firstVersion: versionNumberSchema.parse(PACKAGED_RELEASE + 1),
    predicts: false,
    entryRequires: ['kind-agent'],
    folder: 'agent',
  },
} satisfies Record<string, VersionKindRow>;
export type VersionKind = keyof typeof VERSION_KINDS;

/** The kind whose versions have this name. */
export function kindNamed(model: string): VersionKind {
  return model === VERSION_KINDS.agent.name ? 'agent' : 'model';
}

/** The row of the kind whose versions have this name. */
export function kindRow(model: string): VersionKindRow {
  return VERSION_KINDS[kindNamed(model)];
}

/** True for a name that one kind of versions has to itself. */
export function isReservedName(model: string): boolean {
  return kindRow(model).name !== undefined;
}

/** TUF target path of a version's manifest. */
export function manifestTargetPath(model: string, version: number): string {
  return `${targetFolder(model)}/${version}.json`;
}

/** The one path pattern (TUF 4.5) of a model's manifests. "*" does not cross "/". */
export function manifestPattern(model: string): string {
  return `${targetFolder(model)}/*${kindRow(model).name === undefined ? '' : '.json'}`;
}

/** The model whose manifest a TUF target path is of; empty for a path of none. */
export function modelOfTarget(path: string): string {
  const row = rowOfTarget(path);
  return row === undefined ? '' : (row.name ?? path.split('/')[1] ?? '');
}

/** True for a TUF path or pattern of a kind that only a later release knows: nothing that this one looks for lies there. */
export function isOfLaterKind(path: string): boolean {
  return rowOfTarget(path) === undefined;
}

function rowOfTarget(path: string): VersionKindRow | undefined {
  const [folder] = path.split('/');
  return Object.values<VersionKindRow>(VERSION_KINDS).find((row) => row.folder === folder);
}

function targetFolder(model: string): string {
  const { folder, name } = kindRow(model);
  return name === undefined ? `${folder}/${model}` : folder;
}

/** The feature that agents and hubs have which know a kind. */
export function featureOfKind(kind: string): string {
  return `kind-${kind}`;
}

/** What is done with a manifest, or with a part of one, by its kind. */
interface KindTable<Model extends { readonly kind?: 'model' | undefined }, Agent extends { readonly kind: 'agent' }, Result> {
  readonly model: (parts: Model) => Result;
  readonly agent: (parts: Agent) => Result;
}

/** Does with a manifest what the table says for its kind. */
export function byKind<Model extends { readonly kind?: 'model' | undefined }, Agent extends { readonly kind: 'agent' }, Result>(
  parts: Model | Agent,
  table: KindTable<Model, Agent, Result>,
): Result {
  return parts.kind === 'agent' ? table.agent(parts) : table.model(parts);
}
