import type { Dialect } from './dialect.js';
import { MLFLOW } from './dialects/mlflow/mlflow.js';
import { OIP } from './dialects/oip/oip.js';

/** Every dialect spoken here. A new one is a folder in `dialects/` and a row. */
export const DIALECTS: readonly Dialect[] = [OIP, MLFLOW];
