// Deletes what an earlier build wrote into dist for a source that is gone: an import of it would go on working in this checkout alone.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

const WRITTEN = /\.(?:js|d\.ts)(?:\.map)?$/;

export function pruneDist(root) {
  const dist = path.join(root, 'dist');
  if (!existsSync(dist)) return;
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const source = path.join(root, path.relative(dist, file)).replace(WRITTEN, '.ts');
    if (entry.isFile() && WRITTEN.test(entry.name) && !existsSync(source)) rmSync(file);
  }
}
