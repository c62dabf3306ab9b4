import { createInterface } from 'node:readline/promises';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Output } from './output.js';

interface ConfirmOptions {
  /** Where the answer is read from (default: standard input). */
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean };
}

/**
 * Asks a person whether to go on; throws `ABORTED` unless the answer is yes. A script has no terminal and is not asked: it
 * said what it wants.
 */
export async function confirm(out: Output, question: string, { stdin = process.stdin }: ConfirmOptions = {}): Promise<void> {
  if (!out.interactive || stdin.isTTY !== true) return;
  const terminal = createInterface({ input: stdin, output: out.stderr });
  try {
    const answer = await Promise.race([
      terminal.question(`${question} [y/N] `),
      new Promise<string>((resolve) => terminal.once('close', () => resolve(''))),
    ]);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new SkerryError('ABORTED', 'nothing was changed');
}
