import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { confirm } from '#shared/terminal/confirm.js';
import type { Output } from '#shared/terminal/output.js';
import { coded } from '../../kit/coded.js';

function terminal(interactive = true): { out: Output; stdin: PassThrough & { isTTY?: boolean }; shown: () => string } {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), Object.assign(new PassThrough(), { isTTY: true })];
  return { out: { json: false, stdout, stderr, colour: false, interactive, columns: 80 }, stdin, shown: () => String(stderr.read() ?? '') };
}

describe('21: a question before something is taken away', () => {
  it.each(['y\n', 'YES\n'])('goes on after %j', async (answer) => {
    const { out, stdin, shown } = terminal();
    stdin.end(answer);
    await confirm(out, 'Remove cam-7?', { stdin });
    expect(shown()).toContain('Remove cam-7? [y/N]');
  });

  it.each(['\n', 'n\n', 'yess\n', ''])('changes nothing after %j', async (answer) => {
    const { out, stdin } = terminal();
    stdin.end(answer);
    await expect(confirm(out, 'Remove cam-7?', { stdin })).rejects.toThrow(coded('ABORTED', 'nothing was changed'));
  });

  it('asks no script', async () => {
    const { out, stdin, shown } = terminal(false);
    await confirm(out, 'Remove cam-7?', { stdin });
    expect(shown()).toBe('');
  });
});
