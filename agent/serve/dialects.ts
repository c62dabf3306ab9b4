import { SkerryError } from '#shared/kernel/errors.js';
import type { Dialect } from './dialect.js';
import { KSERVE_V1 } from './dialects/kserve-v1/kserve-v1.js';
import { MLFLOW } from './dialects/mlflow/mlflow.js';
import { OIP } from './dialects/oip/oip.js';
import { inferHandler } from './dialects/oip/oip-infer.js';
import { sagemaker } from './dialects/sagemaker/sagemaker.js';
import { TORCHSERVE } from './dialects/torchserve/torchserve.js';
import { TENSORFLOW_SERVING } from './dialects/tensorflow-serving/tensorflow-serving.js';
import { VERTEX } from './dialects/vertex/vertex.js';
import type { SharedRoute } from './distinct-routes.js';

interface DialectRow {
  readonly dialect: Dialect;
  /** Spoken unless the setting `dialects` says otherwise. No two of these take the same request, but for `SHARED_ROUTES`. */
  readonly byDefault: boolean;
}

/** Every dialect there is. A new one is a folder in `dialects/` and a row. */
const DIALECT_ROWS: readonly DialectRow[] = [
  { dialect: OIP, byDefault: true },
  { dialect: MLFLOW, byDefault: true },
  { dialect: TORCHSERVE, byDefault: true },
  { dialect: TENSORFLOW_SERVING, byDefault: true },
  // It has routes only where Vertex AI, or a person, names them.
  { dialect: VERTEX, byDefault: true },
  // Its paths are TensorFlow Serving's, whose status of a model has another form.
  { dialect: KSERVE_V1, byDefault: false },
  // Its paths are those of MLflow and of TorchServe's management.
  { dialect: sagemaker(inferHandler), byDefault: false },
];

/** Every route that several dialects have and that one can answer for all of them. Two that are spoken may share no other. */
export const SHARED_ROUTES: readonly SharedRoute[] = [
  // TorchServe's clients read the body; those of the others look at the status alone.
  { route: 'GET /ping', answeredBy: ['torchserve', 'mlflow', 'sagemaker'] },
];

/** The dialects that are spoken where no setting says otherwise. */
export const DIALECTS: readonly Dialect[] = DIALECT_ROWS.filter(({ byDefault }) => byDefault).map(({ dialect }) => dialect);

/** Names of all dialects, for help texts. */
export const DIALECT_NAMES: readonly string[] = DIALECT_ROWS.map(({ dialect }) => dialect.name);

/** The dialects of some names. Errors: `CONFIG_INVALID` for a name that none has. */
export function dialectsNamed(names: readonly string[]): readonly Dialect[] {
  return names.map((name) => {
    const row = DIALECT_ROWS.find(({ dialect }) => dialect.name === name);
    if (row !== undefined) return row.dialect;
    throw new SkerryError('CONFIG_INVALID', `there is no dialect ${JSON.stringify(name.slice(0, 64))}, only ${DIALECT_NAMES.join(', ')}`);
  });
}
