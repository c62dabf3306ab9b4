import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** One measured figure; `aim` is a bound written as a person reads it, `holds` whether this run met it (null: no aim). */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly aim: string | null;
  readonly holds: boolean | null;
}

export function atMost(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value: rounded(value), unit, aim: `<= ${bound}`, holds: value <= bound };
}

export function atLeast(name: string, value: number, unit: string, bound: number): Figure {
  return { name, value: rounded(value), unit, aim: `>= ${bound}`, holds: value >= bound };
}

export function plain(name: string, value: number, unit: string): Figure {
  return { name, value: rounded(value), unit, aim: null, holds: null };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Three significant digits: more would promise more than a run on a shared machine can keep. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** The machine a run was made on, in one line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${model}), ${memory} GiB, ${osName()}, Node ${process.versions.node}, ${process.arch}`;
}

function osName(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  } catch {
    return execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim();
  }
}

export function printFigures(title: string, figures: readonly Figure[]): void {
  const width = Math.max(...figures.map((figure) => figure.name.length));
  console.log(`\n${title}`);
  for (const { name, value, unit, aim, holds } of figures) {
    const verdict = aim === null ? '' : `   aim ${aim}: ${holds === true ? 'holds' : 'does not hold'}`;
    console.log(`  ${name.padEnd(width)}  ${String(value).padStart(9)} ${unit.padEnd(12)}${verdict}`);
  }
}
