import { resolve } from 'node:path';
import type { WantedModel } from '#agent/serve/repository.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ModelSource } from './layouts/layout.js';
import { planModel } from './plan.js';
import type { Prepared, ServedModel } from './served-model.js';

interface Replacement {
  readonly wanted: readonly { readonly model: ServedModel; readonly as: WantedModel }[];
  /** What is not wanted. */
  readonly others: readonly ServedModel[];
  readonly source: ModelSource;
  readonly instances: number;
}

/** Loads all that is wanted beside what is served, then changes over. When one model cannot be loaded nothing changes. */
export async function replaceModels({ wanted, others, source, instances }: Replacement): Promise<void> {
  const models = [...wanted.map(({ model }) => model), ...others].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  await alone(models, async () => {
    const prepared: Prepared[] = [];
    try {
      for (const { model, as } of wanted) prepared.push(await prepare(model, as, { source, instances }));
    } catch (cause) {
      await Promise.all(prepared.map((one) => one.discard()));
      throw cause;
    }
    await Promise.all([...prepared.map((one) => one.changeOver()), ...others.map((model) => model.unload())]);
  });
}

/** Takes the turn of every model, always in the same order, so that two of these never wait for each other. */
async function alone([first, ...rest]: readonly ServedModel[], work: () => Promise<void>): Promise<void> {
  if (first === undefined) return work();
  return first.changes.run(() => alone(rest, work));
}

async function prepare(
  model: ServedModel,
  { name, folder: at, versions }: WantedModel,
  { source, instances }: Pick<Replacement, 'source' | 'instances'>,
): Promise<Prepared> {
  const folder = await source.read(name);
  // A model of which a client sent all files has no folder.
  if (folder === undefined && model.serving !== undefined && at === undefined && versions === undefined) return AS_IT_IS;
  if (folder === undefined) throw unknownInFolder(name, source);
  if (at !== undefined && resolve(at) !== folder.folder) {
    throw new SkerryError(
      'SERVE_UNSUPPORTED',
      `model ${name}: base_path ${JSON.stringify(at.slice(0, 256))} is not its folder in the repository`,
    );
  }
  const mark = await folder.mark();
  model.mark = mark;
  const plan = await planModel(model.name, folder, { versions, instances });
  return model.prepare({ plan, overridden: versions === undefined ? undefined : mark, release: async () => undefined });
}

const AS_IT_IS: Prepared = { changeOver: async () => undefined, discard: async () => undefined };

export function unknownInFolder(name: string, source: ModelSource): SkerryError {
  return new SkerryError('INFERENCE_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)} in ${source.what}`);
}
