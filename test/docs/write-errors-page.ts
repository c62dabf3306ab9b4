import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { PROJECT_ROOT } from '../kit/processes.js';
import { errorsPage } from './errors-page.js';

writeFileSync(path.join(PROJECT_ROOT, 'docs/ERRORS.md'), errorsPage());
