import { SkerryError } from '#shared/kernel/errors.js';
import type { Dialect } from './dialect.js';
import type { SharedRoute } from './distinct-routes.js';

interface DialectRow {
  /** That of the dialect. */
  readonly name: string;
  /** Spoken unless the setting `dialects` says otherwise. No two of these take the same request, but for `SHARED_ROUTES`. */
  readonly byDefault: boolean;
  /** Imports it: a device pays for what it speaks. */
  readonly open: () => Promise<Dialect>;
}

/** Every dialect there is. A new one is a folder in `dialects/` and a row. */
const DIALECT_ROWS: readonly DialectRow[] = [
  { name: 'oip', byDefault: true, open: async () => (await import('./dialects/oip/oip.js')).OIP },
  { name: 'mlflow', byDefault: true, open: async () => (await import('./dialects/mlflow/mlflow.js')).MLFLOW },
  { name: 'torchserve', byDefault: true, open: async () => (await import('./dialects/torchserve/torchserve.js')).TORCHSERVE },
  {
    name: 'tensorflow-serving',
    byDefault: true,
    open: async () => (await import('./dialects/tensorflow-serving/tensorflow-serving.js')).TENSORFLOW_SERVING,
  },
  // It has routes only where Vertex AI, or a person, names them.
  { name: 'vertex', byDefault: true, open: async () => (await import('./dialects/vertex/vertex.js')).VERTEX },
  // Its paths are TensorFlow Serving's, whose status of a model has another form.
  { name: 'kserve-v1', byDefault: false, open: async () => (await import('./dialects/kserve-v1/kserve-v1.js')).KSERVE_V1 },
  // Its paths are those of MLflow and of TorchServe's management.
  {
    name: 'sagemaker',
    byDefault: false,
    open: async () => {
      const [{ sagemaker }, { inferHandler }] = await Promise.all([
        import('./dialects/sagemaker/sagemaker.js'),
        import('./dialects/oip/oip-infer.js'),
      ]);
      return sagemaker(inferHandler);
    },
  },
];

/** Every route that several dialects have and that one can answer for all of them. Two that are spoken may share no other. */
export const SHARED_ROUTES: readonly SharedRoute[] = [
  // TorchServe's clients read the body; those of the others look at the status alone.
  { route: 'GET /ping', answeredBy: ['torchserve', 'mlflow', 'sagemaker'] },
];

/** Names of all dialects, for help texts. */
export const DIALECT_NAMES: readonly string[] = DIALECT_ROWS.map(({ name }) => name);

/** The dialects of these names, or those that are spoken where no setting says otherwise. Errors: `CONFIG_INVALID` for a name that none has. */
export function openDialects(names?: readonly string[]): Promise<readonly Dialect[]> {
  const rows = names === undefined ? DIALECT_ROWS.filter(({ byDefault }) => byDefault) : names.map(rowNamed);
  return Promise.all(rows.map(({ open }) => open()));
}

function rowNamed(name: string): DialectRow {
  const row = DIALECT_ROWS.find((one) => one.name === name);
  if (row !== undefined) return row;
  throw new SkerryError('CONFIG_INVALID', `there is no dialect ${JSON.stringify(name.slice(0, 64))}, only ${DIALECT_NAMES.join(', ')}`);
}
