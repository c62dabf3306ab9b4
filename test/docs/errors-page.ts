import { ERROR_CODES } from '#shared/kernel/error-registry.js';
import type { CodeEntry } from '#shared/kernel/codes/define.js';
import { httpStatusOf } from '#shared/kernel/status.js';

const FAULTS: Readonly<Record<CodeEntry['fault'], string>> = {
  ours: 'Skerry',
  caller: 'caller',
  peer: 'peer',
  environment: 'environment',
};

/** The whole text of `docs/ERRORS.md`, made from the tables of codes. */
export function errorsPage(): string {
  const rows = Object.entries<CodeEntry>(ERROR_CODES).map(
    ([code, entry]) =>
      `| \`${code}\` | ${FAULTS[entry.fault]} | ${entry.status} | ${httpStatusOf(entry)} | ${entry.summary} | ${entry.action} |`,
  );
  return [
    '# Errors',
    '',
    'Every error carries a stable code: in HTTP bodies, MQTT reports, events, logs and `--json` output. `npm run docs:errors`',
    'generates this page from `shared/kernel/codes/`. The status is one of the canonical codes of',
    '[gRPC](https://grpc.io/docs/guides/status-codes/); each protocol derives its own from it (`shared/kernel/status.ts`).',
    '',
    'At fault is the *caller* (who sent the request or ran the command), the *peer* (the other side, or the model or release that it sent),',
    'the *environment* (disk, memory, network or configuration of the machine), or *Skerry* (a bug).',
    '',
    '| code | at fault | status | HTTP | what happened | what to do |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
