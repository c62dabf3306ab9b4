import { writeFile } from 'node:fs/promises';

export interface StepRecord {
  readonly name: string;
  readonly held: boolean;
  readonly seconds: number;
  readonly checks: readonly { readonly what: string; readonly held: boolean; readonly seen: string }[];
  readonly figures: Readonly<Record<string, number | string>>;
  readonly error?: string;
}

/** What the story did, as data: `--report FILE`. */
export interface Report {
  readonly held: boolean;
  readonly startedAt: string;
  readonly seconds: number;
  readonly devices: number;
  readonly steps: readonly StepRecord[];
}

export async function writeReport(file: string, report: Report): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}
