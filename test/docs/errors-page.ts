import { ERROR_CODES } from '#shared/kernel/error-registry.js';
import type { CodeEntry } from '#shared/kernel/codes/define.js';
import { httpStatusOf } from '#shared/kernel/status.js';

const FAULTS: Readonly<Record<CodeEntry['fault'], string>> = {
  ours: 'Skerry itself',
  caller: 'whoever asked',
  peer: 'the other side',
  environment: 'the machine',
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
    'Every error carries a stable code: in HTTP bodies, MQTT reports, events, logs and `--json` output. This page is written from',
    '`shared/kernel/codes/` by `npm run docs:errors`, and a test compares both. The status is one of the canonical codes of',
    '[gRPC](https://grpc.io/docs/guides/status-codes/), from which each protocol derives its own (`shared/kernel/status.ts`).',
    '',
    '| code | at fault | status | HTTP | what happened | what to do |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
